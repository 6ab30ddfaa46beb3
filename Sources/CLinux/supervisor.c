#define _GNU_SOURCE
#include "include/pages.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct supervisor supervisor;

enum { TERMINATE_GRACE = 10000, BACKLOG = 64, BATCH = 32, PUMP_ROUNDS = 4 };

static int64_t clock_now(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t wall_clock(void) { return clock_now(CLOCK_REALTIME); }
int64_t monotonic(void) { return clock_now(CLOCK_MONOTONIC); }

void watch_add(struct watch *watch, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = watch};
    epoll_ctl(supervisor.epoll, EPOLL_CTL_ADD, watch->descriptor, &event);
}

// Also drops it from the epoll set: no child keeps these descriptors, they are all close-on-exec.
void watch_close(struct watch *watch) {
    epoll_ctl(supervisor.epoll, EPOLL_CTL_DEL, watch->descriptor, NULL);
    close(watch->descriptor);
    watch->descriptor = -1;
}

void note_change(struct process *process) { process->change = ++supervisor.changes; }

static void signal_all(int signal_number) {
    // As pid 1, -1 means everything else in the namespace.
    if (supervisor.is_init) {
        kill(-1, signal_number);
        return;
    }
    for (struct process *process = supervisor.processes; process; process = process->next)
        if (!process->dead && process->pid > 0) kill(process->pid, signal_number);
}

void begin_shutdown(int64_t grace) {
    int64_t due = monotonic() + grace * 1000000;
    if (supervisor.stopping && supervisor.stop_due <= due) return;
    supervisor.stop_due = due;
    if (!supervisor.stopping && grace > 0)
        for (struct process *process = supervisor.processes; process; process = process->next)
            if (!process->dead && process->pid > 0) kill(process->pid, SIGTERM);
    supervisor.stopping = true;
}

static void read_signals(void) {
    struct signalfd_siginfo information;
    while (read(supervisor.signals.descriptor, &information, sizeof information) == sizeof information)
        if (information.ssi_signo != SIGCHLD) begin_shutdown(TERMINATE_GRACE);
    process_reap_all();
}

static int milliseconds_until_due(void) {
    int64_t due = supervisor.stopping ? supervisor.stop_due : INT64_MAX;
    for (struct process *process = supervisor.processes; process && !supervisor.stopping; process = process->next)
        if (!process->dead && process->state == LAB_STATE_BACKING_OFF && process->due < due) due = process->due;
    if (attach_stall_due() < due) due = attach_stall_due();
    if (due == INT64_MAX) return -1;
    int64_t left = (due - monotonic() + 999999) / 1000000;
    return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void dispatch(struct watch *watch, uint32_t events) {
    // An earlier event of the same batch may have closed it.
    if (watch->descriptor < 0) return;
    switch (watch->kind) {
    case WATCH_SIGNALS: read_signals(); break;
    case WATCH_LISTENER: control_accept(); break;
    case WATCH_CLIENT: control_ready(watch->owner, events); break;
    case WATCH_STATUS: process_status_ready(watch->owner); break;
    case WATCH_ATTACHED: attach_ready(watch->owner, events); break;
    case WATCH_OUTPUT: {
        struct process *process = watch->owner;
        struct stream *stream = watch == &process->streams[0].watch ? &process->streams[0] : &process->streams[1];
        if (!stream_pump(process, stream, PUMP_ROUNDS, false)) stream_finish(process, stream);
        break;
    }
    }
}

// Frees what died during the batch, when no event can point to it any more.
static void sweep(void) {
    for (struct process **link = &supervisor.processes; *link;) {
        struct process *process = *link;
        if (!process->dead) {
            link = &process->next;
            continue;
        }
        *link = process->next;
        process_free(process);
        supervisor.process_count--;
    }
    for (struct client **link = &supervisor.clients; *link;) {
        struct client *client = *link;
        if (!client->dead) {
            link = &client->next;
            continue;
        }
        *link = client->next;
        free(client);
        supervisor.client_count--;
    }
}

static _Noreturn void loop(void) {
    for (;;) {
        struct epoll_event events[BATCH];
        int count = epoll_wait(supervisor.epoll, events, BATCH, milliseconds_until_due());
        for (int index = 0; index < count; index++) dispatch(events[index].data.ptr, events[index].events);
        process_restart_due();
        attach_drop_stalled();
        if (supervisor.stopping) {
            if (monotonic() >= supervisor.stop_due) {
                signal_all(SIGKILL);
                // Something may not die at once (uninterruptible sleep): try again, not in a spin.
                supervisor.stop_due = monotonic() + 100000000;
            }
            process_reap_all();
        }
        control_tell_followers();
        sweep();
        if (supervisor.spread) {
            // Everybody has been told. A start runs through much that the wait for its end does not need.
            supervisor.spread = false;
            lab_forget_pages(supervisor.pagemap);
        }
    }
}

static int open_listener(int *listener) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control.sock"};
    *listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*listener < 0) return -1;
    // Bound by its relative name: state directories may be longer than sun_path.
    if (fchdir(supervisor.directory) < 0) return -1;
    unlink(address.sun_path);
    mode_t mask = umask(0177);
    int result = bind(*listener, (struct sockaddr *)&address, sizeof address);
    int error = errno;
    umask(mask);
    if (chdir("/") < 0) return -1;
    errno = error;
    return result;
}

static void open_signals(void) {
    // One who is attached may leave at any time.
    signal(SIGPIPE, SIG_IGN);
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigprocmask(SIG_SETMASK, &handled, NULL);
    supervisor.signals = (struct watch){
        .kind = WATCH_SIGNALS, .descriptor = signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK)};
    watch_add(&supervisor.signals, EPOLLIN);
}

static _Noreturn void give_up(struct stage *stage, int status) {
    if (status >= 0 && write(status, &stage->failure, sizeof stage->failure) < 0) _exit(125);
    _exit(126);
}

static int prepare(const char *state_directory, struct stage *stage) {
    supervisor.null_file = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (supervisor.null_file < 0) return stage_fail(stage, "open /dev/null");
    for (int standard = 0; standard < 3; standard++) dup2(supervisor.null_file, standard);
    supervisor.directory = open(state_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (supervisor.directory < 0) return stage_fail(stage, "open %s", state_directory);
    int listener;
    if (open_listener(&listener) < 0) return stage_fail(stage, "bind %s/control.sock", state_directory);
    supervisor.listener = (struct watch){.kind = WATCH_LISTENER, .descriptor = listener};
    supervisor.epoll = epoll_create1(EPOLL_CLOEXEC);
    return supervisor.epoll < 0 ? stage_fail(stage, "epoll_create") : 0;
}

_Noreturn void supervise(const char *state_directory, int plan, int status) {
    struct stage *stage = &supervisor.stage;
    setsid();
    umask(022);
    prctl(PR_SET_NAME, "lab-supervisor");
    supervisor.is_init = getpid() == 1;
    if (!supervisor.is_init) prctl(PR_SET_CHILD_SUBREAPER, 1);
    // Later /proc may be another one, or none.
    supervisor.pagemap = lab_open_pagemap();
    // The socket, the directory and /dev/null are the creator's: they are opened before the root may change.
    if (prepare(state_directory, stage) < 0) give_up(stage, status);
    if (plan >= 0 && stage_run_file(stage, plan) < 0) give_up(stage, status);
    if (stage->root >= 0) close(stage->root);
    // Of the supervisor's own plan, only the held descriptors matter to its children's.
    stage->root = -1;
    stage->tree_count = 0;
    stage->failure.step = LAB_FAILURE_NO_STEP;
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    supervisor.own_pid_namespace = self;
    if (listen(supervisor.listener.descriptor, BACKLOG) < 0) {
        stage_fail(stage, "listen");
        give_up(stage, status);
    }
    open_signals();
    watch_add(&supervisor.listener, EPOLLIN);
    // Start-up touched pages all over the binary, and the kernel maps sixteen around each.
    lab_forget_pages(supervisor.pagemap);
    struct lab_failure ready = {.step = LAB_FAILURE_READY};
    if (status >= 0) {
        // A creator that died meanwhile does not end the sandbox: SIGPIPE must not either.
        signal(SIGPIPE, SIG_IGN);
        ssize_t written = write(status, &ready, sizeof ready);
        (void)written;
        close(status);
    }
    loop();
}
