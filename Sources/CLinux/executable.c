// Starting this binary as something else, without giving a container a way to change it.
//
// While a process of ours is in a container, /proc/PID/exe leads to our file, and so does a program `/proc/self/exe` that
// an image names. So what is executed is not the file's own mount but a read-only one that belongs to no namespace:
// opened through it the file cannot be written to, and nobody can change the mount. It costs two system calls.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 * 1024 };

static int sealed_copy(const char *path) {
    int source = open(path, O_RDONLY | O_CLOEXEC);
    if (source < 0) return -1;
    int copy = memfd_create("lab", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ssize_t count = 1;
    while (copy >= 0 && count > 0) count = sendfile(copy, source, NULL, 1 << 30);
    int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    if (copy >= 0 && (count < 0 || fcntl(copy, F_ADD_SEALS, seals) < 0)) {
        int error = errno;
        close(copy);
        errno = error;
        copy = -1;
    }
    int error = errno;
    close(source);
    errno = error;
    return copy;
}

int lab_protected_executable(const char *path) {
    struct stat status;
    // Told apart from a kernel that refuses the mount: what is missing cannot be copied either.
    if (stat(path, &status) < 0) return -1;
    int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct mount_attr change = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
    if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &change, sizeof change) == 0) return tree;
    if (tree >= 0) close(tree);
    return sealed_copy(path);
}

struct spawn {
    int executable, plan, status, kept;
    int error;
};

// Shares the caller's memory until exec: no allocation, no locks.
static int become_contained(void *argument) {
    struct spawn *spawn = argument;
    int first = 3 + spawn->kept;
    int plan = fcntl(spawn->plan, F_DUPFD, first), status = fcntl(spawn->status, F_DUPFD, first);
    if (plan >= 0 && status >= 0 && close_range((unsigned)first, ~0u, CLOSE_RANGE_CLOEXEC) == 0) {
        char numbers[2][16];
        snprintf(numbers[0], sizeof numbers[0], "%d", plan);
        snprintf(numbers[1], sizeof numbers[1], "%d", status);
        fcntl(plan, F_SETFD, 0);
        fcntl(status, F_SETFD, 0);
        for (int number = 3; number < first; number++) fcntl(number, F_SETFD, 0);
        char *arguments[] = {"lab", LAB_CONTAIN_MARKER, numbers[0], numbers[1], NULL};
        char *environment[] = {NULL};
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execveat(spawn->executable, "", arguments, environment, AT_EMPTY_PATH);
    }
    spawn->error = errno;
    _exit(127);
}

pid_t lab_spawn_contained(int executable, int plan, int status, int kept) {
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) return -errno;
    struct spawn spawn = {.executable = executable, .plan = plan, .status = status, .kept = kept};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = clone(become_contained, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &spawn);
    int error = pid < 0 ? errno : spawn.error;
    if (pid > 0 && error)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    munmap(stack, STACK);
    return error ? -error : pid;
}
