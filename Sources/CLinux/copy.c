#define _GNU_SOURCE
#include "copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int copy_range(int input, int output, off_t begin, off_t end) {
    if (lseek(output, begin, SEEK_SET) < 0) return -1;
    while (begin < end) {
        ssize_t count = sendfile(output, input, &begin, (size_t)(end - begin));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -1;
        if (count == 0) return 0;  // it was cut meanwhile
    }
    return 0;
}

int lab_copy_data(int input, int output) {
    if (ioctl(output, FICLONE, input) == 0) return 0;
    struct stat status;
    if (fstat(input, &status) < 0) return -1;
    off_t size = status.st_size, data = 0;
    while (data < size) {
        data = lseek(input, data, SEEK_DATA);
        if (data < 0 && errno == ENXIO) break;  // only a hole is left
        if (data < 0) return -1;
        off_t hole = lseek(input, data, SEEK_HOLE);
        if (hole < 0) return -1;
        if (copy_range(input, output, data, hole < size ? hole : size) < 0) return -1;
        data = hole;
    }
    return ftruncate(output, size);
}

static int copy_attribute(const char *source, const char *target, const char *name) {
    ssize_t size = lgetxattr(source, name, NULL, 0);
    if (size < 0) return errno == ENODATA ? 0 : -1;
    char *value = malloc((size_t)size + 1);
    if (!value) return -1;
    size = lgetxattr(source, name, value, (size_t)size);
    int result = size < 0 ? -1 : lsetxattr(target, name, value, (size_t)size, 0);
    // The target's file system may have none of that kind.
    if (result < 0 && (errno == ENOTSUP || errno == ENODATA)) result = 0;
    int reason = errno;
    free(value);
    errno = reason;
    return result;
}

int lab_copy_attributes(const char *source, const char *target) {
    ssize_t size = llistxattr(source, NULL, 0);
    if (size <= 0) return size == 0 || errno == ENOTSUP ? 0 : -1;
    char *names = malloc((size_t)size);
    if (!names) return -1;
    size = llistxattr(source, names, (size_t)size);
    int result = size < 0 ? -1 : 0;
    for (ssize_t at = 0; result == 0 && at < size; at += (ssize_t)strlen(names + at) + 1)
        result = copy_attribute(source, target, names + at);
    int reason = errno;
    free(names);
    errno = reason;
    return result;
}
