// Nodes, links and directories below a new root.

#define _GNU_SOURCE
#include "plan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { DEEPEST_DIRECTORY = 4, MOST_NODES = 4096 };

static bool is_node(int parent, const char *name, mode_t mode, dev_t device) {
    struct stat status;
    return fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && (status.st_mode & S_IFMT) == (mode & S_IFMT) &&
           (status.st_rdev == device || S_ISFIFO(mode));
}

// Makes the node, or where the kernel forbids that (user namespaces) binds the creator's own.
static int make_device(int root, const char *path, mode_t mode, dev_t device, uid_t uid, gid_t gid, bool exact) {
    const char *name;
    int parent = root_open_parent(root, path, &name);
    if (parent < 0) return -1;
    int result = mknodat(parent, name, mode, device);
    int error = errno;
    if (result == 0) {
        // mknod's mode went through the umask.
        result = fchmodat(parent, name, mode & 07777, 0);
        if (result == 0 && (uid || gid)) result = fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
        error = errno;
    } else if (error == EEXIST && (!exact || is_node(parent, name, mode, device))) {
        result = 0;
    } else if (error == EPERM) {
        int target = root_open(root, path, MISSING_FILE);
        int tree = target < 0 ? -1 : open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree >= 0) {
            result = move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
            error = errno;
            close(tree);
        }
        if (target >= 0) close(target);
    }
    close(parent);
    errno = error;
    return result;
}

int step_device(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader);
    mode_t mode = (mode_t)read_number(reader);
    unsigned major = (unsigned)read_number(reader), minor = (unsigned)read_number(reader);
    uid_t uid = (uid_t)read_number(reader);
    gid_t gid = (gid_t)read_number(reader);
    bool exact = read_number(reader);
    if (reader->bad) return 0;
    int result = make_device(stage->root, path, mode, makedev(major, minor), uid, gid, exact);
    return result < 0 ? stage_fail(stage, "mknod") : 0;
}

// Copies the nodes of one directory of the creator's /dev. Directories that are file systems of their own
// (pts, shm, mqueue) are left to the plan's mounts.
static int copy_devices(int root, const char *path, dev_t file_system, int depth, int *left) {
    DIR *directory = opendir(path);
    if (!directory) return -1;
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.') continue;
        char child[512];
        struct stat status;
        if (snprintf(child, sizeof child, "%s/%s", path, entry->d_name) >= (int)sizeof child) continue;
        if (lstat(child, &status) < 0 || status.st_dev != file_system) continue;
        if (S_ISDIR(status.st_mode) && depth < DEEPEST_DIRECTORY)
            result = copy_devices(root, child, file_system, depth + 1, left);
        else if ((S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) && (*left)-- > 0)
            result = make_device(root, child, status.st_mode, status.st_rdev, 0, 0, false);
    }
    int error = errno;
    closedir(directory);
    errno = error;
    return result;
}

int step_all_devices(struct stage *stage, struct reader *reader) {
    (void)reader;
    struct stat status;
    int left = MOST_NODES;
    if (stat("/dev", &status) < 0) return stage_fail(stage, "stat");
    return copy_devices(stage->root, "/dev", status.st_dev, 0, &left) < 0 ? stage_fail(stage, "mknod") : 0;
}

int step_symlink(struct stage *stage, struct reader *reader) {
    const char *content = read_text(reader), *path = read_text(reader), *name;
    if (reader->bad) return 0;
    int parent = root_open_parent(stage->root, path, &name);
    if (parent < 0) return stage_fail(stage, "open the parent");
    int result = symlinkat(content, parent, name);
    int error = errno;
    close(parent);
    errno = error;
    return result < 0 && error != EEXIST ? stage_fail(stage, "symlink") : 0;
}

int step_directory(struct stage *stage, struct reader *reader) {
    const char *path = read_text(reader), *name;
    mode_t mode = (mode_t)read_number(reader);
    if (reader->bad) return 0;
    int parent = root_open_parent(stage->root, path, &name);
    if (parent < 0) return stage_fail(stage, "open the parent");
    int result = mkdirat(parent, name, mode);
    int error = errno;
    if (result == 0) result = fchmodat(parent, name, mode, 0), error = errno;
    close(parent);
    errno = error;
    return result < 0 && error != EEXIST ? stage_fail(stage, "mkdir") : 0;
}
