// User namespaces: making one with its id maps, and mounts whose owners are translated by one; and entering the
// namespaces of a process as a whole.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int write_file(pid_t pid, const char *name, const char *content) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return -1;
    size_t length = strlen(content);
    ssize_t written = write(file, content, length);
    int error = errno;
    close(file);
    errno = error;
    return written == (ssize_t)length ? 0 : -1;
}

static int write_maps(pid_t pid, const char *uids, const char *gids, bool setgroups) {
    if (!setgroups && write_file(pid, "setgroups", "deny") < 0) return -1;
    if (write_file(pid, "uid_map", uids) < 0) return -1;
    return write_file(pid, "gid_map", gids);
}

// A namespace lives as long as a descriptor to it: a child that does nothing has it made. Its maps have to be written
// from outside, and this process shall enter it only when they are there.
static int make_namespace(const char *uids, const char *gids, bool setgroups) {
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        for (;;) pause();
    if (pid < 0) return -1;
    int result = -1;
    if (write_maps(pid, uids, gids, setgroups) == 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
        result = open(path, O_RDONLY | O_CLOEXEC);
    }
    int error = errno;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    errno = error;
    return result;
}

// The namespace's root, as far as it has one.
static int become_root(struct stage *stage) {
    if (syscall(SYS_setgroups, 0, NULL) < 0 && errno != EPERM) return stage_fail(stage, "setgroups");
    if (syscall(SYS_setresgid, 0, 0, 0) < 0 && errno != EINVAL) return stage_fail(stage, "setgid");
    if (syscall(SYS_setresuid, 0, 0, 0) < 0 && errno != EINVAL) return stage_fail(stage, "setuid");
    return 0;
}

int step_user(struct stage *stage, struct reader *reader) {
    const char *uids = read_text(reader), *gids = read_text(reader);
    bool setgroups = read_number(reader);
    if (reader->bad) return 0;
    int made = make_namespace(uids, gids, setgroups);
    if (made < 0) return stage_fail(stage, "id maps");
    if (setns(made, CLONE_NEWUSER) < 0) return stage_fail(stage, "setns");
    close(made);
    return become_root(stage);
}

int step_id_map(struct stage *stage, struct reader *reader) {
    uint64_t index = read_number(reader);
    bool recursive = read_number(reader);
    const char *path = read_text(reader), *uids = read_text(reader), *gids = read_text(reader);
    if (reader->bad) return 0;
    if (index >= (uint64_t)stage->tree_count) {
        errno = EBADMSG;
        return stage_fail(stage, "no such tree");
    }
    int user = *path ? open(path, O_RDONLY | O_CLOEXEC) : make_namespace(uids, gids, true);
    if (user < 0) return stage_fail(stage, *path ? "open %s" : "id maps", path);
    struct mount_attr change = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user};
    unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    int result = mount_setattr(stage->trees[index], "", flags, &change, sizeof change);
    int error = errno;
    close(user);
    errno = error;
    return result < 0 ? stage_fail(stage, "mount_setattr") : 0;
}

// Field 22 of /proc/PID/stat; the name in field 2 may contain anything, so fields are counted after its end.
static int64_t start_time(pid_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return -1;
    text[length] = 0;
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    return at ? atoll(at + 1) : -1;
}

int step_join(struct stage *stage, struct reader *reader) {
    pid_t pid = (pid_t)read_number(reader);
    int64_t started = (int64_t)read_number(reader);
    int flags = (int)read_number(reader);
    if (reader->bad) return 0;
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (process < 0) return stage_fail(stage, "pidfd_open %d", pid);
    // The pidfd is of the process that the number means now: it has to be the one that was meant.
    if (start_time(pid) != started) {
        errno = ESRCH;
        return stage_fail(stage, "the container's process has ended");
    }
    // One call for all of them: the kernel enters every namespace or none.
    if (setns(process, flags) < 0) return stage_fail(stage, "setns %#x", (unsigned)flags);
    close(process);
    return flags & CLONE_NEWUSER ? become_root(stage) : 0;
}
