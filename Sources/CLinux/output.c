// Output of processes in the CRI log format: `2026-01-01T00:00:00.000000000Z stdout F text`,
// with P instead of F for a part of a line that is longer than 16 KiB or that the process never ended.

#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int open_log(const char *path) { return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640); }

int log_open(struct log_file *log, int64_t maximum, int keep, const char *path) {
    log->descriptor = open_log(path);
    if (log->descriptor < 0) return -1;
    struct stat status;
    log->size = fstat(log->descriptor, &status) == 0 ? status.st_size : 0;
    log->maximum = maximum;
    log->keep = keep;
    log->path = strdup(path);
    return 0;
}

void log_close(struct log_file *log) {
    if (log->descriptor >= 0) close(log->descriptor);
    log->descriptor = -1;
    free(log->path);
    log->path = NULL;
}

// file.(keep-1) → file.keep …, file → file.1; with nothing to keep, the file starts again.
static void rotate(struct log_file *log) {
    char from[4200], to[4200];
    for (int index = log->keep - 1; index >= 0; index--) {
        if (index == 0)
            snprintf(from, sizeof from, "%s", log->path);
        else
            snprintf(from, sizeof from, "%s.%d", log->path, index);
        snprintf(to, sizeof to, "%s.%d", log->path, index + 1);
        rename(from, to);
    }
    if (log->keep <= 0) unlink(log->path);
    int fresh = open_log(log->path);
    // Where no new file can be made, the old one goes on under its new name rather than losing lines.
    if (fresh < 0) return;
    close(log->descriptor);
    log->descriptor = fresh;
    log->size = 0;
}

static void put_digits(char *at, int64_t value, int count) {
    while (count-- > 0) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ`, 30 bytes; without libc's time zones, which would read files.
static void put_time(char *at, int64_t nanoseconds) {
    int64_t seconds = nanoseconds / 1000000000, days = seconds / 86400, second = seconds % 86400;
    // Days since 0000-03-01, in eras of 400 years: years start in March, so the leap day is the last.
    int64_t shifted = days + 719468, era = shifted / 146097, of_era = shifted % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    memcpy(at, "0000-00-00T00:00:00.000000000Z", 30);
    put_digits(at, era * 400 + year + (month >= 10), 4);
    put_digits(at + 5, month < 10 ? month + 3 : month - 9, 2);
    put_digits(at + 8, of_year - (153 * month + 2) / 5 + 1, 2);
    put_digits(at + 11, second / 3600, 2);
    put_digits(at + 14, second / 60 % 60, 2);
    put_digits(at + 17, second % 60, 2);
    put_digits(at + 20, nanoseconds % 1000000000, 9);
}

static void log_write(struct log_file *log, const char *stream, char tag, const char *first, size_t first_size,
                      const char *second, size_t second_size) {
    if (log->descriptor < 0) return;
    char head[48];
    put_time(head, wall_clock());
    int head_size = 30 + snprintf(head + 30, sizeof head - 30, " %s %c ", stream, tag);
    struct iovec parts[] = {
        {head, (size_t)head_size}, {(void *)first, first_size}, {(void *)second, second_size}, {"\n", 1}};
    int64_t size = head_size + (int64_t)first_size + (int64_t)second_size + 1;
    if (log->maximum > 0 && log->size > 0 && log->size + size > log->maximum) rotate(log);
    ssize_t written = writev(log->descriptor, parts, 4);
    if (written == size) {
        log->size += size;
        return;
    }
    // A full disk: the torn line is taken back, the loss is counted, the process goes on.
    log->dropped++;
    if (written > 0 && ftruncate(log->descriptor, log->size) < 0) log->size += written;
}

static void keep_line(struct process *process, struct stream *stream, const char *text, size_t size) {
    if (size == 0) return;
    if (!stream->line) stream->line = malloc(LONGEST_LINE);
    if (!stream->line) {
        process->log.dropped++;
        return;
    }
    memcpy(stream->line + stream->length, text, size);
    stream->length += size;
}

static void write_line(struct process *process, struct stream *stream, char tag, const char *text, size_t size) {
    log_write(&process->log, stream->name, tag, stream->line, stream->length, text, size);
    free(stream->line);
    stream->line = NULL;
    stream->length = 0;
}

static void take(struct process *process, struct stream *stream, const char *text, size_t size) {
    while (size > 0) {
        size_t room = LONGEST_LINE - stream->length;
        const char *end = memchr(text, '\n', size < room + 1 ? size : room + 1);
        if (end) {
            size_t length = (size_t)(end - text);
            write_line(process, stream, 'F', text, length);
            text = end + 1;
            size -= length + 1;
        } else if (size > room) {
            write_line(process, stream, 'P', text, room);
            text += room;
            size -= room;
        } else {
            keep_line(process, stream, text, size);
            return;
        }
    }
}

bool stream_pump(struct process *process, struct stream *stream, int rounds, bool drains) {
    static char buffer[LONGEST_LINE];
    while (rounds-- > 0 && (drains || !stream->paused)) {
        ssize_t count = read(stream->watch.descriptor, buffer, sizeof buffer);
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        if (count == 0) return false;
        if (process->output == LAB_OUTPUT_CRI) take(process, stream, buffer, (size_t)count);
        if (attach_output(process, stream, buffer, (size_t)count) && !stream->paused) {
            // Out of the set: the end of a pipe would be told again and again.
            epoll_ctl(supervisor.epoll, EPOLL_CTL_DEL, stream->watch.descriptor, NULL);
            stream->paused = true;
        }
    }
    return true;
}

void stream_finish(struct process *process, struct stream *stream) {
    if (stream->length > 0) write_line(process, stream, 'P', NULL, 0);
    watch_close(&stream->watch);
    stream->paused = false;
    attach_stream_ended(process, stream);
}
