#pragma once

// The supervisor: pid 1 of a sandbox, or its child subreaper. One thread, one epoll loop, no Swift runtime,
// so that it stays far below 1 MiB. It owns the sandbox's namespaces by living in them; each process is forked
// from it, carries out its plan and execs. Everything it knows it tells over `control.sock`.
//
//     client ─ START ─▶ process_start ─ clone ─▶ child: stage_run … exec
//                            │ status socket: closed by exec, or a lab_failure, or before that a terminal's end
//            ◀─ STATUS ──────┘
//     SIGCHLD ─▶ process_reap ─ drain output ─ <id>.exit ─▶ followers; restart timer
//
// Bounds: MAX_PROCESSES, MAX_CLIENTS, of whom MAX_ATTACHED may stay attached to a process's streams; a follower that does not read is not queued for: it is sent what changed
// since its last packet once it reads again.

#include "plan.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAX_PROCESSES = 512, MAX_CLIENTS = 64, MAX_ATTACHED = 32, ID_SIZE = 129, LONGEST_LINE = 16384, PACKET_SIZE = 32768 };

// What an epoll event belongs to; the first member of each owner.
enum watch_kind { WATCH_SIGNALS, WATCH_LISTENER, WATCH_CLIENT, WATCH_STATUS, WATCH_OUTPUT, WATCH_ATTACHED };

struct watch {
    enum watch_kind kind;
    int descriptor;
    void *owner;
};

struct log_file {
    int descriptor;
    char *path;
    int64_t size, maximum;
    int keep;
    uint64_t dropped;  // lines that the disk did not take
};

// One of a process's two output pipes; a terminal's output is the first. `line` holds the start of a line that has not
// ended yet.
struct stream {
    struct watch watch;
    bool paused;  // not read, because somebody who is attached does not keep up
    const char *name;
    char *line;
    size_t length;
};

struct client;

struct process {
    struct process *next;
    char id[ID_SIZE];
    enum lab_state state;
    bool starting;   // between clone and exec
    bool removing;   // forgotten as soon as it has ended
    bool dead;       // freed after the current batch of events
    pid_t pid;
    int code, signal;
    bool out_of_memory;
    int restarts;
    int64_t started, ended;       // wall clock, nanoseconds
    int64_t began, due;           // monotonic: of the start, of the next start
    uint64_t change;              // position in the order of all changes
    struct watch status;          // our end of the status socket while starting
    struct client *starter, *remover;
    int plan;
    unsigned long clone_flags;
    char *pid_namespace;
    int oom_counter;              // -1, or the cgroup's file that has an `oom_kill` line
    int64_t oom_kills;            // what it said when the process started
    int64_t backoff, longest_backoff;  // milliseconds; longest 0: never restarted
    enum lab_output output;
    uid_t uid;
    gid_t gid;
    int passed[3];                // the caller's streams for the first start, or -1
    enum lab_input input_kind;
    enum lab_terminal terminal_kind;
    int input;                    // write end of the input pipe, or -1
    int terminal;                 // our end of the terminal, or -1
    struct log_file log;
    struct stream streams[2];
};

// What is copied to one who is attached. `rest` is what its pipe did not take yet.
struct attached_end {
    struct watch watch;
    struct attachment *owner;
    char *rest;
    size_t size;
    bool ended;  // nothing follows `rest`
};

// Somebody who is attached to a process, for as long as the client's connection is open.
//
//     output ─▶ log
//            └▶ pipe of each who is attached ── full: `rest`, and the stream is not read until the pipe takes it.
//
// One that takes nothing for LONGEST_STALL is dropped, so that no reader can stop a process for good.
struct attachment {
    struct attachment *next;
    struct client *client;
    struct process *process;  // NULL once it has been forgotten
    bool has_input;
    int64_t stalled;          // monotonic: since when a pipe has taken nothing, or 0
    struct attached_end ends[2];
};

struct client {
    struct client *next;
    struct watch watch;
    bool dead, follows, owes_end;
    struct attachment *attachment;
    uint64_t sent;  // all changes up to here have been told
};

struct supervisor {
    int epoll, directory, null_file, own_pid_namespace;
    struct watch signals, listener;
    struct process *processes;
    struct client *clients;
    struct attachment *attachments, *ended_attachments;
    int attachment_count;
    int process_count, client_count;
    uint64_t changes;
    bool is_init;       // pid 1 of its pid namespace
    bool stopping;
    bool spread;  // a start has touched pages all over the binary
    int pagemap;  // of this process, or -1
    int64_t stop_due;   // monotonic: when the rest is killed
    struct stage stage; // for the held descriptors
};

extern struct supervisor supervisor;

int64_t wall_clock(void);
int64_t monotonic(void);
void watch_add(struct watch *watch, uint32_t events);
void watch_close(struct watch *watch);
void note_change(struct process *process);
void begin_shutdown(int64_t grace_milliseconds);

// process.c
struct process *process_find(const char *id);
// Starts the process; the outcome is told by `process_status_ready`. -1 with `failure` filled in.
int process_start(struct process *process, struct lab_failure *failure);
void process_status_ready(struct process *process);
void process_reap_all(void);
void process_restart_due(void);
void process_forget(struct process *process);
void process_free(struct process *process);

// output.c
int log_open(struct log_file *log, int64_t maximum, int keep, const char *path);
void log_close(struct log_file *log);
// Reads what is there, at most `rounds` buffers, and writes finished lines. False once the stream has ended.
// `drains` reads on although somebody who is attached does not keep up.
bool stream_pump(struct process *process, struct stream *stream, int rounds, bool drains);
void stream_finish(struct process *process, struct stream *stream);

// attach.c
// Takes over `ends`, of which -1 stands for one that is not wanted. NULL with errno.
struct attachment *attach_begin(struct client *client, struct process *process, bool has_input, int ends[2]);
// Copies output to all who are attached. True where one of them does not keep up.
bool attach_output(struct process *process, struct stream *stream, const char *bytes, size_t count);
void attach_stream_ended(struct process *process, struct stream *stream);
void attach_process_ended(struct process *process);
void attach_process_forgotten(struct process *process);
// The client has left, or is made to.
void attach_end(struct attachment *attachment);
void attach_ready(struct attached_end *end, uint32_t events);
int64_t attach_stall_due(void);
void attach_drop_stalled(void);
void process_close_input(struct process *process);

// control.c
void client_close(struct client *client);
void control_accept(void);
void control_ready(struct client *client, uint32_t events);
void control_tell_followers(void);
void control_done(struct client *client);
void control_failed(struct client *client, const struct lab_failure *failure);
void control_started(struct client *client, struct process *process);

_Noreturn void supervise(const char *state_directory, int plan, int status);
