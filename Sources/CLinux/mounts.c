// Mounts of a plan. They are made detached and then attached to a descriptor of the target,
// so no path below the new root is ever looked up by name outside `root_open`.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int attach(int tree, int target) {
    return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int set_attributes(int tree, uint64_t attributes, uint64_t propagation, bool recursive) {
    if (!attributes && !propagation) return 0;
    struct mount_attr change = {.attr_set = attributes, .propagation = propagation};
    if (attributes & MOUNT_ATTR__ATIME) change.attr_clr = MOUNT_ATTR__ATIME;
    unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
    return mount_setattr(tree, "", flags, &change, sizeof change);
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

int step_mount(struct stage *stage, struct reader *reader) {
    const char *type = read_text(reader), *source = read_text(reader), *path = read_text(reader);
    uint64_t attributes = read_number(reader), propagation = read_number(reader);
    uint64_t options = read_number(reader);
    if (reader->bad) return 0;
    int target = root_open(stage->root, path, MISSING_DIRECTORY);
    if (target < 0) return stage_fail(stage, "open the target");
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
    if (set_attributes(tree, 0, propagation, false) < 0) return give_up(stage, "mount_setattr", tree, target);
    if (attach(tree, target) < 0) return give_up(stage, "move_mount", tree, target);
    close(tree);
    close(target);
    return 0;
}

int step_bind(struct stage *stage, struct reader *reader) {
    uint64_t index = read_number(reader);
    const char *path = read_text(reader);
    uint64_t attributes = read_number(reader);
    bool recursive = read_number(reader);
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
    // Propagation goes for the whole tree, attributes only where they were asked for recursively.
    if (set_attributes(tree, 0, propagation, true) < 0 || set_attributes(tree, attributes, 0, recursive) < 0)
        return give_up(stage, "mount_setattr", target, -1);
    if (attach(tree, target) < 0) return give_up(stage, "move_mount", target, -1);
    close(target);
    close(tree);
    stage->trees[index] = -1;
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

int step_pivot(struct stage *stage, struct reader *reader) {
    bool read_only = read_number(reader);
    if (reader->bad) return 0;
    if (fchdir(stage->root) < 0) return stage_fail(stage, "fchdir");
    if (read_only && set_attributes(stage->root, MOUNT_ATTR_RDONLY, 0, false) < 0)
        return stage_fail(stage, "mount_setattr");
    // With "." for both, the old root lies on top of the new one afterwards; it is unmounted from there.
    if (syscall(SYS_pivot_root, ".", ".") < 0) return stage_fail(stage, "pivot_root");
    if (umount2(".", MNT_DETACH) < 0) return stage_fail(stage, "umount the old root");
    if (chdir("/") < 0) return stage_fail(stage, "chdir");
    return 0;
}
