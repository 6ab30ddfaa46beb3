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
    struct lab_failure failure;
};

void stage_init(struct stage *stage);
// Notes what failed; always returns -1. errno is kept in the failure.
int stage_fail(struct stage *stage, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Carries out all steps; does not return from EXEC. 0, or -1 with `stage->failure` filled in.
int stage_run(struct stage *stage, const uint8_t *bytes, size_t count);
// Maps the plan in `descriptor` and runs it.
int stage_run_file(struct stage *stage, int descriptor);

int step_root_directory(struct stage *stage, struct reader *reader);
int step_root_overlay(struct stage *stage, struct reader *reader);
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

// Resolves `path` inside the root, links included, and makes what is missing:
// directories, and for `file` an empty file as the last component. An O_PATH descriptor, or -1.
enum missing { MISSING_FAILS, MISSING_DIRECTORY, MISSING_FILE };
int root_open(int root, const char *path, enum missing missing);
// The directory that holds the last component of `path` (made if absent), and where that component starts.
int root_open_parent(int root, const char *path, const char **name);
