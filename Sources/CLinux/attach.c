// Copies of a process's output for those who are attached to it (see `struct attachment`).

#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

// LONGEST_REST bounds what is kept for a reader when the process has ended and its pipes are emptied at once.
enum { LONGEST_REST = 2 << 20 };
static const int64_t LONGEST_STALL = 60000000000;

static struct stream *stream_of(struct attached_end *end) {
    struct attachment *attachment = end->owner;
    return attachment->process ? &attachment->process->streams[end - attachment->ends] : NULL;
}

static bool is_full(struct process *process, struct stream *stream) {
    for (struct attachment *attachment = supervisor.attachments; attachment; attachment = attachment->next)
        if (attachment->process == process && attachment->ends[stream - process->streams].size > 0) return true;
    return false;
}

// Reads the stream again once everybody keeps up.
static void resume(struct attached_end *end) {
    struct stream *stream = stream_of(end);
    if (!stream || !stream->paused || stream->watch.descriptor < 0 || is_full(end->owner->process, stream)) return;
    stream->paused = false;
    watch_add(&stream->watch, EPOLLIN);
}

static void end_close(struct attached_end *end) {
    if (end->watch.descriptor < 0) return;
    watch_close(&end->watch);
    free(end->rest);
    end->rest = NULL;
    end->size = 0;
    resume(end);
}

static bool is_over(struct attachment *attachment) {
    return attachment->ends[0].watch.descriptor < 0 && attachment->ends[1].watch.descriptor < 0 &&
           (!attachment->process || attachment->process->pid == 0);
}

struct attachment *attach_begin(struct client *client, struct process *process, bool has_input, int ends[2]) {
    struct attachment *attachment = calloc(1, sizeof *attachment);
    if (!attachment) return NULL;
    attachment->client = client;
    attachment->process = process;
    attachment->has_input = has_input;
    for (int index = 0; index < 2; index++) {
        struct attached_end *end = &attachment->ends[index];
        end->owner = attachment;
        end->watch = (struct watch){.kind = WATCH_ATTACHED, .descriptor = ends[index], .owner = end};
        if (ends[index] < 0) continue;
        fcntl(ends[index], F_SETFL, O_WRONLY | O_NONBLOCK);
        // A terminal has no second stream, and one that has ended will say no more.
        if (process->streams[index].watch.descriptor < 0) end_close(end);
    }
    attachment->next = supervisor.attachments;
    supervisor.attachments = attachment;
    return attachment;
}

static void keep_rest(struct attached_end *end, const char *bytes, size_t count) {
    char *rest = end->size + count <= LONGEST_REST ? realloc(end->rest, end->size + count) : NULL;
    if (!rest) return end_close(end);
    memcpy(rest + end->size, bytes, count);
    if (end->size == 0) {
        watch_add(&end->watch, EPOLLOUT);
        if (!end->owner->stalled) end->owner->stalled = monotonic();
    }
    end->rest = rest;
    end->size += count;
}

bool attach_output(struct process *process, struct stream *stream, const char *bytes, size_t count) {
    bool full = false;
    for (struct attachment *attachment = supervisor.attachments; attachment; attachment = attachment->next) {
        struct attached_end *end = &attachment->ends[stream - process->streams];
        if (attachment->process != process || end->watch.descriptor < 0) continue;
        ssize_t written = end->size > 0 ? 0 : write(end->watch.descriptor, bytes, count);
        if (written < 0 && errno != EAGAIN && errno != EINTR) {
            end_close(end);
            continue;
        }
        if (written < 0) written = 0;
        if ((size_t)written < count) keep_rest(end, bytes + written, count - (size_t)written);
        full |= end->size > 0;
    }
    return full;
}

void attach_ready(struct attached_end *end, uint32_t events) {
    struct attachment *attachment = end->owner;
    ssize_t written = end->size > 0 ? write(end->watch.descriptor, end->rest, end->size) : 0;
    if (written < 0 && (errno == EAGAIN || errno == EINTR) && !(events & EPOLLERR)) return;
    if (written < 0) {
        end_close(end);
    } else {
        end->size -= (size_t)written;
        attachment->stalled = end->size > 0 ? monotonic() : 0;
        if (end->size > 0) {
            memmove(end->rest, end->rest + written, end->size);
        } else if (end->ended) {
            end_close(end);
        } else {
            epoll_ctl(supervisor.epoll, EPOLL_CTL_DEL, end->watch.descriptor, NULL);
            free(end->rest);
            end->rest = NULL;
            resume(end);
        }
    }
    if (is_over(attachment)) client_close(attachment->client);
}

void attach_stream_ended(struct process *process, struct stream *stream) {
    for (struct attachment *attachment = supervisor.attachments; attachment; attachment = attachment->next) {
        struct attached_end *end = &attachment->ends[stream - process->streams];
        if (attachment->process != process || end->watch.descriptor < 0) continue;
        end->ended = true;
        if (end->size == 0) end_close(end);
    }
}

static void close_finished(struct process *process) {
    struct attachment *next;
    for (struct attachment *attachment = supervisor.attachments; attachment; attachment = next) {
        next = attachment->next;
        if (attachment->process == process && is_over(attachment)) client_close(attachment->client);
    }
}

void attach_process_ended(struct process *process) { close_finished(process); }

void attach_process_forgotten(struct process *process) {
    close_finished(process);
    for (struct attachment *attachment = supervisor.attachments; attachment; attachment = attachment->next)
        if (attachment->process == process) attachment->process = NULL;
}

void attach_end(struct attachment *attachment) {
    for (int index = 0; index < 2; index++) end_close(&attachment->ends[index]);
    struct process *process = attachment->process;
    if (process && attachment->has_input && process->input_kind == LAB_INPUT_ONCE) process_close_input(process);
    attachment->client->attachment = NULL;
    for (struct attachment **link = &supervisor.attachments; *link; link = &(*link)->next)
        if (*link == attachment) {
            *link = attachment->next;
            break;
        }
    // Events of the same batch may still point to its ends.
    attachment->next = supervisor.ended_attachments;
    supervisor.ended_attachments = attachment;
}

int64_t attach_stall_due(void) {
    int64_t due = INT64_MAX;
    for (struct attachment *attachment = supervisor.attachments; attachment; attachment = attachment->next)
        if (attachment->stalled && attachment->stalled + LONGEST_STALL < due)
            due = attachment->stalled + LONGEST_STALL;
    return due;
}

void attach_drop_stalled(void) {
    int64_t now = supervisor.attachments ? monotonic() : 0;
    struct attachment *next;
    for (struct attachment *attachment = supervisor.attachments; attachment; attachment = next) {
        next = attachment->next;
        if (attachment->stalled && attachment->stalled + LONGEST_STALL <= now) client_close(attachment->client);
    }
    while (supervisor.ended_attachments) {
        next = supervisor.ended_attachments->next;
        free(supervisor.ended_attachments);
        supervisor.ended_attachments = next;
    }
}
