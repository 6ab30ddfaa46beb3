// The life of one supervised process.

#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FIRST_BACKOFF = 100,       // milliseconds, doubled each time
    DRAIN_ROUNDS = 64,         // buffers of 16 KiB read from a pipe whose process has ended: what a pipe can hold
    STATUS_DESCRIPTOR = 500,   // above every number that a plan may hand to the program
};

struct process *process_find(const char *id) {
    for (struct process *process = supervisor.processes; process; process = process->next)
        if (!process->dead && strcmp(process->id, id) == 0) return process;
    return NULL;
}

// The number after `oom_kill ` in memory.oom_control (v1) or memory.events (v2), 0 where there is none.
static int64_t oom_kills(int counter) {
    char text[512];
    if (counter < 0) return 0;
    ssize_t length = pread(counter, text, sizeof text - 1, 0);
    if (length <= 0) return 0;
    text[length] = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, "oom_kill ", 9) == 0) return atoll(line + 9);
    }
    return 0;
}

// Runs in the child: everything until exec. Only async-signal-safe work and the plan.
static _Noreturn void child(struct process *process, int status, int in, int out, int err) {
    int report = fcntl(status, F_DUPFD_CLOEXEC, STATUS_DESCRIPTOR);
    if (report < 0) report = status;
    for (int signal_number = 1; signal_number < 65; signal_number++) signal(signal_number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    umask(022);
    // Without a pid namespace of the supervisor's own nothing else ends its children with it.
    if (!supervisor.is_init) prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    struct stage *stage = &supervisor.stage;
    stage->report = report;
    // The program cannot inherit the supervisor's descriptors, but until exec it could name them: a working directory of
    // /proc/self/fd/4 would lead out of its root. So they are closed now.
    int kept[HELD + 2] = {report, process->plan}, count = 2;
    for (int index = 0; index < stage->held_count; index++) kept[count++] = stage->held[index].descriptor;
    close_all_but(kept, count);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    prctl(PR_SET_DUMPABLE, 0);
    if (stage_run_file(stage, process->plan) == 0) {
        errno = ENOEXEC;
        stage_fail(stage, "a plan without a program");
    }
    ssize_t written = write(report, &stage->failure, sizeof stage->failure);
    _exit(written == (ssize_t)sizeof stage->failure ? 126 : 125);
}

// Children of a namespace that already exists: the creator's pid_for_children is switched there and back.
static pid_t clone_process(struct process *process) {
    int target = -1;
    if (process->pid_namespace) {
        target = open(process->pid_namespace, O_RDONLY | O_CLOEXEC);
        if (target < 0 || setns(target, CLONE_NEWPID) < 0) {
            int error = errno;
            if (target >= 0) close(target);
            errno = error;
            return -1;
        }
    }
    pid_t pid = (pid_t)syscall(SYS_clone, process->clone_flags | SIGCHLD, NULL, NULL, NULL, NULL);
    int error = errno;
    if (target >= 0 && pid != 0) {
        setns(supervisor.own_pid_namespace, CLONE_NEWPID);
        close(target);
    }
    errno = error;
    return pid;
}

struct pipes {
    int status[2], in[2], out[2], err[2];
};

static void close_pipes(struct pipes *pipes) {
    int *all = (int *)pipes;
    for (size_t index = 0; index < sizeof *pipes / sizeof *all; index++)
        if (all[index] >= 0) close(all[index]);
}

static int make_pipes(struct process *process, struct pipes *pipes) {
    memset(pipes, -1, sizeof *pipes);
    // Packets that are whole or absent, and may carry a descriptor.
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pipes->status) < 0) return -1;
    if (process->terminal_kind != LAB_TERMINAL_NONE) return 0;
    if (process->input_kind != LAB_INPUT_NONE) {
        if (pipe2(pipes->in, O_CLOEXEC) < 0) return -1;
        fchown(pipes->in[0], process->uid, process->gid) < 0 ? (void)0 : (void)0;
    }
    if (process->output != LAB_OUTPUT_CRI) return 0;
    if (pipe2(pipes->out, O_CLOEXEC) < 0 || pipe2(pipes->err, O_CLOEXEC) < 0) return -1;
    // The program may open /dev/stdout again, as the user that it became.
    fchown(pipes->out[1], process->uid, process->gid) < 0 ? (void)0 : (void)0;
    fchown(pipes->err[1], process->uid, process->gid) < 0 ? (void)0 : (void)0;
    fcntl(pipes->out[0], F_SETFL, O_NONBLOCK);
    fcntl(pipes->err[0], F_SETFL, O_NONBLOCK);
    return 0;
}

static void watch_pipe(struct process *process, struct watch *watch, enum watch_kind kind, int *descriptor) {
    if (*descriptor < 0) return;
    *watch = (struct watch){.kind = kind, .descriptor = *descriptor, .owner = process};
    *descriptor = -1;
    watch_add(watch, EPOLLIN);
}

// The process has its own copies: an end is seen when the last of those is closed.
static void close_passed(struct process *process) {
    for (int stream = 0; stream < 3; stream++) {
        if (process->passed[stream] >= 0) close(process->passed[stream]);
        process->passed[stream] = -1;
    }
}

static void close_terminal(struct process *process) {
    if (process->terminal >= 0) close(process->terminal);
    process->terminal = -1;
}

void process_close_input(struct process *process) {
    if (process->input >= 0) close(process->input);
    process->input = -1;
}

// The child's terminal: what it shows is logged and goes to those who are attached, unless the starter takes it.
static void take_terminal(struct process *process, int terminal) {
    close_terminal(process);
    process->terminal = terminal;
    if (process->terminal_kind != LAB_TERMINAL_KEPT) return;
    int output = fcntl(terminal, F_DUPFD_CLOEXEC, 0);
    fcntl(terminal, F_SETFL, O_RDWR | O_NONBLOCK);
    watch_pipe(process, &process->streams[0].watch, WATCH_OUTPUT, &output);
}

int process_start(struct process *process, struct lab_failure *failure) {
    struct pipes pipes;
    *failure = (struct lab_failure){.step = LAB_FAILURE_NO_STEP};
    if (make_pipes(process, &pipes) < 0) {
        failure->error = errno;
        snprintf(failure->detail, sizeof failure->detail, "pipe");
        close_pipes(&pipes);
        return -1;
    }
    int raw = process->output == LAB_OUTPUT_FILE ? process->log.descriptor : supervisor.null_file;
    int in = pipes.in[0] >= 0 ? pipes.in[0] : process->passed[0] >= 0 ? process->passed[0] : supervisor.null_file;
    int out = pipes.out[1] >= 0 ? pipes.out[1] : process->passed[1] >= 0 ? process->passed[1] : raw;
    int err = pipes.err[1] >= 0 ? pipes.err[1] : process->passed[2] >= 0 ? process->passed[2] : raw;
    process->oom_kills = oom_kills(process->oom_counter);
    pid_t pid = clone_process(process);
    if (pid == 0) child(process, pipes.status[1], in, out, err);
    if (pid < 0) {
        failure->error = errno;
        snprintf(failure->detail, sizeof failure->detail, "clone");
        close_pipes(&pipes);
        return -1;
    }
    process->pid = pid;
    process->state = LAB_STATE_RUNNING;
    process->starting = true;
    process->started = wall_clock();
    process->began = monotonic();
    for (int index = 0; index < 2; index++)
        if (process->streams[index].watch.descriptor >= 0) stream_finish(process, &process->streams[index]);
    process->streams[0].name = "stdout";
    process->streams[1].name = "stderr";
    process->input = pipes.in[1];
    pipes.in[1] = -1;
    close_passed(process);
    watch_pipe(process, &process->status, WATCH_STATUS, &pipes.status[0]);
    watch_pipe(process, &process->streams[0].watch, WATCH_OUTPUT, &pipes.out[0]);
    watch_pipe(process, &process->streams[1].watch, WATCH_OUTPUT, &pipes.err[0]);
    close_pipes(&pipes);
    return 0;
}

static void schedule_restart(struct process *process) {
    // At once the first time; a process that ran longer than the longest pause starts afresh.
    if (monotonic() - process->began > process->longest_backoff * 1000000) process->backoff = 0;
    process->state = LAB_STATE_BACKING_OFF;
    process->due = monotonic() + process->backoff * 1000000;
    process->ended = wall_clock() + process->backoff * 1000000;
    process->backoff = process->backoff ? process->backoff * 2 : FIRST_BACKOFF;
    if (process->backoff > process->longest_backoff) process->backoff = process->longest_backoff;
    note_change(process);
}

// One packet of the status socket; `*descriptor` is what it carries, or -1.
static ssize_t receive_status(struct process *process, struct lab_failure *failure, int *descriptor) {
    struct iovec part = {failure, sizeof *failure};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space};
    ssize_t count = recvmsg(process->status.descriptor, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = count < 0 ? NULL : CMSG_FIRSTHDR(&message);
    *descriptor = -1;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    return count;
}

void process_status_ready(struct process *process) {
    struct lab_failure failure;
    int terminal;
    ssize_t count = receive_status(process, &failure, &terminal);
    if (count < 0 && errno == EINTR) return;
    if (terminal >= 0) return take_terminal(process, terminal);
    watch_close(&process->status);
    process->starting = false;
    supervisor.spread = true;
    struct client *starter = process->starter;
    process->starter = NULL;
    if (count != (ssize_t)sizeof failure) {
        // The pipe was closed by exec.
        note_change(process);
        if (starter) control_started(starter, process);
        // Nobody who was to have the terminal is left to be told: closing it hangs the process up.
        if (process->terminal_kind == LAB_TERMINAL_HANDED) close_terminal(process);
        return;
    }
    int wait_status;
    waitpid(process->pid, &wait_status, 0);
    process->pid = 0;
    if (process->restarts > 0 && !process->removing && !supervisor.stopping) {
        process->code = 128;
        process->signal = 0;
        schedule_restart(process);
        return;
    }
    if (starter) control_failed(starter, &failure);
    process_forget(process);
}

// `<id>.exit`, complete or absent: the kubelet reads it after the supervisor is gone.
static void record_exit(struct process *process) {
    char temporary[ID_SIZE + 8], final[ID_SIZE + 8], text[256];
    snprintf(temporary, sizeof temporary, "%s.exit~", process->id);
    snprintf(final, sizeof final, "%s.exit", process->id);
    int length = snprintf(text, sizeof text, "code=%d signal=%d oom=%d started=%lld ended=%lld restarts=%d\n",
                          process->code, process->signal, process->out_of_memory, (long long)process->started,
                          (long long)process->ended, process->restarts);
    int file = openat(supervisor.directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return;
    bool written = write(file, text, (size_t)length) == length;
    close(file);
    if (written)
        renameat(supervisor.directory, temporary, supervisor.directory, final);
    else
        unlinkat(supervisor.directory, temporary, 0);
}

static void ended(struct process *process, int wait_status) {
    // The child may have been reaped before its last words were read: a terminal and a failure at most.
    while (process->starting) {
        process_status_ready(process);
        if (process->dead || process->pid == 0) return;
    }
    for (int index = 0; index < 2; index++) {
        struct stream *stream = &process->streams[index];
        if (stream->watch.descriptor < 0) continue;
        // What was written before the end belongs to the log before the end is told; a grandchild that
        // still holds the pipe keeps it open.
        if (!stream_pump(process, stream, DRAIN_ROUNDS, true)) stream_finish(process, stream);
    }
    process_close_input(process);
    close_terminal(process);
    process->pid = 0;
    attach_process_ended(process);
    process->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    process->code = WIFSIGNALED(wait_status) ? 128 + process->signal : WEXITSTATUS(wait_status);
    process->out_of_memory = oom_kills(process->oom_counter) > process->oom_kills;
    process->state = LAB_STATE_EXITED;
    process->ended = wall_clock();
    if (process->removing) {
        struct client *remover = process->remover;
        process_forget(process);
        if (remover) control_done(remover);
        return;
    }
    record_exit(process);
    if (process->longest_backoff > 0 && !supervisor.stopping)
        schedule_restart(process);
    else
        note_change(process);
}

void process_reap_all(void) {
    int status;
    pid_t pid;
    // Also the orphans of the namespace, of whom nothing is known.
    while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
        for (struct process *process = supervisor.processes; process; process = process->next)
            if (!process->dead && process->pid == pid) {
                ended(process, status);
                break;
            }
    if (pid < 0 && errno == ECHILD && supervisor.stopping) _exit(0);
}

void process_restart_due(void) {
    int64_t now = monotonic();
    for (struct process *process = supervisor.processes; process; process = process->next) {
        if (process->dead || process->state != LAB_STATE_BACKING_OFF || process->due > now) continue;
        if (supervisor.stopping) continue;
        struct lab_failure failure;
        process->restarts++;
        if (process_start(process, &failure) < 0) schedule_restart(process);
    }
}

void process_forget(struct process *process) {
    char record[ID_SIZE + 8];
    snprintf(record, sizeof record, "%s.exit", process->id);
    unlinkat(supervisor.directory, record, 0);
    for (int index = 0; index < 2; index++)
        if (process->streams[index].watch.descriptor >= 0) stream_finish(process, &process->streams[index]);
    if (process->status.descriptor >= 0) watch_close(&process->status);
    process->dead = true;
}

void process_free(struct process *process) {
    attach_process_forgotten(process);
    process_close_input(process);
    close_terminal(process);
    close_passed(process);
    log_close(&process->log);
    if (process->plan >= 0) close(process->plan);
    if (process->oom_counter >= 0) close(process->oom_counter);
    free(process->pid_namespace);
    free(process);
}
