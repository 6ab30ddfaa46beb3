// Mounts of a plan. They are made detached and then attached to a descriptor of the target,
// so no path below the new root is ever looked up by name outside `root_open`.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

static int attach(int tree, int target) {
    return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int change_attributes(int tree, uint64_t set, uint64_t cleared, uint64_t propagation, bool recursive) {
    if (!set && !cleared && !propagation) return 0;
    struct mount_attr change = {.attr_set = set, .attr_clr = cleared, .propagation = propagation};
    // The ways to keep access times are one field: all of it is replaced, and clearing one means the usual way.
    if ((set | cleared) & MOUNT_ATTR__ATIME) change.attr_clr |= MOUNT_ATTR__ATIME;
    unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    return mount_setattr(tree, "", flags, &change, sizeof change);
}

static int set_attributes(int tree, uint64_t attributes, uint64_t propagation, bool recursive) {
    return change_attributes(tree, attributes, 0, propagation, recursive);
}

// What may be covered inside /proc: files that tell about the machine, and that cannot fool who trusts the rest of it.
static const char *const coverable[] = {
    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
    "/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
};

// A mount inside the container's /proc, named so or reached through a link, could show a program (ours included) a file
// of somebody else's making where the kernel's is expected.
static bool may_cover(int target, const char *path) {
    struct statfs status;
    if (fstatfs(target, &status) < 0 || status.f_type != PROC_SUPER_MAGIC || strcmp(path, "/proc") == 0) return true;
    for (size_t index = 0; index < sizeof coverable / sizeof *coverable; index++)
        if (strcmp(path, coverable[index]) == 0) return true;
    errno = EPERM;
    return false;
}

// Closes and keeps errno, for the way out of a failed step.
static int give_up(struct stage *stage, const char *what, int first, int second) {
    int error = errno;
    if (first >= 0) close(first);
    if (second >= 0) close(second);
    errno = error;
    return stage_fail(stage, "%s", what);
}

static int set_root(struct stage *stage, const char *path) {
    if (stage->root >= 0) close(stage->root);
    stage->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return stage->root < 0 ? stage_fail(stage, "open the new root") : 0;
}

int step_root_directory(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    if (reader->bad) return 0;
    // pivot_root wants a mount point, so the directory is mounted on itself.
    int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (tree < 0) return stage_fail(stage, "open_tree");
    // What is mounted below it later shall not appear in the directory that it was copied from.
    if (set_attributes(tree, 0, MS_PRIVATE, false) < 0) return give_up(stage, "mount_setattr", tree, -1);
    if (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return give_up(stage, "move_mount", tree, -1);
    close(tree);
    return set_root(stage, path);
}

int step_root_overlay(struct stage *stage, struct reader *reader) {
    const char *directory = read_text(reader), *options = read_text(reader), *target = read_text(reader);
    if (reader->bad) return 0;
    // The options name the layers relative to their common directory: all of them must fit into one page.
    if (chdir(directory) < 0) return stage_fail(stage, "chdir %s", directory);
    int result = mount("overlay", target, "overlay", 0, options);
    int error = errno;
    if (chdir("/") < 0) return stage_fail(stage, "chdir /");
    errno = error;
    return result < 0 ? stage_fail(stage, "mount") : set_root(stage, target);
}

int step_root_plain(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    return reader->bad ? 0 : set_root(stage, path);
}

int step_root_inherit(struct stage *stage, struct reader *reader) {
    (void)reader;
    return set_root(stage, "/");
}

int step_tree(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    bool recursive = read_number(reader);
    if (reader->bad) return 0;
    if (stage->tree_count == TREES) {
        errno = E2BIG;
        return stage_fail(stage, "more than %d bind mounts", TREES);
    }
    int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
    if (tree < 0) return stage_fail(stage, "open_tree");
    stage->trees[stage->tree_count++] = tree;
    return 0;
}

int step_propagation(struct stage *stage, struct reader *reader) {
    unsigned long flags = read_number(reader);
    if (!reader->bad && mount(NULL, "/", NULL, flags, NULL) < 0) return stage_fail(stage, "mount");
    return 0;
}

// The kernel explains a refused file system in a log that can be read from the context.
static int fail_with_log(struct stage *stage, const char *what, const char *key, int context, int target) {
    int error = errno;
    char text[80];
    ssize_t length = read(context, text, sizeof text - 1);
    text[length > 0 ? length : 0] = 0;
    close(context);
    close(target);
    errno = error;
    return stage_fail(stage, "%s%s%s%s%s", what, *key ? " " : "", key, *text ? ": " : "", text);
}

// One option for mount(2), whose text of options is one page at most.
static bool append_option(char *text, size_t capacity, const char *key, const char *value) {
    size_t used = strlen(text);
    int length = snprintf(text + used, capacity - used, "%s%s%s%s", used ? "," : "", key, *value ? "=" : "", value);
    return length >= 0 && (size_t)length < capacity - used;
}

// fsconfig takes values of up to 255 bytes; overlays name more.
static int mount_with_text(struct stage *stage, const char *type, const char *source, int target, struct reader options,
                           uint64_t count) {
    char text[4096] = "", path[32];
    for (uint64_t index = 0; index < count && !options.bad; index++) {
        const char *key = read_text(&options), *value = read_text(&options);
        if (append_option(text, sizeof text, key, value)) continue;
        errno = E2BIG;
        return stage_fail(stage, "options");
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", target);
    if (mount(source, path, type, 0, text) < 0) return stage_fail(stage, "mount");
    return 0;
}

// A new, detached file system; or -1, with the failure noted and `target` closed.
static int make_file_system(struct stage *stage, const char *type, const char *source, int target,
                            uint64_t attributes, struct reader *reader, uint64_t options) {
    int context = fsopen(type, FSOPEN_CLOEXEC);
    if (context < 0) return give_up(stage, "fsopen", target, -1);
    if (*source && fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0) < 0)
        return fail_with_log(stage, "fsconfig", "source", context, target);
    for (uint64_t index = 0; index < options && !reader->bad; index++) {
        const char *key = read_text(reader), *value = read_text(reader);
        int result = *value ? fsconfig(context, FSCONFIG_SET_STRING, key, value, 0)
                            : fsconfig(context, FSCONFIG_SET_FLAG, key, NULL, 0);
        if (result < 0) return fail_with_log(stage, "fsconfig", key, context, target);
    }
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fail_with_log(stage, "create", "", context, target);
    int tree = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
    if (tree < 0) return fail_with_log(stage, "fsmount", "", context, target);
    close(context);
    return tree;
}

static bool has_long_value(struct reader options, uint64_t count) {
    for (uint64_t index = 0; index < count && !options.bad; index++) {
        read_text(&options);
        if (strlen(read_text(&options)) > 255) return true;
    }
    return false;
}

// The mount that lies on `path` now, found again by name.
static int covering(struct stage *stage, const char *path, int target) {
    close(target);
    return root_open(stage->root, path, MISSING_FAILS);
}

// What the new file system starts with: the target's mode and content where that is wanted.
static int inherit_target(int tree, int target, bool existed, uint64_t flags) {
    if (!(flags & (LAB_MOUNT_COPY_UP | LAB_MOUNT_KEEP_MODE)) || !existed) return 0;
    struct stat status;
    int root = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = root < 0 ? -1 : fstat(target, &status);
    if (result == 0 && (flags & LAB_MOUNT_COPY_UP)) result = copy_tree(target, root);
    if (result == 0 && (flags & LAB_MOUNT_KEEP_MODE)) result = fchmod(root, status.st_mode & 07777);
    int error = errno;
    if (root >= 0) close(root);
    errno = error;
    return result;
}

int step_mount(struct stage *stage, struct reader *reader) {
    const char *type = read_text(reader), *source = read_text(reader), *path = read_text(reader);
    uint64_t attributes = read_number(reader), propagation = read_number(reader), flags = read_number(reader);
    uint64_t options = read_number(reader);
    if (reader->bad) return 0;
    if ((flags & LAB_MOUNT_ORDINARY) && !root_is_ordinary(stage->root, path)) {
        errno = ENOTDIR;
        return stage_fail(stage, "it must be mounted on an ordinary directory");
    }
    int target = root_open(stage->root, path, MISSING_FAILS);
    bool existed = target >= 0;
    if (!existed) target = root_open(stage->root, path, MISSING_DIRECTORY);
    if (target < 0) return stage_fail(stage, "open the target");
    if (!may_cover(target, path)) return give_up(stage, "inside /proc", target, -1);
    if (has_long_value(*reader, options)) {
        if (mount_with_text(stage, type, source, target, *reader, options) < 0) return give_up(stage, "mount", target, -1);
        for (uint64_t index = 0; index < 2 * options; index++) read_text(reader);
        int top = covering(stage, path, target);
        if (top < 0) return stage_fail(stage, "open the mount");
        if (set_attributes(top, attributes, propagation, false) < 0) return give_up(stage, "mount_setattr", top, -1);
        close(top);
        return 0;
    }
    // Attributes come after what is written into it.
    int tree = make_file_system(stage, type, source, target, attributes & ~(uint64_t)MOUNT_ATTR_RDONLY, reader, options);
    if (tree < 0) return -1;
    if (inherit_target(tree, target, existed, flags) < 0) return give_up(stage, "copy what is there", tree, target);
    if (set_attributes(tree, attributes & MOUNT_ATTR_RDONLY, propagation, false) < 0)
        return give_up(stage, "mount_setattr", tree, target);
    if (attach(tree, target) < 0) return give_up(stage, "move_mount", tree, target);
    close(tree);
    close(target);
    return 0;
}

int step_bind(struct stage *stage, struct reader *reader) {
    uint64_t index = read_number(reader);
    const char *path = read_text(reader);
    uint64_t set = read_number(reader), cleared = read_number(reader);
    uint64_t set_below = read_number(reader), cleared_below = read_number(reader);
    uint64_t propagation = read_number(reader);
    if (reader->bad) return 0;
    if (index >= (uint64_t)stage->tree_count) {
        errno = EBADMSG;
        return stage_fail(stage, "no such tree");
    }
    int tree = stage->trees[index];
    struct stat status;
    if (fstat(tree, &status) < 0) return stage_fail(stage, "fstat");
    int target = root_open(stage->root, path, S_ISDIR(status.st_mode) ? MISSING_DIRECTORY : MISSING_FILE);
    if (target < 0) return stage_fail(stage, "open the target");
    if (!may_cover(target, path)) return give_up(stage, "inside /proc", target, -1);
    // Propagation goes for the whole tree, attributes only where they were asked for recursively.
    if (set_attributes(tree, 0, propagation, true) < 0 ||
        change_attributes(tree, set_below, cleared_below, 0, true) < 0 ||
        change_attributes(tree, set, cleared, 0, false) < 0)
        return give_up(stage, "mount_setattr", target, -1);
    if (attach(tree, target) < 0) return give_up(stage, "move_mount", target, -1);
    close(target);
    close(tree);
    stage->trees[index] = -1;
    return 0;
}

int step_remount(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    uint64_t set = read_number(reader), cleared = read_number(reader);
    bool recursive = read_number(reader);
    if (reader->bad) return 0;
    int target = root_open(stage->root, path, MISSING_FAILS);
    if (target < 0) return stage_fail(stage, "open the target");
    if (change_attributes(target, set, cleared, 0, recursive) < 0) return give_up(stage, "mount_setattr", target, -1);
    close(target);
    return 0;
}

int step_mask(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    if (reader->bad) return 0;
    int target = root_open(stage->root, path, MISSING_FAILS);
    if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : stage_fail(stage, "open the target");
    struct stat status;
    if (fstat(target, &status) < 0) return give_up(stage, "fstat", target, -1);
    int tree;
    if (S_ISDIR(status.st_mode)) {
        int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
        if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
            return give_up(stage, "fsopen", target, context);
        tree = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        close(context);
    } else {
        tree = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    }
    if (tree < 0) return give_up(stage, "a mount to cover it", target, -1);
    if (attach(tree, target) < 0) return give_up(stage, "move_mount", tree, target);
    close(tree);
    close(target);
    return 0;
}

int step_read_only(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    if (reader->bad) return 0;
    int target = root_open(stage->root, path, MISSING_FAILS);
    if (target < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : stage_fail(stage, "open the target");
    int tree = open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    if (tree < 0) return give_up(stage, "open_tree", target, -1);
    if (set_attributes(tree, MOUNT_ATTR_RDONLY, 0, true) < 0) return give_up(stage, "mount_setattr", tree, target);
    if (attach(tree, target) < 0) return give_up(stage, "move_mount", tree, target);
    close(tree);
    close(target);
    return 0;
}

// Nothing that leads outside may stay open: what follows resolves paths that the container chose.
static void close_ways_out(struct stage *stage) {
    close(stage->root);
    stage->root = -1;
    for (int index = 0; index < stage->tree_count; index++)
        if (stage->trees[index] >= 0) close(stage->trees[index]);
    stage->tree_count = 0;
}

int step_pivot(struct stage *stage, struct reader *reader) {
    bool read_only = read_number(reader);
    uint64_t how = read_number(reader);
    if (reader->bad) return 0;
    if (fchdir(stage->root) < 0) return stage_fail(stage, "fchdir");
    if (read_only && set_attributes(stage->root, MOUNT_ATTR_RDONLY, 0, false) < 0)
        return stage_fail(stage, "mount_setattr");
    if (how == LAB_PIVOT_ROOT) {
        // With "." for both, the old root lies on top of the new one afterwards; it is unmounted from there.
        if (syscall(SYS_pivot_root, ".", ".") < 0) return stage_fail(stage, "pivot_root");
        if (umount2(".", MNT_DETACH) < 0) return stage_fail(stage, "umount the old root");
    } else {
        if (how == LAB_PIVOT_MOVE && mount(".", "/", NULL, MS_MOVE, NULL) < 0) return stage_fail(stage, "move the root");
        if (chroot(".") < 0) return stage_fail(stage, "chroot");
    }
    if (chdir("/") < 0) return stage_fail(stage, "chdir");
    close_ways_out(stage);
    return 0;
}

int step_root_propagation(struct stage *stage, struct reader *reader) {
    unsigned long flags = read_number(reader);
    if (!reader->bad && mount(NULL, "/", NULL, flags, NULL) < 0) return stage_fail(stage, "mount");
    return 0;
}
