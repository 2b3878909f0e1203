/* One client session of the classic protocol: as much of it as the load needs, never blocking, nothing kept. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum phase { GREETING, LOGIN, READY, RESULT_HEAD, COLUMNS, ROWS, UPLOADING, UPLOADED };

enum { HEAD_BYTES = 512, UPLOAD_PACKET_BYTES = 16384, UPLOAD_BUFFER_PACKETS = 4 };

struct login {
  const char *user, *password, *schema;
};

struct session {
  int fd;
  enum phase phase;
  bool wants_write;
  /* The packet being read: its header, how much payload is left, the first bytes of the payload. */
  uint8_t header[4], head[HEAD_BYTES];
  uint32_t header_bytes, payload_length, payload_left, head_bytes;
  /* The packet before had the greatest length, so this one continues it. */
  bool continues;
  uint32_t columns_left;
  /* Bytes of the file that are still to be sent, and the buffer they go out from. */
  uint64_t upload_left;
  uint8_t *upload, upload_sequence;
  size_t upload_start, upload_end;
  uint64_t bytes;
  /* Statements of the script that have been answered. */
  int answered;
  double started_at;
};

/* Connects to 127.0.0.1. Ends the program when it cannot. */
void session_open(struct session *session, int port);

/* Sends COM_QUERY. `upload_bytes` is what to send should the server ask for a file. */
void session_query(struct session *session, const char *sql, uint64_t upload_bytes);

/* COM_INIT_DB. */
void session_select_schema(struct session *session, const char *schema);

/* COM_QUIT, and closes at once, as client libraries do. */
void session_close(struct session *session);

/* To be called when the socket is readable or writable. True when the session became READY: logged in, or answered. */
bool session_advance(struct session *session, const struct login *login, uint8_t *buffer, size_t size);
