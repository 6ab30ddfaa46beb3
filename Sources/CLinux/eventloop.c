#define _GNU_SOURCE
#include "eventloop.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static __thread void *current_loop;

void *lab_loop_current(void) { return current_loop; }
void lab_loop_set_current(void *loop) { current_loop = loop; }

int lab_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int lab_epoll_add(int epoll, int fd, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET, .data.u64 = token};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int lab_epoll_remove(int epoll, int fd) {
    struct epoll_event unused = {0};
    return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &unused);
}

int lab_epoll_wait(int epoll, struct lab_event *events, int capacity, int64_t nanoseconds) {
    struct epoll_event raw[256];
    if (capacity > 256) capacity = 256;
    static _Atomic bool coarse;
    int count;
    if (nanoseconds <= 0 || coarse) {
        int milliseconds = nanoseconds < 0                          ? -1
                           : nanoseconds > (int64_t)1000000 * 86400000 ? 86400000
                                                                    : (int)((nanoseconds + 999999) / 1000000);
        count = epoll_wait(epoll, raw, capacity, milliseconds);
    } else {
        struct timespec span = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
        count = epoll_pwait2(epoll, raw, capacity, &span, NULL);
        if (count < 0 && errno == ENOSYS) {
            // Kernels before 5.11; the caller comes back at once.
            coarse = true;
            return 0;
        }
    }
    if (count < 0) return errno == EINTR ? 0 : -1;
    for (int i = 0; i < count; i++) {
        uint32_t from = raw[i].events, flags = 0;
        if (from & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) flags |= LAB_EVENT_READ;
        if (from & (EPOLLOUT | EPOLLHUP | EPOLLERR)) flags |= LAB_EVENT_WRITE;
        if (from & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) flags |= LAB_EVENT_HANGUP;
        events[i].token = raw[i].data.u64;
        events[i].flags = flags;
    }
    return count;
}

int lab_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void lab_eventfd_signal(int fd) {
    // Fails only when the counter is full, and then the reader has been told already.
    if (eventfd_write(fd, 1) != 0) return;
}

void lab_eventfd_drain(int fd) {
    eventfd_t count;
    if (eventfd_read(fd, &count) != 0) return;
}

int64_t lab_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void lab_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

static void fill(sigset_t *set, const int *signals, size_t count) {
    sigemptyset(set);
    for (size_t i = 0; i < count; i++) sigaddset(set, signals[i]);
}

int lab_signal_open(const int *signals, size_t count) {
    sigset_t set;
    fill(&set, signals, count);
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int lab_signal_read(int fd) {
    struct signalfd_siginfo info;
    ssize_t count = read(fd, &info, sizeof info);
    return count == sizeof info ? (int)info.ssi_signo : -1;
}

void lab_signal_unblock(const int *signals, size_t count) {
    sigset_t set;
    fill(&set, signals, count);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

// setns moves only the calling thread, and nothing runs on it between the two calls.
int lab_socket(int family, int type, int netns) {
    type |= SOCK_NONBLOCK | SOCK_CLOEXEC;
    if (netns < 0) return socket(family, type, 0);
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0) return -1;
    if (setns(netns, CLONE_NEWNET) != 0) {
        int error = errno;
        close(home);
        errno = error;
        return -1;
    }
    int fd = socket(family, type, 0);
    int error = errno;
    if (setns(home, CLONE_NEWNET) != 0) {
        // Everything this thread did from here on would happen in the wrong network.
        perror("return to the own network namespace");
        abort();
    }
    close(home);
    errno = error;
    return fd;
}

int lab_accept(int fd, struct sockaddr_storage *peer, socklen_t *length) {
    *length = sizeof *peer;
    return accept4(fd, (struct sockaddr *)peer, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

socklen_t lab_address_ip(
    struct sockaddr_storage *out, const uint8_t *bytes, size_t count, uint16_t port, bool as_ipv6) {
    memset(out, 0, sizeof *out);
    if (count == 4 && !as_ipv6) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, bytes, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)out;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    if (count == 16) {
        memcpy(&in->sin6_addr, bytes, 16);
    } else if (count == 4) {
        in->sin6_addr.s6_addr[10] = in->sin6_addr.s6_addr[11] = 0xff;
        memcpy(in->sin6_addr.s6_addr + 12, bytes, 4);
    } else {
        return 0;
    }
    return sizeof *in;
}

socklen_t lab_address_unix(struct sockaddr_storage *out, const char *path) {
    struct sockaddr_un *un = (struct sockaddr_un *)out;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof un->sun_path) return 0;
    memset(out, 0, sizeof *out);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length + 1);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
}

size_t lab_address_get_ip(const struct sockaddr_storage *address, uint8_t *bytes, uint16_t *port) {
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        *port = ntohs(in->sin_port);
        memcpy(bytes, &in->sin_addr, 4);
        return 4;
    }
    if (address->ss_family != AF_INET6) return 0;
    const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
    *port = ntohs(in->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
        memcpy(bytes, in->sin6_addr.s6_addr + 12, 4);
        return 4;
    }
    memcpy(bytes, &in->sin6_addr, 16);
    return 16;
}

const char *lab_address_get_unix(const struct sockaddr_storage *address, socklen_t length) {
    const struct sockaddr_un *un = (const struct sockaddr_un *)address;
    if (un->sun_family != AF_UNIX || length <= offsetof(struct sockaddr_un, sun_path)) return "";
    return un->sun_path[0] == 0 ? "" : un->sun_path;
}

int lab_bind(int fd, const struct sockaddr_storage *address, socklen_t length) {
    return bind(fd, (const struct sockaddr *)address, length);
}

int lab_connect(int fd, const struct sockaddr_storage *address, socklen_t length) {
    return connect(fd, (const struct sockaddr *)address, length);
}

int lab_local_address(int fd, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    return getsockname(fd, (struct sockaddr *)address, length);
}

static void set_option(int fd, int level, int option, int value) {
    // Each of these makes things better where it works and changes nothing where it does not.
    if (setsockopt(fd, level, option, &value, sizeof value) != 0) return;
}

void lab_tune_tcp(int fd) {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
}

void lab_tune_listener(int fd, int family) {
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
}

// Without SO_REUSEADDR: on datagram sockets it lets several share one port, the kernel's own choices included,
// and answers reach whoever came last.
void lab_tune_datagrams(int fd, int family) {
    if (family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
}

int lab_socket_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

ssize_t lab_send_pieces(int fd, const struct iovec *pieces, size_t count) {
    struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = count};
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    return sent < 0 && errno == ENOTSOCK ? writev(fd, pieces, (int)count) : sent;
}

ssize_t lab_send(int fd, const void *bytes, size_t count) {
    ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
    return sent < 0 && errno == ENOTSOCK ? write(fd, bytes, count) : sent;
}

ssize_t lab_send_to(int fd, const void *bytes, size_t count, const struct sockaddr_storage *peer, socklen_t length) {
    return sendto(fd, bytes, count, MSG_NOSIGNAL, (const struct sockaddr *)peer, length);
}

ssize_t lab_receive_from(int fd, void *bytes, size_t count, struct sockaddr_storage *peer, socklen_t *length) {
    *length = sizeof *peer;
    return recvfrom(fd, bytes, count, 0, (struct sockaddr *)peer, length);
}

int lab_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

ssize_t lab_random(void *bytes, size_t count) { return getrandom(bytes, count, 0); }
