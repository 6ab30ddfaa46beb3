#pragma once

// Reading plans and carrying them out. Nothing here returns to Swift: it runs in processes
// that have not started the Swift runtime and that exec or exit.

#include "include/stage.h"

#include <stdbool.h>
#include <stddef.h>

// A cursor over encoded bytes; once it has met anything malformed it stays `bad` and yields zeros.
struct reader {
    const uint8_t *at, *end;
    bool bad;
};

uint64_t read_number(struct reader *reader);
// The text in place, NUL-terminated; never NULL.
const char *read_text(struct reader *reader);
const char *read_bytes(struct reader *reader, size_t *length);

enum { TREES = 256, HELD = 16 };

struct held {
    char name[64];
    int descriptor;
};

// What earlier steps leave for later ones.
struct stage {
    int root;           // O_PATH of the new root, -1 before there is one
    int trees[TREES];   // detached mounts
    int tree_count;
    struct held held[HELD];
    int held_count;
    int report;         // the status socket of a starting process, or -1
    int gate[2];        // the fifos of GATE, or -1
    struct lab_failure failure;
};

void stage_init(struct stage *stage);
// Notes what failed; always returns -1. errno is kept in the failure.
int stage_fail(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Carries out all steps; does not return from EXEC. 0, or -1 with `stage->failure` filled in.
int stage_run(struct stage *stage, const uint8_t *bytes, size_t count);
// Maps the plan in `descriptor`, closes that, and runs it.
int stage_run_file(struct stage *stage, int descriptor);

int step_root_directory(struct stage *stage, struct reader *reader);
int step_root_overlay(struct stage *stage, struct reader *reader);
int step_root_plain(struct stage *stage, struct reader *reader);
int step_root_inherit(struct stage *stage, struct reader *reader);
int step_tree(struct stage *stage, struct reader *reader);
int step_propagation(struct stage *stage, struct reader *reader);
int step_mount(struct stage *stage, struct reader *reader);
int step_bind(struct stage *stage, struct reader *reader);
int step_mask(struct stage *stage, struct reader *reader);
int step_read_only(struct stage *stage, struct reader *reader);
int step_pivot(struct stage *stage, struct reader *reader);

int step_device(struct stage *stage, struct reader *reader);
int step_all_devices(struct stage *stage, struct reader *reader);
int step_symlink(struct stage *stage, struct reader *reader);
int step_directory(struct stage *stage, struct reader *reader);

int step_rlimit(struct stage *stage, struct reader *reader);
int step_chdir(struct stage *stage, struct reader *reader);
int step_identity(struct stage *stage, struct reader *reader);
int step_no_new_privs(struct stage *stage, struct reader *reader);
int step_seccomp(struct stage *stage, struct reader *reader);
int step_inherit(struct stage *stage, struct reader *reader);
int step_exec(struct stage *stage, struct reader *reader);
int step_terminal(struct stage *stage, struct reader *reader);
int step_find(struct stage *stage, struct reader *reader);
int step_own_streams(struct stage *stage, struct reader *reader);

int step_user(struct stage *stage, struct reader *reader);
int step_id_map(struct stage *stage, struct reader *reader);
int step_join(struct stage *stage, struct reader *reader);
int step_remount(struct stage *stage, struct reader *reader);
int step_root_propagation(struct stage *stage, struct reader *reader);

int step_fork(struct stage *stage, struct reader *reader);
int step_sync(struct stage *stage, struct reader *reader);
int step_hook(struct stage *stage, struct reader *reader);
int step_gate_open(struct stage *stage, struct reader *reader);
int step_gate(struct stage *stage, struct reader *reader);
int step_hide(struct stage *stage, struct reader *reader);

int step_scheduler(struct stage *stage, struct reader *reader);
int step_io_priority(struct stage *stage, struct reader *reader);
int step_personality(struct stage *stage, struct reader *reader);
int step_umask(struct stage *stage, struct reader *reader);
int step_keyring(struct stage *stage, struct reader *reader);

// Tells the creator `what` (LAB_FAILURE_*, no failure) with a number, and waits for its answer. 0, or -1 with errno.
int stage_ask(struct stage *stage, uint32_t what, int number);
// Closes every descriptor from 3 on except `count` ones, which are sorted.
void close_all_but(int *kept, int count);
// Copies what is below directory `from` into directory `to`: -1 with errno. For a tmpfs that starts with what it covers.
int copy_tree(int from, int to);

// `lab lab:contain PLAN STATUS`, both numbers.
_Noreturn void contain(int plan, int status);

// Resolves `path` inside the root, links included, and makes what is missing:
// directories, and for `file` an empty file as the last component. An O_PATH descriptor, or -1.
enum missing { MISSING_FAILS, MISSING_DIRECTORY, MISSING_FILE };
// Whether the directory at `path` is one by itself, not through a link; true where there is nothing.
bool root_is_ordinary(int root, const char *path);
int root_open(int root, const char *path, enum missing missing);
// The directory that holds the last component of `path` (made if absent), and where that component starts.
int root_open_parent(int root, const char *path, const char **name);
