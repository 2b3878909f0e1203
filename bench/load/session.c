#define _GNU_SOURCE
#include "session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sha256.h"

enum { NONCE_BYTES = 20, MAX_PAYLOAD = 0xffffff };

/* LONG_PASSWORD, LONG_FLAG, CONNECT_WITH_DB, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_RESULTS,
 * PS_MULTI_RESULTS, PLUGIN_AUTH, CONNECT_ATTRS, PLUGIN_AUTH_LENENC_CLIENT_DATA, DEPRECATE_EOF */
static const uint32_t CAPABILITIES = 0x1 | 0x4 | 0x8 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x20000 | 0x40000 | 0x80000 |
                                     0x100000 | 0x200000 | 0x1000000;

/* What the mysql client's library sends: a proxy may have to look at it. */
static const char *const ATTRIBUTES[][2] = {{"_client_name", "libmysql"},    {"_client_version", "9.7.0"},
                                            {"_os", "Linux"},                {"_pid", "12345"},
                                            {"_platform", "x86_64"},         {"program_name", "fairlead-bench"}};

static void give_up(const char *what, const uint8_t *detail, size_t length) {
  fprintf(stderr, "%s%s%.*s\n", what, length > 0 ? ": " : "", (int)length, (const char *)detail);
  exit(1);
}

static void give_up_errno(const char *what) { give_up(what, (const uint8_t *)strerror(errno), strlen(strerror(errno))); }

static void send_all(struct session *session, const uint8_t *bytes, size_t length) {
  ssize_t taken = send(session->fd, bytes, length, MSG_NOSIGNAL);
  if (taken < 0) give_up_errno("cannot send");
  if ((size_t)taken != length) give_up("a small packet was not taken whole", NULL, 0);
}

static uint8_t *put_text(uint8_t *at, const char *text) {
  size_t length = strlen(text);
  memcpy(at, text, length + 1);
  return at + length + 1;
}

static uint8_t *put_counted(uint8_t *at, const void *bytes, size_t length) {
  *at++ = (uint8_t)length;
  memcpy(at, bytes, length);
  return at + length;
}

static void send_packet(struct session *session, uint8_t *packet, const uint8_t *end, uint8_t sequence) {
  size_t length = end - packet - 4;
  packet[0] = length, packet[1] = length >> 8, packet[2] = length >> 16, packet[3] = sequence;
  send_all(session, packet, end - packet);
}

/* caching_sha2_password: SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce). */
static void scramble(const char *password, const uint8_t *nonce, uint8_t answer[SHA256_BYTES]) {
  uint8_t once[SHA256_BYTES], twice[SHA256_BYTES];
  sha256(password, strlen(password), NULL, 0, once);
  sha256(once, sizeof once, NULL, 0, twice);
  sha256(twice, sizeof twice, nonce, NONCE_BYTES, answer);
  for (int index = 0; index < SHA256_BYTES; index++) answer[index] ^= once[index];
}

static void answer_greeting(struct session *session, const struct login *login) {
  const uint8_t *greeting = session->head;
  if (greeting[0] != 10) give_up("no handshake", greeting, session->head_bytes);
  /* Version, NUL, connection id, 8 bytes of the nonce, filler, 18 bytes of flags and the like, the rest of the nonce. */
  const uint8_t *nonce_start = greeting + 1 + strlen((const char *)greeting + 1) + 1 + 4;
  uint8_t nonce[NONCE_BYTES], answer[SHA256_BYTES], packet[1024];
  memcpy(nonce, nonce_start, 8);
  memcpy(nonce + 8, nonce_start + 8 + 1 + 18, NONCE_BYTES - 8);
  scramble(login->password, nonce, answer);
  memset(packet, 0, sizeof packet);
  for (int index = 0; index < 4; index++) packet[4 + index] = CAPABILITIES >> (8 * index);
  packet[8 + 3] = 0x40; /* max packet size 1 GiB */
  packet[12] = 45;      /* utf8mb4_general_ci */
  uint8_t *at = put_text(packet + 4 + 32, login->user);
  at = put_counted(at, answer, sizeof answer);
  at = put_text(at, login->schema);
  at = put_text(at, "caching_sha2_password");
  uint8_t *total = at++;
  for (size_t index = 0; index < sizeof ATTRIBUTES / sizeof *ATTRIBUTES; index++)
    for (int part = 0; part < 2; part++) at = put_counted(at, ATTRIBUTES[index][part], strlen(ATTRIBUTES[index][part]));
  *total = (uint8_t)(at - total - 1);
  send_packet(session, packet, at, session->header[3] + 1);
  session->phase = LOGIN;
}

static void switch_plugin(struct session *session, const struct login *login) {
  const char *plugin = (const char *)session->head + 1;
  if (strcmp(plugin, "caching_sha2_password") != 0)
    give_up("another plugin is asked for", (const uint8_t *)plugin, strlen(plugin));
  uint8_t packet[4 + SHA256_BYTES];
  scramble(login->password, session->head + 1 + strlen(plugin) + 1, packet + 4);
  send_packet(session, packet, packet + sizeof packet, session->header[3] + 1);
}

static bool finish_login(struct session *session, const struct login *login) {
  const uint8_t *head = session->head;
  if (head[0] == 0xfe) switch_plugin(session, login);
  else if (head[0] == 1 && head[1] != 3)
    give_up("the server wants the password itself: somebody must log in over TLS first", NULL, 0);
  if (head[0] != 0) return false;
  session->phase = READY;
  return true;
}

/* Sends until the kernel takes no more; then the answer is awaited. */
static void upload_more(struct session *session) {
  for (;;) {
    if (session->upload_start == session->upload_end) {
      if (session->phase == UPLOADED) break;
      uint8_t *at = session->upload;
      for (int count = 0; count < UPLOAD_BUFFER_PACKETS && session->phase == UPLOADING; count++) {
        uint32_t length = session->upload_left < UPLOAD_PACKET_BYTES ? session->upload_left : UPLOAD_PACKET_BYTES;
        at[0] = length, at[1] = length >> 8, at[2] = length >> 16, at[3] = session->upload_sequence++;
        at += 4 + length;
        session->upload_left -= length;
        session->bytes += length;
        /* The empty packet ends the file. */
        if (length == 0) session->phase = UPLOADED;
      }
      session->upload_start = 0;
      session->upload_end = at - session->upload;
    }
    ssize_t taken = send(session->fd, session->upload + session->upload_start,
                         session->upload_end - session->upload_start, MSG_NOSIGNAL);
    if (taken < 0 && errno == EAGAIN) {
      session->wants_write = true;
      return;
    }
    if (taken < 0) give_up_errno("cannot send the file");
    session->upload_start += taken;
  }
  session->wants_write = false;
}

static void start_upload(struct session *session) {
  if (session->upload == NULL) {
    session->upload = malloc((4 + UPLOAD_PACKET_BYTES) * UPLOAD_BUFFER_PACKETS);
    if (session->upload == NULL) give_up_errno("no memory");
    for (int index = 0; index < (4 + UPLOAD_PACKET_BYTES) * UPLOAD_BUFFER_PACKETS; index++)
      session->upload[index] = index % 200 == 199 ? '\n' : 'a' + index % 23;
  }
  session->phase = UPLOADING;
  session->upload_sequence = session->header[3] + 1;
  session->upload_start = session->upload_end = 0;
  upload_more(session);
}

/* True when the packet ends an answer. */
static bool on_packet(struct session *session, const struct login *login) {
  const uint8_t *head = session->head;
  bool is_continuation = session->continues;
  session->continues = session->payload_length == MAX_PAYLOAD;
  if (is_continuation) return false;
  if (head[0] == 0xff) give_up("the server said", head + 3, session->head_bytes - 3);
  switch (session->phase) {
    case GREETING:
      answer_greeting(session, login);
      return false;
    case LOGIN:
      return finish_login(session, login);
    case RESULT_HEAD:
      if (head[0] == 0xfb) {
        start_upload(session);
        return false;
      }
      session->columns_left = head[0];
      session->phase = head[0] == 0 ? READY : COLUMNS;
      return head[0] == 0;
    case COLUMNS:
      if (--session->columns_left == 0) session->phase = ROWS;
      return false;
    case ROWS:
      if (head[0] != 0xfe || session->payload_length == MAX_PAYLOAD) return false;
      session->phase = READY;
      return true;
    case UPLOADED:
      session->phase = READY;
      return true;
    default:
      give_up("a packet nobody asked for", NULL, 0);
      return false;
  }
}

static bool read_bytes(struct session *session, const struct login *login, const uint8_t *bytes, size_t length) {
  bool is_ready = false;
  for (size_t at = 0; at < length;) {
    if (session->header_bytes < 4) {
      session->header[session->header_bytes++] = bytes[at++];
      if (session->header_bytes < 4) continue;
      session->payload_length = session->header[0] | session->header[1] << 8 | session->header[2] << 16;
      session->payload_left = session->payload_length;
      session->head_bytes = 0;
    }
    size_t here = length - at < session->payload_left ? length - at : session->payload_left;
    size_t kept = HEAD_BYTES - session->head_bytes < here ? HEAD_BYTES - session->head_bytes : here;
    memcpy(session->head + session->head_bytes, bytes + at, kept);
    session->head_bytes += kept;
    session->payload_left -= here;
    at += here;
    if (session->payload_left > 0) continue;
    session->header_bytes = 0;
    is_ready = on_packet(session, login);
  }
  return is_ready;
}

void session_open(struct session *session, int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  int on = 1;
  uint8_t *upload = session->upload;
  *session = (struct session){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .phase = GREETING, .upload = upload};
  if (session->fd < 0) give_up_errno("no socket");
  setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(session->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
    give_up_errno("cannot connect");
}

static void send_command(struct session *session, uint8_t command, const char *text) {
  uint8_t packet[1024];
  size_t length = strlen(text);
  if (length > sizeof packet - 5) give_up("the statement is too long", NULL, 0);
  packet[4] = command;
  memcpy(packet + 5, text, length);
  session->phase = RESULT_HEAD;
  send_packet(session, packet, packet + 5 + length, 0);
}

void session_query(struct session *session, const char *sql, uint64_t upload_bytes) {
  session->upload_left = upload_bytes;
  send_command(session, 3, sql);
}

void session_select_schema(struct session *session, const char *schema) { send_command(session, 2, schema); }

void session_close(struct session *session) {
  uint8_t packet[5] = {[4] = 1}; /* COM_QUIT */
  send_packet(session, packet, packet + 5, 0);
  close(session->fd);
}

bool session_advance(struct session *session, const struct login *login, uint8_t *buffer, size_t size) {
  if (session->wants_write) upload_more(session);
  ssize_t length = recv(session->fd, buffer, size, 0);
  if (length < 0 && errno == EAGAIN) return false;
  if (length < 0) give_up_errno("cannot receive");
  if (length == 0) give_up("the other side closed the connection", NULL, 0);
  if (session->phase != UPLOADING && session->phase != UPLOADED) session->bytes += length;
  return read_bytes(session, login, buffer, length);
}
