// The control socket: one request per connection, answered with packets (see `stage.h`).

#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// A packet in the making; fields follow each other like a plan's payload.
struct packet {
    uint8_t bytes[2 * ID_SIZE + 256];
    size_t count;
};

static void put_code(struct packet *packet, uint32_t code) {
    memcpy(packet->bytes, &code, sizeof code);
    packet->count = sizeof code;
}

static void put_number(struct packet *packet, uint64_t value) {
    memcpy(packet->bytes + packet->count, &value, sizeof value);
    packet->count += sizeof value;
}

static void put_text(struct packet *packet, const char *text) {
    uint32_t length = (uint32_t)strnlen(text, ID_SIZE);
    memcpy(packet->bytes + packet->count, &length, sizeof length);
    memcpy(packet->bytes + packet->count + sizeof length, text, length);
    packet->bytes[packet->count + sizeof length + length] = 0;
    packet->count += sizeof length + length + 1;
}

// Sends with `pid` in the credentials (without where the kernel does not allow that), and with `attached` unless that
// is -1. -1 with errno.
static int send_with(struct client *client, const struct packet *packet, pid_t pid, int attached) {
    struct iovec part = {(void *)packet->bytes, packet->count};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    if (pid > 0) {
        struct cmsghdr *header = &control.header;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_CREDENTIALS;
        header->cmsg_len = CMSG_LEN(sizeof(struct ucred));
        struct ucred credentials = {.pid = pid, .uid = getuid(), .gid = getgid()};
        memcpy(CMSG_DATA(header), &credentials, sizeof credentials);
        message.msg_controllen = CMSG_SPACE(sizeof(struct ucred));
    }
    if (attached >= 0) {
        struct cmsghdr *header = (struct cmsghdr *)(control.space + message.msg_controllen);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &attached, sizeof attached);
        message.msg_controllen += CMSG_SPACE(sizeof(int));
    }
    if (message.msg_controllen == 0) message.msg_control = NULL;
    ssize_t sent = sendmsg(client->watch.descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EPERM || errno == ESRCH) && pid > 0) return send_with(client, packet, 0, attached);
    return sent < 0 ? -1 : 0;
}

static int send_packet(struct client *client, const struct packet *packet, pid_t pid) {
    return send_with(client, packet, pid, -1);
}

void client_close(struct client *client) {
    if (client->dead) return;
    client->dead = true;
    watch_close(&client->watch);
    if (client->attachment) attach_end(client->attachment);
    for (struct process *process = supervisor.processes; process; process = process->next) {
        if (process->starter == client) process->starter = NULL;
        if (process->remover == client) process->remover = NULL;
    }
}

// The last packet of a connection; who does not take it is gone or broken.
static void answer(struct client *client, const struct packet *packet, pid_t pid) {
    send_packet(client, packet, pid);
    client_close(client);
}

void control_done(struct client *client) {
    struct packet packet;
    put_code(&packet, LAB_ANSWER_DONE);
    answer(client, &packet, 0);
}

void control_failed(struct client *client, const struct lab_failure *failure) {
    struct packet packet;
    put_code(&packet, LAB_ANSWER_FAILED);
    put_number(&packet, failure->step);
    put_number(&packet, (uint64_t)(int64_t)failure->error);
    put_text(&packet, failure->detail);
    answer(client, &packet, 0);
}

static void refuse(struct client *client, int error, const char *detail) {
    struct lab_failure failure = {.step = LAB_FAILURE_NO_STEP, .error = error};
    strncpy(failure.detail, detail, sizeof failure.detail - 1);
    control_failed(client, &failure);
}

static void put_status(struct packet *packet, const struct process *process) {
    put_code(packet, LAB_ANSWER_STATUS);
    put_text(packet, process->id);
    put_number(packet, process->state);
    put_number(packet, (uint64_t)(int64_t)process->code);
    put_number(packet, (uint64_t)(int64_t)process->signal);
    put_number(packet, (uint64_t)process->ended);
    put_number(packet, process->out_of_memory);
    put_number(packet, (uint64_t)process->started);
    put_number(packet, (uint64_t)(int64_t)process->restarts);
    put_number(packet, process->log.dropped);
    put_number(packet, process->state == LAB_STATE_RUNNING);
}

void control_started(struct client *client, struct process *process) {
    struct packet packet;
    put_status(&packet, process);
    int handed = process->terminal_kind == LAB_TERMINAL_HANDED ? process->terminal : -1;
    send_with(client, &packet, process->pid, handed);
    client_close(client);
}

static struct process *next_change(uint64_t after) {
    struct process *next = NULL;
    for (struct process *process = supervisor.processes; process; process = process->next)
        if (!process->dead && process->change > after && (!next || process->change < next->change)) next = process;
    return next;
}

// Tells what the client has not seen yet, as far as it reads; the rest follows when it can be written to again.
static void tell(struct client *client) {
    struct packet packet;
    struct process *process;
    bool blocked = false;
    while (!blocked && (process = next_change(client->sent))) {
        put_status(&packet, process);
        blocked = send_packet(client, &packet, process->state == LAB_STATE_RUNNING ? process->pid : 0) < 0;
        if (blocked) break;
        client->sent = process->change;
        client->owes_end = true;
    }
    if (!blocked && client->owes_end) {
        put_code(&packet, LAB_ANSWER_END);
        blocked = send_packet(client, &packet, 0) < 0;
        if (!blocked) client->owes_end = false;
    }
    if (blocked && errno != EAGAIN) {
        client_close(client);
        return;
    }
    if (!blocked && !client->follows) {
        client_close(client);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = &client->watch};
    epoll_ctl(supervisor.epoll, EPOLL_CTL_MOD, client->watch.descriptor, &event);
}

void control_tell_followers(void) {
    for (struct client *client = supervisor.clients; client; client = client->next)
        if (!client->dead && client->follows && client->sent < supervisor.changes) tell(client);
}

void control_accept(void) {
    int descriptor = accept4(supervisor.listener.descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0) return;
    struct client *client = supervisor.client_count < MAX_CLIENTS ? calloc(1, sizeof *client) : NULL;
    if (!client) {
        close(descriptor);
        return;
    }
    client->watch = (struct watch){.kind = WATCH_CLIENT, .descriptor = descriptor, .owner = client};
    client->next = supervisor.clients;
    supervisor.clients = client;
    supervisor.client_count++;
    watch_add(&client->watch, EPOLLIN);
}

// Descriptors that came with a request, in the order of its fields. Those that nobody took are closed in the end.
struct passed {
    int numbers[4];
    int count, taken;
};

static int take_descriptor(struct passed *passed) {
    return passed->taken < passed->count ? passed->numbers[passed->taken++] : -1;
}

static bool fill(
    struct process *process, struct reader *reader, struct passed *passed, struct lab_failure *failure) {
    process->clone_flags = read_number(reader);
    const char *pid_namespace = read_text(reader), *counter = read_text(reader);
    process->output = (enum lab_output)read_number(reader);
    const char *log = read_text(reader);
    int64_t maximum = (int64_t)read_number(reader);
    int keep = (int)read_number(reader);
    process->longest_backoff = (int64_t)read_number(reader);
    process->uid = (uid_t)read_number(reader);
    process->gid = (gid_t)read_number(reader);
    uint64_t streams = read_number(reader);
    process->input_kind = (enum lab_input)read_number(reader);
    process->terminal_kind = (enum lab_terminal)read_number(reader);
    *failure = (struct lab_failure){.step = LAB_FAILURE_NO_STEP, .error = EBADMSG};
    strcpy(failure->detail, "malformed request");
    if (reader->bad) return false;
    for (int stream = 0; stream < 3; stream++) {
        if (!(streams & (1u << stream))) continue;
        if (passed->count == passed->taken) return false;
        process->passed[stream] = passed->numbers[passed->taken++];
    }
    if (*pid_namespace) process->pid_namespace = strdup(pid_namespace);
    if (*counter) process->oom_counter = open(counter, O_RDONLY | O_CLOEXEC);
    if (process->output != LAB_OUTPUT_DISCARD && log_open(&process->log, maximum, keep, log) < 0) {
        failure->error = errno;
        strcpy(failure->detail, "open the log");
        return false;
    }
    return true;
}

static void request_start(struct client *client, struct reader *reader, struct passed *passed) {
    const char *id = read_text(reader);
    int plan = take_descriptor(passed);
    int error = plan < 0                                            ? EBADMSG
                : !*id || strlen(id) >= ID_SIZE || strchr(id, '/') ? EINVAL
                : process_find(id)                                  ? EEXIST
                : supervisor.stopping                               ? ESHUTDOWN
                : supervisor.process_count >= MAX_PROCESSES         ? EAGAIN
                                                                    : 0;
    struct process *process = error ? NULL : calloc(1, sizeof *process);
    if (!process) {
        if (plan >= 0) close(plan);
        refuse(client, error ? error : ENOMEM, "start");
        return;
    }
    strcpy(process->id, id);
    process->plan = plan;
    process->oom_counter = process->log.descriptor = process->status.descriptor = -1;
    process->streams[0].watch.descriptor = process->streams[1].watch.descriptor = -1;
    process->input = process->terminal = process->passed[0] = process->passed[1] = process->passed[2] = -1;
    struct lab_failure failure;
    if (!fill(process, reader, passed, &failure) || process_start(process, &failure) < 0) {
        process_free(process);
        control_failed(client, &failure);
        return;
    }
    process->starter = client;
    process->next = supervisor.processes;
    supervisor.processes = process;
    supervisor.process_count++;
}

static void request_remove(struct client *client, struct process *process) {
    if (process->pid == 0) {
        process_forget(process);
        control_done(client);
        return;
    }
    process->removing = true;
    // A second remover takes the first one's place, which is told that somebody else does its work.
    if (process->remover) refuse(process->remover, EALREADY, "remove");
    process->remover = client;
    kill(process->pid, SIGKILL);
}

static void request_attach(struct client *client, struct reader *reader, struct passed *passed) {
    const char *id = read_text(reader);
    uint64_t wanted = read_number(reader);
    int ends[2] = {-1, -1};
    for (int end = 0; end < 2; end++)
        if (wanted & (LAB_STREAM_OUT << end)) ends[end] = take_descriptor(passed);
    struct process *process = process_find(id);
    int error = reader->bad                                  ? EBADMSG
                : !process                                   ? ENOENT
                : process->pid == 0 || process->starting     ? ESRCH
                : process->terminal_kind == LAB_TERMINAL_HANDED ? ENOTTY
                                                             : 0;
    bool has_input = wanted & LAB_STREAM_IN;
    client->attachment = error ? NULL : attach_begin(client, process, has_input, ends);
    if (!client->attachment) {
        for (int end = 0; end < 2; end++)
            if (ends[end] >= 0) close(ends[end]);
        return refuse(client, error ? error : errno, "attach");
    }
    struct packet packet;
    put_status(&packet, process);
    int input = process->terminal >= 0 ? process->terminal : process->input;
    if (send_with(client, &packet, process->pid, has_input ? input : -1) < 0) client_close(client);
}

static void handle(struct client *client, uint32_t code, struct reader *reader, struct passed *passed) {
    if (code == LAB_REQUEST_START) return request_start(client, reader, passed);
    if (code == LAB_REQUEST_ATTACH) return request_attach(client, reader, passed);
    if (code == LAB_REQUEST_LIST || code == LAB_REQUEST_FOLLOW) {
        client->owes_end = true;
        client->follows = code == LAB_REQUEST_FOLLOW;
        tell(client);
    } else if (code == LAB_REQUEST_SHUTDOWN) {
        int64_t grace = (int64_t)read_number(reader);
        if (reader->bad || grace < 0) return refuse(client, EBADMSG, "malformed request");
        control_done(client);
        begin_shutdown(grace);
    } else if (code == LAB_REQUEST_SIGNAL || code == LAB_REQUEST_REMOVE || code == LAB_REQUEST_CLOSE_INPUT) {
        const char *id = read_text(reader);
        int signal_number = code == LAB_REQUEST_SIGNAL ? (int)read_number(reader) : 0;
        struct process *process = process_find(id);
        if (reader->bad) return refuse(client, EBADMSG, "malformed request");
        if (!process) return refuse(client, ENOENT, "no such process");
        if (code == LAB_REQUEST_REMOVE) return request_remove(client, process);
        if (code == LAB_REQUEST_CLOSE_INPUT) {
            process_close_input(process);
            return control_done(client);
        }
        if (process->pid == 0) return refuse(client, ESRCH, "the process is not running");
        if (kill(process->pid, signal_number) < 0) return refuse(client, errno, "kill");
        control_done(client);
    } else {
        refuse(client, ENOSYS, "unknown request");
    }
}

void control_ready(struct client *client, uint32_t events) {
    if ((events & EPOLLOUT) && !client->dead) tell(client);
    if (client->dead || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    static uint8_t bytes[PACKET_SIZE];
    struct iovec part = {bytes, sizeof bytes};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space};
    ssize_t count = recvmsg(client->watch.descriptor, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    struct passed passed = {.count = 0};
    struct cmsghdr *header = count < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        passed.count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(passed.numbers, CMSG_DATA(header), (size_t)passed.count * sizeof(int));
    }
    uint32_t code = 0;
    if (count < (ssize_t)sizeof code) {
        client_close(client);
    } else if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        refuse(client, EMSGSIZE, "request");
    } else {
        memcpy(&code, bytes, sizeof code);
        struct reader reader = {.at = bytes + sizeof code, .end = bytes + count};
        handle(client, code, &reader, &passed);
    }
    while (passed.taken < passed.count) close(passed.numbers[passed.taken++]);
}
