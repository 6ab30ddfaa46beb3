#define _GNU_SOURCE
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

struct visit {
    int fd; // the namespace to enter; -1 to make a new one
    void (*body)(void *);
    void *context;
    int result;
};

static void *visit_main(void *argument) {
    struct visit *visit = argument;
    if (visit->fd < 0) {
        if (unshare(CLONE_NEWNET) < 0) {
            visit->result = -errno;
            return NULL;
        }
        int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        visit->result = fd < 0 ? -errno : fd;
        return NULL;
    }
    if (setns(visit->fd, CLONE_NEWNET) < 0) {
        visit->result = -errno;
        return NULL;
    }
    visit->body(visit->context);
    return NULL;
}

static int run(struct visit *visit) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    // Room for Swift frames, far below the default of 8 MiB of address space.
    pthread_attr_setstacksize(&attributes, 512 * 1024);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, visit_main, visit);
    pthread_attr_destroy(&attributes);
    if (error) return -error;
    pthread_join(thread, NULL);
    return visit->result;
}

int net_run_in_namespace(int fd, void (*body)(void *), void *context) {
    if (fd < 0) return -EBADF;
    struct visit visit = {.fd = fd, .body = body, .context = context};
    return run(&visit);
}

int net_make_namespace(void) {
    struct visit visit = {.fd = -1};
    return run(&visit);
}

int net_open_namespace(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int net_same_namespace(int a, int b) {
    struct stat left, right;
    if (fstat(a, &left) < 0 || fstat(b, &right) < 0) return -errno;
    return left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

int net_open_netlink(int protocol, int receive_timeout_ms) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (fd < 0) return -errno;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    int one = 1;
    // Old kernels lack these three; the answers are only less exact there.
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof one);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof one);
    // A transaction is one datagram, so the send buffer bounds it; beyond the system's limit only with privilege.
    int size = 32 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    size = 4 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct timeval timeout = {.tv_sec = receive_timeout_ms / 1000, .tv_usec = receive_timeout_ms % 1000 * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int net_announce(int index, const unsigned char mac[6], const unsigned char address[4]) {
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct sockaddr_ll target = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = index, .sll_halen = 6};
    memset(target.sll_addr, 0xff, 6);
    // Hardware type, protocol type, both lengths, operation 2 (reply); then sender and target, each its link and
    // network address. Sender and target are the same address, which is what makes it an announcement.
    unsigned char packet[28] = {0, 1, 8, 0, 6, 4, 0, 2};
    memcpy(packet + 8, mac, 6);
    memcpy(packet + 14, address, 4);
    memset(packet + 18, 0xff, 6);
    memcpy(packet + 24, address, 4);
    ssize_t sent = sendto(fd, packet, sizeof packet, 0, (struct sockaddr *)&target, sizeof target);
    int result = sent < 0 ? -errno : 0;
    close(fd);
    return result;
}

int net_open_packets(int index) {
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    int room = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
    if (bind(fd, (struct sockaddr *)&link, sizeof link) < 0) {
        int result = -errno;
        close(fd);
        return result;
    }
    return fd;
}
