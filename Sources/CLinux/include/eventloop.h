#pragma once

// epoll, eventfd, signalfd and sockets: calls that Glibc's Swift module hides or whose
// arguments Swift can only build with pain. All of them answer -1 and set errno on failure.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

// --- Which event loop this thread runs.

void *lab_loop_current(void);
void lab_loop_set_current(void *loop);

// --- epoll

struct lab_event {
    uint64_t token;
    uint32_t flags;
};

enum {
    LAB_EVENT_READ = 1,
    LAB_EVENT_WRITE = 2,
    LAB_EVENT_HANGUP = 4,
};

int lab_epoll_create(void);
// Watches both directions, edge-triggered. EPERM for files that are always ready.
int lab_epoll_add(int epoll, int fd, uint64_t token);
int lab_epoll_remove(int epoll, int fd);
// Waits at most `nanoseconds` (forever when negative) and fills `events`; an interrupted wait finds nothing.
int lab_epoll_wait(int epoll, struct lab_event *events, int capacity, int64_t nanoseconds);

int lab_eventfd(void);
void lab_eventfd_signal(int fd);
void lab_eventfd_drain(int fd);

int64_t lab_monotonic_nanoseconds(void);

// --- Signals

void lab_ignore_sigpipe(void);
// Blocks the signals in this thread and gives a descriptor that reads them.
int lab_signal_open(const int *signals, size_t count);
// The next signal, or -1 with EAGAIN.
int lab_signal_read(int fd);
void lab_signal_unblock(const int *signals, size_t count);

// --- Sockets: non-blocking and close-on-exec from birth.

// A socket inside the network namespace `netns`, or in the caller's own where it is -1.
int lab_socket(int family, int type, int netns);
int lab_accept(int fd, struct sockaddr_storage *peer, socklen_t *length);

// Address conversion. The setters give the length, or 0 where the address cannot be expressed.
socklen_t lab_address_ip(struct sockaddr_storage *out, const uint8_t *bytes, size_t count, uint16_t port, bool as_ipv6);
socklen_t lab_address_unix(struct sockaddr_storage *out, const char *path);
// 4 or 16 address bytes; IPv4 in IPv6 comes out as IPv4. 0 where it is no IP address.
size_t lab_address_get_ip(const struct sockaddr_storage *address, uint8_t *bytes, uint16_t *port);
const char *lab_address_get_unix(const struct sockaddr_storage *address, socklen_t length);
int lab_bind(int fd, const struct sockaddr_storage *address, socklen_t length);
int lab_connect(int fd, const struct sockaddr_storage *address, socklen_t length);
int lab_local_address(int fd, struct sockaddr_storage *address, socklen_t *length);

// TCP_NODELAY, and keep-alive that notices a dead peer within about half a minute.
void lab_tune_tcp(int fd);
void lab_tune_listener(int fd, int family);
/// For a datagram socket before it is bound.
void lab_tune_datagrams(int fd, int family);
// The pending error of a socket, as an errno value.
int lab_socket_error(int fd);

ssize_t lab_send_pieces(int fd, const struct iovec *pieces, size_t count);
ssize_t lab_send(int fd, const void *bytes, size_t count);
ssize_t lab_send_to(int fd, const void *bytes, size_t count, const struct sockaddr_storage *peer, socklen_t length);
ssize_t lab_receive_from(int fd, void *bytes, size_t count, struct sockaddr_storage *peer, socklen_t *length);

int lab_set_nonblocking(int fd);
ssize_t lab_random(void *bytes, size_t count);
