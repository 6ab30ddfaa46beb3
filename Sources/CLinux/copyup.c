// Copies a directory's content into a fresh file system: files, directories, links, and their owners and modes.
// What else may lie there (devices, sockets, fifos) is left out.

#define _GNU_SOURCE
#include "plan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEPEST = 64 };

static int copy_file(int from, int to, const char *name, const struct stat *status) {
    int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0) return -1;
    int target = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t count = target < 0 ? -1 : 1;
    while (count > 0) count = sendfile(target, source, NULL, 1 << 30);
    int result = count < 0 || fchown(target, status->st_uid, status->st_gid) < 0 ||
                         fchmod(target, status->st_mode & 07777) < 0 ? -1 : 0;
    int error = errno;
    if (target >= 0) close(target);
    close(source);
    errno = error;
    return result;
}

static int copy_link(int from, int to, const char *name, const struct stat *status) {
    char content[PATH_MAX];
    ssize_t length = readlinkat(from, name, content, sizeof content - 1);
    if (length < 0) return -1;
    content[length] = 0;
    if (symlinkat(content, to, name) < 0) return -1;
    return fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_directory(int from, int to, int depth);

static int copy_below(int from, int to, const char *name, const struct stat *status, int depth) {
    if (depth == DEEPEST) {
        errno = ELOOP;
        return -1;
    }
    int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), target = -1, result = -1;
    if (source >= 0 && mkdirat(to, name, 0700) == 0)
        target = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target >= 0 && copy_directory(source, target, depth + 1) == 0 &&
        fchown(target, status->st_uid, status->st_gid) == 0)
        result = fchmod(target, status->st_mode & 07777);
    int error = errno;
    if (target >= 0) close(target);
    if (source >= 0) close(source);
    errno = error;
    return result;
}

static int copy_directory(int from, int to, int depth) {
    // A description of its own: the caller's may be one for paths only.
    int readable = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = readable < 0 ? NULL : fdopendir(readable);
    if (!directory) return -1;
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (entry = readdir(directory))) {
        struct stat status;
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
            result = errno == ENOENT ? 0 : -1;
        else if (S_ISDIR(status.st_mode))
            result = copy_below(from, to, name, &status, depth);
        else if (S_ISREG(status.st_mode))
            result = copy_file(from, to, name, &status);
        else if (S_ISLNK(status.st_mode))
            result = copy_link(from, to, name, &status);
    }
    int error = errno;
    closedir(directory);
    errno = error;
    return result;
}

int copy_tree(int from, int to) { return copy_directory(from, to, 0); }
