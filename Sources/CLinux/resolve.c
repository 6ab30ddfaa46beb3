// Paths below a new root. Whatever an image contains, links included, a target stays inside the root:
// every lookup is openat2 with RESOLVE_IN_ROOT, and what is made is made below a descriptor so found.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DEEPEST_LINK = 8 };

static int open_inside(int root, const char *path) {
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    // The kernel asks for a retry where a rename raced with "..".
    for (int tries = 0; tries < 64; tries++) {
        int descriptor = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
        if (descriptor >= 0 || errno != EAGAIN) return descriptor;
    }
    return -1;
}

static int open_at_depth(int root, const char *path, enum missing missing, int depth);

// Makes `name` in `parent`, the directory that `path[0..<offset]` names, and opens it. Where a link that leads nowhere
// is in the way, the place it points to is made instead.
static int make(int root, const char *path, size_t offset, int parent, const char *name, bool file, int depth) {
    if (file) {
        int made = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644);
        if (made >= 0) {
            close(made);
            return openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        }
    } else if (mkdirat(parent, name, 0755) == 0) {
        return openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (errno != EEXIST) return -1;
    if (depth >= DEEPEST_LINK) {
        errno = ELOOP;
        return -1;
    }
    char content[PATH_MAX], target[2 * PATH_MAX];
    ssize_t length = readlinkat(parent, name, content, sizeof content - 1);
    if (length < 0) {
        errno = EEXIST;
        return -1;
    }
    content[length] = 0;
    int prefix = content[0] == '/' ? 0 : (int)offset;
    snprintf(target, sizeof target, "%.*s/%s", prefix, path, content);
    return open_at_depth(root, target, file ? MISSING_FILE : MISSING_DIRECTORY, depth + 1);
}

static int open_at_depth(int root, const char *path, enum missing missing, int depth) {
    int found = open_inside(root, path);
    if (found >= 0 || missing == MISSING_FAILS || errno != ENOENT) return found;
    char prefix[PATH_MAX], name[NAME_MAX + 1];
    int parent = open_inside(root, ".");
    size_t at = 0;
    while (parent >= 0) {
        while (path[at] == '/') at++;
        if (!path[at]) return parent;
        size_t start = at;
        while (path[at] && path[at] != '/') at++;
        if (at >= sizeof prefix || at - start >= sizeof name) {
            close(parent);
            errno = ENAMETOOLONG;
            return -1;
        }
        memcpy(prefix, path, at);
        prefix[at] = 0;
        memcpy(name, path + start, at - start);
        name[at - start] = 0;
        size_t rest = at;
        while (path[rest] == '/') rest++;
        bool last = !path[rest];
        int next = open_inside(root, prefix);
        if (next < 0 && errno == ENOENT)
            next = make(root, path, start, parent, name, last && missing == MISSING_FILE, depth);
        int error = errno;
        close(parent);
        errno = error;
        parent = next;
    }
    return -1;
}

int root_open(int root, const char *path, enum missing missing) { return open_at_depth(root, path, missing, 0); }

bool root_is_ordinary(int root, const char *path) {
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
    };
    int descriptor = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (descriptor < 0) return errno == ENOENT;
    close(descriptor);
    return true;
}

int root_open_parent(int root, const char *path, const char **name) {
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] != '/') length--;
    *name = path + length;
    char parent[PATH_MAX];
    if (length >= sizeof parent || !**name) {
        errno = EINVAL;
        return -1;
    }
    memcpy(parent, path, length);
    parent[length] = 0;
    return root_open(root, parent, MISSING_DIRECTORY);
}
