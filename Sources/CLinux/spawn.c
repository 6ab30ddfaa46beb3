// How a process becomes a supervisor: clone with shared memory, exec of the same binary, and
// `.preinit_array`, which runs before any Swift code.

#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 * 1024, PLAN_NUMBER = 3, STATUS_NUMBER = 4, FREE_NUMBER = 10 };

#define INHERITED "inherited"

struct spawn {
    const char *state_directory;
    unsigned long flags;
    int executable, pid_namespace, plan, status;
    char *stack;  // of the inner child
    pid_t pid;
    int error;
};

// The child shares the caller's memory until exec: no allocation, no locks, and what it writes is seen there.
static int become_supervisor(void *argument) {
    struct spawn *spawn = argument;
    int plan = fcntl(spawn->plan, F_DUPFD, FREE_NUMBER), status = fcntl(spawn->status, F_DUPFD, FREE_NUMBER);
    if (plan >= 0 && status >= 0 && dup2(plan, PLAN_NUMBER) >= 0 && dup2(status, STATUS_NUMBER) >= 0 &&
        close_range(STATUS_NUMBER + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0) {
        char *arguments[] = {"lab", LAB_SUPERVISE_MARKER, (char *)spawn->state_directory, INHERITED, NULL};
        char *environment[] = {NULL};
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execveat(spawn->executable, "", arguments, environment, AT_EMPTY_PATH);
    }
    spawn->error = errno;
    _exit(127);
}

// Stands between the caller and the supervisor, so that the latter is reaped by init, not by the caller.
static int stand_between(void *argument) {
    struct spawn *spawn = argument;
    if (spawn->pid_namespace >= 0 && setns(spawn->pid_namespace, CLONE_NEWPID) < 0) {
        spawn->error = errno;
        _exit(1);
    }
    pid_t pid = clone(become_supervisor, spawn->stack + STACK, (int)(CLONE_VM | CLONE_VFORK | SIGCHLD | spawn->flags),
                      spawn);
    if (pid < 0)
        spawn->error = errno;
    else
        spawn->pid = pid;
    _exit(0);
}

pid_t lab_spawn_supervisor(
    const char *path, const char *state_directory, unsigned long clone_flags, int pid_namespace, int plan, int status) {
    char *stacks = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stacks == MAP_FAILED) return -errno;
    // Its children may end up in containers, which shall have no way to write to this binary.
    int executable = lab_protected_executable(path);
    if (executable < 0) {
        int missing = errno;
        munmap(stacks, 2 * STACK);
        return -missing;
    }
    struct spawn spawn = {
        .state_directory = state_directory, .flags = clone_flags, .executable = executable,
        .pid_namespace = pid_namespace, .plan = plan, .status = status, .stack = stacks + STACK};
    sigset_t all, before;
    sigfillset(&all);
    // No handler of the caller's may run on a borrowed stack.
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // Exit signal 0: nobody who waits for ordinary children sees the one in between.
    pid_t between = clone(stand_between, stacks + STACK, CLONE_VM | CLONE_VFORK, &spawn);
    int error = errno;
    if (between > 0) {
        while (waitpid(between, NULL, __WCLONE) < 0 && errno == EINTR) continue;
        error = spawn.error;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stacks, 2 * STACK);
    close(executable);
    return error ? -error : spawn.pid;
}

static void hold_inherited(const char *argument) {
    const char *number = argument + strlen(LAB_HELD_ARGUMENT), *name = strchr(number, ':');
    struct stage *stage = &supervisor.stage;
    if (!name || strlen(name + 1) >= sizeof stage->held[0].name || stage->held_count == HELD) return;
    struct held *held = &stage->held[stage->held_count++];
    strcpy(held->name, name + 1);
    held->descriptor = atoi(number);
    fcntl(held->descriptor, F_SETFD, FD_CLOEXEC);
}

// `lab lab:supervise DIRECTORY [inherited] [held=NUMBER:NAME …]`: with `inherited`, descriptor 3 is the plan and 4 the
// status pipe; without, an outer supervisor's plan has prepared everything.
static void enter_stage(int count, char **arguments, char **environment) {
    (void)environment;
    if (count >= 3 && strcmp(arguments[1], LAB_SUPERVISE_MARKER) == 0) {
        bool inherited = false;
        stage_init(&supervisor.stage);
        for (int index = 3; index < count; index++) {
            if (strcmp(arguments[index], INHERITED) == 0) inherited = true;
            if (strncmp(arguments[index], LAB_HELD_ARGUMENT, strlen(LAB_HELD_ARGUMENT)) == 0)
                hold_inherited(arguments[index]);
        }
        if (inherited) {
            fcntl(PLAN_NUMBER, F_SETFD, FD_CLOEXEC);
            fcntl(STATUS_NUMBER, F_SETFD, FD_CLOEXEC);
        }
        supervise(arguments[2], inherited ? PLAN_NUMBER : -1, inherited ? STATUS_NUMBER : -1);
    }
    if (count == 4 && strcmp(arguments[1], LAB_CONTAIN_MARKER) == 0) {
        int plan = atoi(arguments[2]), status = atoi(arguments[3]);
        fcntl(plan, F_SETFD, FD_CLOEXEC);
        fcntl(status, F_SETFD, FD_CLOEXEC);
        contain(plan, status);
    }
    // The static Swift runtime asks /proc for its own path and aborts where there is none.
    if (access("/proc/self/exe", F_OK) < 0) setenv("SWIFT_ROOT", "/", 0);
}

__attribute__((section(".preinit_array"), used, retain)) static void (*const enter_stage_pointer)(
    int, char **, char **) = enter_stage;
