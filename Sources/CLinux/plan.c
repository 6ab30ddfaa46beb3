#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t read_number(struct reader *reader) {
    uint64_t value = 0;
    if (reader->bad || reader->end - reader->at < (ptrdiff_t)sizeof value) {
        reader->bad = true;
        return 0;
    }
    memcpy(&value, reader->at, sizeof value);
    reader->at += sizeof value;
    return value;
}

const char *read_bytes(struct reader *reader, size_t *length) {
    uint32_t count = 0;
    *length = 0;
    if (reader->bad || reader->end - reader->at < (ptrdiff_t)sizeof count) {
        reader->bad = true;
        return "";
    }
    memcpy(&count, reader->at, sizeof count);
    size_t left = (size_t)(reader->end - reader->at) - sizeof count;
    if (count >= left || reader->at[sizeof count + count] != 0) {
        reader->bad = true;
        return "";
    }
    const char *text = (const char *)reader->at + sizeof count;
    reader->at += sizeof count + count + 1;
    *length = count;
    return text;
}

const char *read_text(struct reader *reader) {
    size_t length;
    return read_bytes(reader, &length);
}

void stage_init(struct stage *stage) {
    memset(stage, 0, sizeof *stage);
    stage->root = stage->report = stage->gate[0] = stage->gate[1] = -1;
    stage->failure.step = LAB_FAILURE_NO_STEP;
}

int stage_fail(struct stage *stage, const char *format, ...) {
    stage->failure.error = errno;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(stage->failure.detail, sizeof stage->failure.detail, format, arguments);
    va_end(arguments);
    return -1;
}

static int step_write(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    size_t length;
    const char *content = read_bytes(reader, &length);
    uint64_t tolerated = read_number(reader);
    if (reader->bad) return 0;
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool done = file >= 0 && write(file, content, length) == (ssize_t)length;
    int error = errno;
    if (file >= 0) close(file);
    if (done) return 0;
    if ((tolerated & LAB_TOLERATE_MISSING) && error == ENOENT) return 0;
    if ((tolerated & LAB_TOLERATE_DENIED) && (error == EACCES || error == EPERM)) return 0;
    errno = error;
    return stage_fail(stage, file < 0 ? "open" : "write");
}

static int step_hold(struct stage *stage, struct reader *reader) {
    const char *name = read_text(reader), *path = read_text(reader);
    if (reader->bad) return 0;
    if (stage->held_count == HELD || strlen(name) >= sizeof stage->held[0].name) {
        errno = E2BIG;
        return stage_fail(stage, "too many held descriptors, or too long a name");
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return stage_fail(stage, "open");
    struct held *held = &stage->held[stage->held_count++];
    strcpy(held->name, name);
    held->descriptor = descriptor;
    return 0;
}

static int step_setns(struct stage *stage, struct reader *reader) {
    // Entering a mount namespace changes what paths mean, so all are opened first.
    int opened[8], kinds[8];
    uint64_t count = read_number(reader);
    if (count > 8) reader->bad = true;
    for (uint64_t index = 0; index < count && !reader->bad; index++) {
        const char *path = read_text(reader);
        kinds[index] = (int)read_number(reader);
        opened[index] = open(path, O_RDONLY | O_CLOEXEC);
        if (opened[index] < 0) return stage_fail(stage, "open %s", path);
    }
    for (uint64_t index = 0; index < count && !reader->bad; index++) {
        if (setns(opened[index], kinds[index]) < 0) return stage_fail(stage, "setns %#x", (unsigned)kinds[index]);
        close(opened[index]);
    }
    return 0;
}

static int step_unshare(struct stage *stage, struct reader *reader) {
    int flags = (int)read_number(reader);
    if (!reader->bad && unshare(flags) < 0) return stage_fail(stage, "unshare");
    return 0;
}

static int step_hostname(struct stage *stage, struct reader *reader) {
    size_t length;
    const char *name = read_bytes(reader, &length);
    if (!reader->bad && sethostname(name, length) < 0) return stage_fail(stage, "sethostname");
    return 0;
}

static int step_domain_name(struct stage *stage, struct reader *reader) {
    size_t length;
    const char *name = read_bytes(reader, &length);
    if (!reader->bad && setdomainname(name, length) < 0) return stage_fail(stage, "setdomainname");
    return 0;
}

static int step_loopback(struct stage *stage, struct reader *reader) {
    (void)reader;
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    // A kernel without IPv4 has nothing to bring up.
    if (fd < 0) return errno == EAFNOSUPPORT ? 0 : stage_fail(stage, "socket");
    int done = ioctl(fd, SIOCGIFFLAGS, &request);
    if (done == 0) {
        request.ifr_flags |= IFF_UP;
        done = ioctl(fd, SIOCSIFFLAGS, &request);
    }
    int error = errno;
    close(fd);
    errno = error;
    return done < 0 ? stage_fail(stage, "bring up lo") : 0;
}

typedef int (*step_function)(struct stage *, struct reader *);

static const step_function step_functions[] = {
    [LAB_STEP_WRITE] = step_write,
    [LAB_STEP_HOLD] = step_hold,
    [LAB_STEP_SETNS] = step_setns,
    [LAB_STEP_UNSHARE] = step_unshare,
    [LAB_STEP_HOSTNAME] = step_hostname,
    [LAB_STEP_TREE] = step_tree,
    [LAB_STEP_PROPAGATION] = step_propagation,
    [LAB_STEP_ROOT_DIRECTORY] = step_root_directory,
    [LAB_STEP_ROOT_OVERLAY] = step_root_overlay,
    [LAB_STEP_ROOT_INHERIT] = step_root_inherit,
    [LAB_STEP_MOUNT] = step_mount,
    [LAB_STEP_BIND] = step_bind,
    [LAB_STEP_MASK] = step_mask,
    [LAB_STEP_READ_ONLY] = step_read_only,
    [LAB_STEP_DEVICE] = step_device,
    [LAB_STEP_ALL_DEVICES] = step_all_devices,
    [LAB_STEP_SYMLINK] = step_symlink,
    [LAB_STEP_DIRECTORY] = step_directory,
    [LAB_STEP_PIVOT] = step_pivot,
    [LAB_STEP_RLIMIT] = step_rlimit,
    [LAB_STEP_CHDIR] = step_chdir,
    [LAB_STEP_IDENTITY] = step_identity,
    [LAB_STEP_NO_NEW_PRIVS] = step_no_new_privs,
    [LAB_STEP_SECCOMP] = step_seccomp,
    [LAB_STEP_INHERIT] = step_inherit,
    [LAB_STEP_EXEC] = step_exec,
    [LAB_STEP_TERMINAL] = step_terminal,
    [LAB_STEP_USER] = step_user,
    [LAB_STEP_FORK] = step_fork,
    [LAB_STEP_SYNC] = step_sync,
    [LAB_STEP_HOOK] = step_hook,
    [LAB_STEP_GATE_OPEN] = step_gate_open,
    [LAB_STEP_GATE] = step_gate,
    [LAB_STEP_SCHEDULER] = step_scheduler,
    [LAB_STEP_IO_PRIORITY] = step_io_priority,
    [LAB_STEP_PERSONALITY] = step_personality,
    [LAB_STEP_UMASK] = step_umask,
    [LAB_STEP_DOMAIN_NAME] = step_domain_name,
    [LAB_STEP_KEYRING] = step_keyring,
    [LAB_STEP_JOIN] = step_join,
    [LAB_STEP_FIND] = step_find,
    [LAB_STEP_ID_MAP] = step_id_map,
    [LAB_STEP_REMOUNT] = step_remount,
    [LAB_STEP_HIDE] = step_hide,
    [LAB_STEP_OWN_STREAMS] = step_own_streams,
    [LAB_STEP_ROOT_PLAIN] = step_root_plain,
    [LAB_STEP_LOOPBACK] = step_loopback,
    [LAB_STEP_ROOT_PROPAGATION] = step_root_propagation,
};

static int malformed(struct stage *stage) {
    errno = EBADMSG;
    return stage_fail(stage, "malformed plan");
}

int stage_run(struct stage *stage, const uint8_t *bytes, size_t count) {
    size_t magic = strlen(LAB_PLAN_MAGIC);
    stage->failure.step = LAB_FAILURE_NO_STEP;
    if (count < magic || memcmp(bytes, LAB_PLAN_MAGIC, magic) != 0) return malformed(stage);
    const uint8_t *at = bytes + magic, *end = bytes + count;
    for (uint32_t index = 0; at < end; index++) {
        stage->failure.step = index;
        uint32_t head[2];
        if (end - at < (ptrdiff_t)sizeof head) return malformed(stage);
        memcpy(head, at, sizeof head);
        at += sizeof head;
        if (head[1] > (size_t)(end - at)) return malformed(stage);
        if (head[0] >= sizeof step_functions / sizeof *step_functions || !step_functions[head[0]])
            return malformed(stage);
        struct reader reader = {.at = at, .end = at + head[1]};
        at += head[1];
        if (step_functions[head[0]](stage, &reader) < 0) return -1;
        if (reader.bad || reader.at != reader.end) return malformed(stage);
    }
    return 0;
}

int stage_run_file(struct stage *stage, int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) < 0) return stage_fail(stage, "fstat of the plan");
    size_t count = (size_t)status.st_size;
    void *bytes = count ? mmap(NULL, count, PROT_READ, MAP_PRIVATE, descriptor, 0) : MAP_FAILED;
    close(descriptor);
    if (bytes == MAP_FAILED) return stage_fail(stage, "mmap of the plan");
    int result = stage_run(stage, bytes, count);
    munmap(bytes, count);
    return result;
}
