#define _GNU_SOURCE
#include "include/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <termios.h>
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

int lab_status_pair(int *ends) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return -1;
    int yes = 1;
    return setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
}

int lab_pidfd_take(int pidfd, int number) { return (int)syscall(SYS_pidfd_getfd, pidfd, number, 0); }

int lab_signalfd(const uint64_t *signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int number = 1; number <= 64; number++)
        if (*signals >> (number - 1) & 1) sigaddset(&set, number);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int lab_next_signal(int signals) {
    struct signalfd_siginfo information;
    ssize_t size = read(signals, &information, sizeof information);
    return size == (ssize_t)sizeof information ? (int)information.ssi_signo : 0;
}

int lab_send_to_socket(const char *path, const void *bytes, size_t count, int descriptor) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return -1;
    int result = connect(socket_, (struct sockaddr *)&address, sizeof address);
    if (result == 0) result = lab_control_send(socket_, bytes, count, &descriptor, 1);
    int error = errno;
    close(socket_);
    errno = error;
    return result;
}

static int bpf(int command, union bpf_attr *attributes) {
    return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

// Programs for devices that are attached to the group itself; how many, at most `capacity`, or -1.
static int attached_programs(int group, uint32_t *ids, uint32_t capacity) {
    union bpf_attr attributes = {.query = {
        .target_fd = (uint32_t)group, .attach_type = BPF_CGROUP_DEVICE, .prog_ids = (uint64_t)(uintptr_t)ids,
        .prog_cnt = capacity}};
    return bpf(BPF_PROG_QUERY, &attributes) < 0 ? -1 : (int)attributes.query.prog_cnt;
}

int lab_attach_device_program(int group, const void *instructions, size_t count, int replaces) {
    enum { MOST = 64 };
    uint32_t ids[MOST];
    int old = replaces ? attached_programs(group, ids, MOST) : 0;
    if (old < 0) return -1;
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insn_cnt = (uint32_t)count,
        .insns = (uint64_t)(uintptr_t)instructions, .license = (uint64_t)(uintptr_t) "Apache"};
    int program = bpf(BPF_PROG_LOAD, &load);
    if (program < 0) return -1;
    fcntl(program, F_SETFD, FD_CLOEXEC);
    union bpf_attr attach = {
        .target_fd = (uint32_t)group, .attach_bpf_fd = (uint32_t)program, .attach_type = BPF_CGROUP_DEVICE,
        .attach_flags = BPF_F_ALLOW_MULTI};
    int result = bpf(BPF_PROG_ATTACH, &attach), error = errno;
    close(program);
    // All programs have to agree, so the new one is there before the old ones go: no moment without a rule.
    for (int index = 0; index < old && result == 0; index++) {
        union bpf_attr find = {.prog_id = ids[index]};
        int former = bpf(BPF_PROG_GET_FD_BY_ID, &find);
        if (former < 0) continue;
        union bpf_attr detach = {
            .target_fd = (uint32_t)group, .attach_bpf_fd = (uint32_t)former, .attach_type = BPF_CGROUP_DEVICE};
        bpf(BPF_PROG_DETACH, &detach);
        close(former);
    }
    errno = error;
    return result;
}

int lab_raw_terminal(int terminal, void *saved, size_t capacity) {
    struct termios state;
    if (capacity < sizeof state) {
        errno = EINVAL;
        return -1;
    }
    if (tcgetattr(terminal, &state) < 0) return -1;
    memcpy(saved, &state, sizeof state);
    cfmakeraw(&state);
    return tcsetattr(terminal, TCSANOW, &state);
}

int lab_restore_terminal(int terminal, const void *saved) {
    struct termios state;
    memcpy(&state, saved, sizeof state);
    return tcsetattr(terminal, TCSANOW, &state);
}

int lab_copy_window(int from, int to) {
    struct winsize size;
    if (ioctl(from, TIOCGWINSZ, &size) < 0) return -1;
    return ioctl(to, TIOCSWINSZ, &size);
}

int lab_show_directory(const char *source, const char *target) {
    // mount(2) would bind first and set the flags then, on this mount alone: what it has spread to would go without.
    int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) return -1;
    struct mount_attr change = {
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
    int result = mount_setattr(tree, "", AT_EMPTY_PATH, &change, sizeof change);
    if (result == 0) result = move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
    int error = errno;
    close(tree);
    errno = error;
    return result;
}

void lab_close_on_exec_from(unsigned first) { close_range(first, ~0u, CLOSE_RANGE_CLOEXEC); }

long lab_file_system_type(const char *path) {
    struct statfs status;
    return statfs(path, &status) < 0 ? -1 : (long)status.f_type;
}

int lab_set_subreaper(int yes) { return prctl(PR_SET_CHILD_SUBREAPER, yes); }
