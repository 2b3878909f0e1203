/*
 * Clients that cost little, so that the proxy and not its load is what is measured. One thread, one epoll set.
 *
 *     load connect <port> <clients> <seconds> <sql>            connect, log in, query, quit, over and over
 *     load page    <port> <clients> <seconds> <statements>     connect, log in without a schema, send one statement (a line
 *                                                              each) after the other, quit, over and over; @name: COM_INIT_DB
 *     load query   <port> <clients> <seconds> <sql>            the same query over and over
 *     load upload  <port> <clients> <seconds> <sql> <bytes>    LOAD DATA LOCAL INFILE with a file of that many bytes
 *     load idle    <port> <clients>                            log in, DO 1, say "ready", wait for the end of stdin
 *
 * LOAD_USER, LOAD_PASSWORD and LOAD_SCHEMA say who logs in, with caching_sha2_password and without TLS: the server must
 * know the password already. The last line on stdout is JSON. Any error ends the program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

enum mode { CONNECT, PAGE, QUERY, UPLOAD, IDLE };
enum { MAX_STATEMENTS = 64, BUFFER_BYTES = 262144, BATCH = 256, LOGINS_AT_ONCE = 64 };

static const char *const MODES[] = {"connect", "page", "query", "upload", "idle"};

static int epoll_fd;
static uint8_t buffer[BUFFER_BYTES];
static float *latencies_us;
static size_t latency_count, latency_room;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(struct session *session, int operation) {
  struct epoll_event event = {.data.ptr = session, .events = EPOLLIN | (session->wants_write ? EPOLLOUT : 0)};
  if (epoll_ctl(epoll_fd, operation, session->fd, &event) < 0) fail("epoll_ctl");
}

static void open_session(struct session *session, int port) {
  session_open(session, port);
  session->started_at = now();
  watch(session, EPOLL_CTL_ADD);
}

/* Cuts the text into its lines. */
static int split_lines(char *text, const char **lines) {
  int count = 0;
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    if (count == MAX_STATEMENTS) fprintf(stderr, "more than %d statements\n", MAX_STATEMENTS), exit(2);
    lines[count++] = line;
  }
  return count;
}

static void ask(struct session *session, const char *statement, uint64_t upload_bytes) {
  if (statement[0] == '@') session_select_schema(session, statement + 1);
  else session_query(session, statement, upload_bytes);
}

static void record_latency(double seconds) {
  if (latency_count == latency_room) {
    latency_room = latency_room == 0 ? 65536 : latency_room * 2;
    latencies_us = realloc(latencies_us, latency_room * sizeof *latencies_us);
    if (latencies_us == NULL) fail("realloc");
  }
  latencies_us[latency_count++] = seconds * 1e6;
}

static int by_value(const void *one, const void *other) {
  float a = *(const float *)one, b = *(const float *)other;
  return (a > b) - (a < b);
}

static double percentile(double share) {
  if (latency_count == 0) return 0;
  size_t index = share * latency_count;
  return latencies_us[index < latency_count ? index : latency_count - 1];
}

static const char *from_environment(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) fprintf(stderr, "%s is not set\n", name), exit(2);
  return value;
}

static void wait_for_end_of_stdin(void) {
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
}

int main(int count, char **arguments) {
  int mode = 0;
  while (count > 1 && mode <= IDLE && strcmp(arguments[1], MODES[mode]) != 0) mode++;
  if (mode > IDLE || count < (mode == IDLE ? 4 : mode == UPLOAD ? 7 : 6)) {
    fprintf(stderr, "load connect|page|query|upload|idle <port> <clients> [<seconds> <sql> [<bytes>]]\n");
    return 2;
  }
  struct login login = {from_environment("LOAD_USER"), from_environment("LOAD_PASSWORD"),
                        from_environment("LOAD_SCHEMA")};
  int port = atoi(arguments[2]), clients = atoi(arguments[3]);
  double seconds = mode == IDLE ? 0 : atof(arguments[4]);
  const char *statements[MAX_STATEMENTS] = {mode == IDLE ? "DO 1" : arguments[5]};
  int statement_count = mode == PAGE ? split_lines(arguments[5], statements) : 1;
  bool reconnects = mode == CONNECT || mode == PAGE;
  if (mode == PAGE) login.schema = "";
  uint64_t upload_bytes = mode == UPLOAD ? strtoull(arguments[6], NULL, 10) : 0;

  epoll_fd = epoll_create1(0);
  struct session *sessions = calloc(clients, sizeof *sessions);
  if (epoll_fd < 0 || sessions == NULL) fail("no clients");
  int opened = mode == IDLE && clients > LOGINS_AT_ONCE ? LOGINS_AT_ONCE : clients;
  for (int index = 0; index < opened; index++) open_session(&sessions[index], port);

  double start = now(), end = start;
  int busy = opened, ready_count = 0;
  uint64_t operations = 0, bytes = 0;
  struct epoll_event events[BATCH];
  while (busy > 0) {
    int ready = epoll_wait(epoll_fd, events, BATCH, -1);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int index = 0; index < ready; index++) {
      struct session *session = events[index].data.ptr;
      bool wanted_write = session->wants_write, was_login = session->phase <= LOGIN;
      bool is_ready = session_advance(session, &login, buffer, sizeof buffer);
      if (session->wants_write != wanted_write) watch(session, EPOLL_CTL_MOD);
      if (!is_ready) continue;
      end = now();
      if (mode == IDLE && !was_login) {
        ready_count++;
        if (opened < clients) open_session(&sessions[opened++], port);
        else if (ready_count == clients) busy = 0;
        continue;
      }
      if (!was_login && ++session->answered == statement_count) {
        session->answered = 0;
        operations++;
        bytes += session->bytes;
        session->bytes = 0;
        record_latency(end - session->started_at);
        if (reconnects) session_close(session);
        if (end - start >= seconds) {
          busy--;
          continue;
        }
        if (reconnects) {
          open_session(session, port);
          continue;
        }
      }
      if (!reconnects) session->started_at = end, session->bytes = 0;
      ask(session, statements[session->answered], upload_bytes);
    }
  }
  if (mode == IDLE) {
    printf("ready\n");
    fflush(stdout);
    wait_for_end_of_stdin();
    for (int index = 0; index < clients; index++) session_close(&sessions[index]);
  }
  qsort(latencies_us, latency_count, sizeof *latencies_us, by_value);
  printf("{\"operations\":%llu,\"seconds\":%.6f,\"bytes\":%llu,\"p50Us\":%.1f,\"p99Us\":%.1f,\"p999Us\":%.1f}\n",
         (unsigned long long)operations, end - start, (unsigned long long)bytes, percentile(0.5), percentile(0.99),
         percentile(0.999));
  return 0;
}
