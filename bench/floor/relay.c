/*
 * The floor: the least a user-space TCP relay can do. One thread, one epoll set, one buffer; a read, a write, nothing
 * in between. It knows no protocol, keeps no count, checks no limit. What a proxy costs above this is what it does.
 *
 *     relay <listen port> <destination port>        both on 127.0.0.1
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_BYTES = 65536, BATCH = 256 };

struct side {
  int fd;
  struct side *peer;
  /* What the kernel did not take for this side yet; its source is not read meanwhile. */
  char *pending;
  size_t pending_start, pending_end;
  bool has_ended;
};

static int epoll_fd;
static char buffer[BUFFER_BYTES];
/* Sides closed in this batch: later events of the batch may still point to them. */
static struct side *closed[BATCH * 2];
static int closed_count;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void watch(struct side *side, int operation) {
  struct epoll_event event = {.data.ptr = side};
  if (!side->has_ended && side->peer->pending == NULL) event.events |= EPOLLIN;
  if (side->pending != NULL) event.events |= EPOLLOUT;
  if (epoll_ctl(epoll_fd, operation, side->fd, &event) < 0) fail("epoll_ctl");
}

static void close_pair(struct side *side) {
  struct side *both[] = {side, side->peer};
  for (int index = 0; index < 2; index++) {
    close(both[index]->fd);
    both[index]->fd = -1;
    closed[closed_count++] = both[index];
  }
}

static void end_pair_side(struct side *source) {
  source->has_ended = true;
  if (source->peer->pending == NULL) shutdown(source->peer->fd, SHUT_WR);
  if (source->peer->has_ended && source->pending == NULL && source->peer->pending == NULL) {
    close_pair(source);
    return;
  }
  watch(source, EPOLL_CTL_MOD);
}

static void relay_from(struct side *source) {
  ssize_t length = read(source->fd, buffer, sizeof buffer);
  if (length < 0) {
    if (errno != EAGAIN) close_pair(source);
    return;
  }
  if (length == 0) {
    end_pair_side(source);
    return;
  }
  struct side *target = source->peer;
  ssize_t taken = write(target->fd, buffer, length);
  if (taken == length) return;
  if (taken < 0) {
    if (errno != EAGAIN) {
      close_pair(source);
      return;
    }
    taken = 0;
  }
  target->pending = malloc(length - taken);
  if (target->pending == NULL) fail("malloc");
  memcpy(target->pending, buffer + taken, length - taken);
  target->pending_start = 0;
  target->pending_end = length - taken;
  watch(source, EPOLL_CTL_MOD);
  watch(target, EPOLL_CTL_MOD);
}

static void flush(struct side *target) {
  ssize_t taken =
      write(target->fd, target->pending + target->pending_start, target->pending_end - target->pending_start);
  if (taken < 0) {
    if (errno != EAGAIN) close_pair(target);
    return;
  }
  target->pending_start += taken;
  if (target->pending_start < target->pending_end) return;
  free(target->pending);
  target->pending = NULL;
  watch(target, EPOLL_CTL_MOD);
  if (target->peer->has_ended) end_pair_side(target->peer);
  else watch(target->peer, EPOLL_CTL_MOD);
}

static int tcp_socket(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void accept_all(int listener, const struct sockaddr_in *destination) {
  for (;;) {
    int client_fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (client_fd < 0) return;
    int server_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct side *client = calloc(1, sizeof *client), *server = calloc(1, sizeof *server);
    if (server_fd < 0 || client == NULL || server == NULL) fail("a new pair");
    /* The server speaks first, so nothing is written to it before it is connected. */
    if (connect(server_fd, (const struct sockaddr *)destination, sizeof *destination) < 0 && errno != EINPROGRESS) {
      close(client_fd), close(server_fd), free(client), free(server);
      continue;
    }
    *client = (struct side){.fd = tcp_socket(client_fd), .peer = server};
    *server = (struct side){.fd = tcp_socket(server_fd), .peer = client};
    watch(client, EPOLL_CTL_ADD);
    watch(server, EPOLL_CTL_ADD);
  }
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "relay <listen port> <destination port>\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(atoi(arguments[1]))};
  struct sockaddr_in destination = address;
  destination.sin_port = htons(atoi(arguments[2]));
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (listen(listener, 4096) < 0) fail("listen");
  epoll_fd = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event) < 0) fail("epoll_ctl");
  struct epoll_event events[BATCH];
  for (;;) {
    int ready = epoll_wait(epoll_fd, events, BATCH, -1);
    if (ready < 0 && errno != EINTR) fail("epoll_wait");
    for (int index = 0; index < ready; index++) {
      struct side *side = events[index].data.ptr;
      if (side == NULL) {
        accept_all(listener, &destination);
        continue;
      }
      if (side->fd >= 0 && (events[index].events & EPOLLOUT) && side->pending != NULL) flush(side);
      if (side->fd >= 0 && (events[index].events & EPOLLIN)) relay_from(side);
      /* Reset, or closed from both ends, and what it sent before is delivered. */
      else if (side->fd >= 0 && (events[index].events & (EPOLLHUP | EPOLLERR)) && side->peer->pending == NULL) close_pair(side);
    }
    while (closed_count > 0) {
      struct side *side = closed[--closed_count];
      free(side->pending);
      free(side);
    }
  }
}
