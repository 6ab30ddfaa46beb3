// Who the program is and what it may do, and at last the program.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST_GROUPS = 1024, MOST_STRINGS = 8192, HIGH_DESCRIPTOR = 300, HIGHEST_INHERITED = 255 };

int step_rlimit(struct stage *stage, struct reader *reader) {
    int resource = (int)read_number(reader);
    struct rlimit wanted = {.rlim_cur = read_number(reader), .rlim_max = read_number(reader)};
    if (reader->bad || setrlimit(resource, &wanted) == 0) return 0;
    if (errno != EPERM) return stage_fail(stage, "setrlimit");
    // Raising the hard limit needs CAP_SYS_RESOURCE: what is allowed is taken.
    struct rlimit now;
    if (getrlimit(resource, &now) < 0) return stage_fail(stage, "getrlimit");
    if (wanted.rlim_max > now.rlim_max) wanted.rlim_max = now.rlim_max;
    if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
    return setrlimit(resource, &wanted) < 0 ? stage_fail(stage, "setrlimit") : 0;
}

// A working directory that the root does not contain has no name in it: somebody found a way out, by a descriptor or a
// race.
static int is_inside(struct stage *stage) {
    char name[PATH_MAX];
    long length = syscall(SYS_getcwd, name, sizeof name);
    if (length > 0 && name[0] == '/') return 0;
    errno = length < 0 ? errno : EPERM;
    return stage_fail(stage, "the working directory is outside of the root");
}

int step_chdir(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    bool made = read_number(reader);
    if (reader->bad) return 0;
    if (chdir(path) == 0) return is_inside(stage);
    if (errno != ENOENT || !made) return stage_fail(stage, "chdir");
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int directory = root < 0 ? -1 : root_open(root, path, MISSING_DIRECTORY);
    if (directory < 0) return stage_fail(stage, "mkdir");
    if (fchdir(directory) < 0) return stage_fail(stage, "fchdir");
    close(directory);
    close(root);
    return is_inside(stage);
}

static int drop_bounding(uint64_t kept) {
    for (int capability = 0; capability < 64; capability++) {
        if (kept >> capability & 1) continue;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
        // The kernel knows fewer than 64.
        return errno == EINVAL ? 0 : -1;
    }
    return 0;
}

int step_identity(struct stage *stage, struct reader *reader) {
    uint32_t uid = (uint32_t)read_number(reader), gid = (uint32_t)read_number(reader);
    gid_t groups[MOST_GROUPS];
    uint64_t count = read_number(reader);
    if (count > MOST_GROUPS) reader->bad = true;
    for (uint64_t index = 0; index < count && !reader->bad; index++) groups[index] = (gid_t)read_number(reader);
    bool limited = read_number(reader);
    uint64_t bounding = read_number(reader), effective = read_number(reader), permitted = read_number(reader);
    uint64_t inheritable = read_number(reader), ambient = read_number(reader);
    if (reader->bad) return 0;
    if (limited && drop_bounding(bounding) < 0) return stage_fail(stage, "drop the bounding set");
    if (limited && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return stage_fail(stage, "keep capabilities");
    // The raw calls change this one thread; there is no other.
    // A user namespace that was made without privilege allows no change, and has none to take back.
    if (syscall(SYS_setgroups, count, groups) < 0 && (errno != EPERM || count > 0)) return stage_fail(stage, "setgroups");
    if (syscall(SYS_setresgid, gid, gid, gid) < 0) return stage_fail(stage, "setgid");
    if (syscall(SYS_setresuid, uid, uid, uid) < 0) return stage_fail(stage, "setuid");
    if (!limited) return 0;
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2], data[2];
    if (syscall(SYS_capget, &head, now) < 0) return stage_fail(stage, "capget");
    memset(data, 0, sizeof data);
    for (int half = 0; half < 2; half++) {
        // What the creator does not have cannot be given.
        uint32_t held = now[half].permitted;
        data[half].permitted = (uint32_t)(permitted >> (32 * half)) & held;
        data[half].effective = (uint32_t)(effective >> (32 * half)) & data[half].permitted;
        data[half].inheritable = (uint32_t)(inheritable >> (32 * half)) & held;
    }
    if (syscall(SYS_capset, &head, data) < 0) return stage_fail(stage, "capset");
    for (int capability = 0; capability < 64; capability++) {
        if (!(ambient >> capability & 1)) continue;
        // Only what is permitted and inheritable can be ambient; the rest is left out, as other runtimes do.
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0 && errno != EPERM && errno != EINVAL)
            return stage_fail(stage, "ambient capabilities");
    }
    return 0;
}

int step_no_new_privs(struct stage *stage, struct reader *reader) {
    (void)reader;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? stage_fail(stage, "prctl") : 0;
}

int step_seccomp(struct stage *stage, struct reader *reader) {
    size_t length;
    const char *bytes = read_bytes(reader, &length);
    unsigned flags = (unsigned)read_number(reader);
    if (reader->bad) return 0;
    static struct sock_filter filter[BPF_MAXINSNS];
    size_t count = length / sizeof *filter;
    if (count == 0 || count > BPF_MAXINSNS) {
        errno = EINVAL;
        return stage_fail(stage, "filter of %zu instructions", count);
    }
    memcpy(filter, bytes, count * sizeof *filter);
    struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (listener < 0) return stage_fail(stage, "seccomp");
    if (!(flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)) return 0;
    if (stage_ask(stage, LAB_FAILURE_LISTENER, listener) < 0) return stage_fail(stage, "hand over the listener");
    close(listener);
    return 0;
}

int step_inherit(struct stage *stage, struct reader *reader) {
    int numbers[HELD], sources[HELD];
    uint64_t count = read_number(reader);
    if (count > HELD) reader->bad = true;
    // Sources move out of the way first: one process's target may be another source's number.
    for (uint64_t index = 0; index < count && !reader->bad; index++) {
        numbers[index] = (int)read_number(reader);
        const char *name = read_text(reader);
        int source = -1;
        for (int held = 0; held < stage->held_count; held++)
            if (strcmp(stage->held[held].name, name) == 0) source = stage->held[held].descriptor;
        if (source < 0 || numbers[index] < 0 || numbers[index] > HIGHEST_INHERITED) {
            errno = source < 0 ? ENOENT : EBADF;
            return stage_fail(stage, source < 0 ? "no descriptor is held as %s" : "number for %s", name);
        }
        sources[index] = fcntl(source, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR);
        if (sources[index] < 0) return stage_fail(stage, "dup");
    }
    for (uint64_t index = 0; index < count && !reader->bad; index++)
        if (dup2(sources[index], numbers[index]) < 0) return stage_fail(stage, "dup2");
    return 0;
}

static const char *variable(char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') return *environment + length + 1;
    return NULL;
}

#define USUAL_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Like execvpe, but with the PATH of the new environment. Returns only on failure, with errno.
static void execute(char *const *arguments, char *const *environment) {
    const char *program = arguments[0];
    if (strchr(program, '/')) {
        execve(program, arguments, environment);
        return;
    }
    const char *path = variable(environment, "PATH");
    if (!path) path = USUAL_PATH;
    int error = ENOENT;
    while (*program) {
        size_t length = strcspn(path, ":");
        char candidate[PATH_MAX];
        int size = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, length ? path : ".", program);
        if (size < (int)sizeof candidate) {
            execve(candidate, arguments, environment);
            if (errno != ENOENT && errno != ENOTDIR) error = errno;
        }
        if (!path[length]) break;
        path += length + 1;
    }
    errno = error;
}

static bool is_program(const char *path) {
    struct stat status;
    if (stat(path, &status) < 0) return false;
    if (S_ISDIR(status.st_mode)) {
        errno = EACCES;
        return false;
    }
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

int step_find(struct stage *stage, struct reader *reader) {
    const char *program = read_text(reader), *path = read_text(reader);
    if (reader->bad) return 0;
    if (strchr(program, '/')) return is_program(program) ? 0 : stage_fail(stage, "stat");
    if (!*path) path = USUAL_PATH;
    int error = ENOENT;
    while (*program) {
        size_t length = strcspn(path, ":");
        char candidate[PATH_MAX];
        int size = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, length ? path : ".", program);
        if (size < (int)sizeof candidate && is_program(candidate)) return 0;
        if (errno == EACCES) error = EACCES;
        if (!path[length]) break;
        path += length + 1;
    }
    errno = error;
    return stage_fail(stage, error == ENOENT ? "executable file not found in $PATH" : "stat");
}

int step_own_streams(struct stage *stage, struct reader *reader) {
    uid_t uid = (uid_t)read_number(reader);
    if (reader->bad) return 0;
    struct stat null, status;
    bool known = stat("/dev/null", &null) == 0;
    for (int stream = 0; stream < 3; stream++) {
        if (fstat(stream, &status) < 0 || status.st_uid == uid) continue;
        if (known && S_ISCHR(status.st_mode) && status.st_rdev == null.st_rdev) continue;
        // Not every file has an owner that can be changed, and one that the user namespace does not know cannot be.
        if (fchown(stream, uid, (gid_t)-1) < 0 && errno != EINVAL && errno != EPERM && errno != EROFS)
            return stage_fail(stage, "fchown of a standard stream");
    }
    return 0;
}

int step_exec(struct stage *stage, struct reader *reader) {
    static char *strings[MOST_STRINGS];
    char **arguments = strings, **environment = NULL;
    size_t used = 0;
    for (int list = 0; list < 2; list++) {
        uint64_t count = read_number(reader);
        if (count > MOST_STRINGS || used + count + 1 > MOST_STRINGS) {
            errno = E2BIG;
            return stage_fail(stage, "more than %d arguments and variables", MOST_STRINGS - 2);
        }
        if (list == 1) environment = strings + used;
        for (uint64_t index = 0; index < count; index++) strings[used++] = (char *)read_text(reader);
        strings[used++] = NULL;
    }
    if (reader->bad) return 0;
    if (!arguments[0]) {
        errno = EINVAL;
        return stage_fail(stage, "no program");
    }
    execute(arguments, environment);
    return stage_fail(stage, "execve");
}
