#define _GNU_SOURCE
#include "include/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int lab_pipe(int *ends) { return pipe2(ends, O_CLOEXEC); }
int lab_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
int lab_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }
int lab_pidfd_signal(int pidfd, int signal) { return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0); }

int lab_control_connect(int directory, const char *path) {
    // Through a descriptor of its directory, because a state directory may be longer than sun_path.
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *at = address.sun_path + strlen(strcpy(address.sun_path, "/proc/self/fd/"));
    char digits[12];
    int count = 0, rest = directory;
    do digits[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    while (count > 0) *at++ = digits[--count];
    *at++ = '/';
    if (strlen(path) >= (size_t)(address.sun_path + sizeof address.sun_path - at)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(at, path);
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    int yes = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

int lab_control_send(int descriptor, const void *bytes, size_t count, const int *attached, size_t attached_count) {
    struct iovec part = {(void *)bytes, count};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(LAB_MOST_DESCRIPTORS * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (attached_count > LAB_MOST_DESCRIPTORS) {
        errno = E2BIG;
        return -1;
    }
    if (attached_count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(attached_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(attached_count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), attached, attached_count * sizeof(int));
    }
    return sendmsg(descriptor, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

ssize_t lab_control_receive(int descriptor, void *bytes, size_t capacity, pid_t *sender, int *attached) {
    struct iovec part = {bytes, capacity};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space};
    ssize_t count;
    do count = recvmsg(descriptor, &message, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    *sender = 0;
    *attached = -1;
    if (count < 0) return count;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET) continue;
        if (header->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
            *sender = credentials.pid;
        } else if (header->cmsg_type == SCM_RIGHTS) {
            memcpy(attached, CMSG_DATA(header), sizeof *attached);
        }
    }
    return count;
}

int lab_duplicate(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 0); }

int lab_terminal_resize(int terminal, unsigned columns, unsigned rows) {
    struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
    return ioctl(terminal, TIOCSWINSZ, &size);
}

pid_t lab_peer_pid(int descriptor) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return -1;
    return credentials.pid;
}
