// A container of the command line: the creator starts the binary as `lab lab:contain PLAN STATUS`, the plan is carried
// out, and the process becomes the plan's program. What it tells its creator on the way, one packet each:
//
//     creator                         first process                  the container's
//        │ clone, exec ──────────────────▶ cgroup, mounts' sources,
//        │                                 namespaces
//        │                                 FORK ─ clone(CLONE_PARENT) ─▶ │
//        │ ◀──────────── FORKED, with the pid as the packet's sender ─── │
//        │                                 exit                          │ mounts
//        │ ◀──────────── SYNC (hooks that run outside) ──────────────────│
//        │ ─ a byte ───────────────────────────────────────────────────▶ │ hooks inside, pivot, identity, filter
//        │ ◀──────────── READY ──────────────────────────────────────────│ waits at exec.fifo
//                         `start` writes a byte to it ─────────────────▶ │ exec, which closes exec.status
//                         ◀─ the end of exec.status, or a lab_failure ── │
//
// Any failure ends the process after a lab_failure to the creator, or once that is gone, to exec.status.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_HOOK_STRINGS = 1024 };

void close_all_but(int *kept, int count) {
    for (int index = 1; index < count; index++)
        for (int at = index; at > 0 && kept[at - 1] > kept[at]; at--) {
            int swapped = kept[at];
            kept[at] = kept[at - 1];
            kept[at - 1] = swapped;
        }
    unsigned from = 3;
    for (int index = 0; index < count; index++) {
        if (kept[index] < (int)from) continue;
        if ((unsigned)kept[index] > from) close_range(from, (unsigned)kept[index] - 1, 0);
        from = (unsigned)kept[index] + 1;
    }
    close_range(from, ~0u, 0);
}

static struct stage contained;

_Noreturn void contain(int plan, int status) {
    struct stage *stage = &contained;
    stage_init(stage);
    stage->report = status;
    for (int signal_number = 1; signal_number < 65; signal_number++) signal(signal_number, SIG_DFL);
    prctl(PR_SET_NAME, "lab-init");
    if (stage_run_file(stage, plan) == 0) {
        errno = ENOEXEC;
        stage_fail(stage, "a plan without a program");
    }
    ssize_t written = write(stage->report, &stage->failure, sizeof stage->failure);
    _exit(written == (ssize_t)sizeof stage->failure ? 1 : 125);
}

int stage_ask(struct stage *stage, uint32_t what, int number) {
    struct lab_failure packet = {.step = what, .error = number};
    char answer;
    // Plain write and read: a filter may be in place that knows no other calls.
    if (write(stage->report, &packet, sizeof packet) != (ssize_t)sizeof packet) return -1;
    ssize_t count;
    do count = read(stage->report, &answer, 1);
    while (count < 0 && errno == EINTR);
    if (count == 1) return 0;
    if (count == 0) errno = ECANCELED;
    return -1;
}

int step_fork(struct stage *stage, struct reader *reader) {
    (void)reader;
    // A sibling, not a child: the creator waits for it, or leaves it to whoever adopts the creator's children.
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid < 0) return stage_fail(stage, "clone");
    if (pid > 0) _exit(0);
    setsid();
    struct lab_failure packet = {.step = LAB_FAILURE_FORKED};
    if (write(stage->report, &packet, sizeof packet) != (ssize_t)sizeof packet) return stage_fail(stage, "write");
    return 0;
}

int step_sync(struct stage *stage, struct reader *reader) {
    int reason = (int)read_number(reader);
    if (reader->bad) return 0;
    return stage_ask(stage, LAB_FAILURE_SYNC, reason) < 0 ? stage_fail(stage, "the creator gave up") : 0;
}

int step_hide(struct stage *stage, struct reader *reader) {
    (void)reader;
    return prctl(PR_SET_DUMPABLE, 0) < 0 ? stage_fail(stage, "prctl") : 0;
}

// What a hook reads: the container's state, whose pid only this process knows.
static int state_file(const char *before, const char *after) {
    int file = memfd_create("state", MFD_CLOEXEC);
    if (file < 0) return -1;
    if (dprintf(file, "%s%d%s", before, getpid(), after) < 0 || lseek(file, 0, SEEK_SET) < 0) {
        close(file);
        return -1;
    }
    return file;
}

static _Noreturn void run_hook(const char *path, char **arguments, char **environment, int input) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(input, 0);
    // What it says is for whoever reads this runtime's errors; standard output belongs to the container.
    dup2(2, 1);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    execve(path, arguments, environment);
    _exit(127);
}

int step_hook(struct stage *stage, struct reader *reader) {
    static char *strings[MOST_HOOK_STRINGS];
    const char *path = read_text(reader);
    uint64_t timeout = read_number(reader);
    char **lists[2];
    size_t used = 0;
    for (int list = 0; list < 2; list++) {
        uint64_t count = read_number(reader);
        if (count > MOST_HOOK_STRINGS || used + count + 1 > MOST_HOOK_STRINGS) {
            errno = E2BIG;
            return stage_fail(stage, "more than %d arguments and variables", MOST_HOOK_STRINGS - 2);
        }
        lists[list] = strings + used;
        for (uint64_t index = 0; index < count; index++) strings[used++] = (char *)read_text(reader);
        strings[used++] = NULL;
    }
    const char *before = read_text(reader), *after = read_text(reader);
    if (reader->bad) return 0;
    int input = state_file(before, after);
    if (input < 0) return stage_fail(stage, "memfd");
    pid_t pid = fork();
    if (pid == 0) run_hook(path, lists[0], lists[1], input);
    close(input);
    if (pid < 0) return stage_fail(stage, "fork");
    int status = 0, process = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd wanted = {.fd = process, .events = POLLIN};
    int limit = timeout == 0 ? -1 : timeout > INT_MAX / 1000 ? INT_MAX : (int)timeout * 1000;
    int ended = process < 0 ? -1 : poll(&wanted, 1, limit);
    if (process >= 0) close(process);
    if (ended == 0) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    errno = ended == 0 ? ETIMEDOUT : 0;
    if (ended == 0) return stage_fail(stage, "killed after %llu s", (unsigned long long)timeout);
    if (WIFSIGNALED(status)) return stage_fail(stage, "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ? 0 : stage_fail(stage, "exit status %d", WEXITSTATUS(status));
}

int step_gate_open(struct stage *stage, struct reader *reader) {
    static const char *const names[] = {"exec.fifo", "exec.status"};
    const char *directory = read_text(reader);
    if (reader->bad) return 0;
    int parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) return stage_fail(stage, "open");
    for (int index = 0; index < 2; index++) {
        // Both ways, so that neither opening nor the other side's leaving means anything.
        stage->gate[index] = openat(parent, names[index], O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (stage->gate[index] < 0) return stage_fail(stage, "open %s", names[index]);
    }
    close(parent);
    return 0;
}

int step_gate(struct stage *stage, struct reader *reader) {
    (void)reader;
    struct lab_failure ready = {.step = LAB_FAILURE_READY};
    char answer;
    if (stage->gate[0] < 0) {
        errno = EBADF;
        return stage_fail(stage, "no fifo is open");
    }
    if (write(stage->report, &ready, sizeof ready) != (ssize_t)sizeof ready) return stage_fail(stage, "write");
    close(stage->report);
    stage->report = stage->gate[1];
    ssize_t count;
    do count = read(stage->gate[0], &answer, 1);
    while (count < 0 && errno == EINTR);
    if (count != 1) return stage_fail(stage, "read");
    close(stage->gate[0]);
    stage->gate[0] = -1;
    return 0;
}
