#pragma once

// The stage: C code that runs from `.preinit_array`, before the Swift runtime, when the binary was
// executed with `lab:supervise` as its first argument. It carries out a plan (see `plan.h`) and
// becomes a supervisor (see `supervisor.h`). With `lab:contain` it carries out a plan and becomes the plan's
// program (see `contain.c`): a container of the OCI command line, which nobody supervises.
// Everything else in the process starts as usual.
//
// A plan is bytes, so that it can be written by Swift, kept in a memfd by the supervisor and carried
// out by a freshly forked child that must not allocate much:
//
//     "LABPLAN1"  then steps:  u32 opcode, u32 payload size, payload
//     payload:    number = u64; text = u32 length, bytes, one NUL that the length leaves out;
//                 list = number of items, then the items
//
// All integers are little-endian. The comment at each opcode gives its payload.

#include <stdint.h>
#include <sys/types.h>

#define LAB_PLAN_MAGIC "LABPLAN1"
#define LAB_SUPERVISE_MARKER "lab:supervise"
#define LAB_CONTAIN_MARKER "lab:contain"
#define LAB_HELD_ARGUMENT "held="

enum lab_step {
    LAB_STEP_WRITE = 1,         // path text, content text, tolerated: LAB_TOLERATE_* number
    LAB_STEP_HOLD = 2,          // name text, path text: keeps a descriptor under a name
    LAB_STEP_SETNS = 3,         // list of (path text, CLONE_NEW* number), all opened before the first is entered
    LAB_STEP_UNSHARE = 4,       // CLONE_NEW* number
    LAB_STEP_HOSTNAME = 5,      // text
    LAB_STEP_TREE = 6,          // path text, recursive number: a detached copy of a mount for a later BIND
    LAB_STEP_PROPAGATION = 7,   // MS_* number, applied to all mounts
    LAB_STEP_ROOT_DIRECTORY = 8,  // path text
    LAB_STEP_ROOT_OVERLAY = 9,  // working directory text, options text, mount point text
    LAB_STEP_ROOT_INHERIT = 10, // nothing: later targets are below the root as it is
    LAB_STEP_MOUNT = 11,        // type text, source text, target text, MOUNT_ATTR_* number, MS_* propagation number,
                                // list of (key text, value text); an empty value means a flag
                                // then LAB_MOUNT_* number
    LAB_STEP_BIND = 12,         // tree number, target text, MOUNT_ATTR_* to set and to clear, the same for mounts below,
                                // MS_* number
    LAB_STEP_MASK = 13,         // path text
    LAB_STEP_READ_ONLY = 14,    // path text
    LAB_STEP_DEVICE = 15,       // path text, mode number, major number, minor number, uid number, gid number,
                                // exact number: a node that is there already has to be this one
    LAB_STEP_ALL_DEVICES = 16,  // nothing: every node of the creator's /dev
    LAB_STEP_SYMLINK = 17,      // content text, path text
    LAB_STEP_DIRECTORY = 18,    // path text, mode number
    LAB_STEP_PIVOT = 19,        // read-only number, LAB_PIVOT_* number
    LAB_STEP_RLIMIT = 20,       // resource number, soft number, hard number
    LAB_STEP_CHDIR = 21,        // path text, number: made if absent
    LAB_STEP_IDENTITY = 22,     // uid, gid, list of groups, whether capabilities are limited, and to which: five numbers,
                                // bounding, effective, permitted, inheritable, ambient
    LAB_STEP_NO_NEW_PRIVS = 23, // nothing
    LAB_STEP_SECCOMP = 24,      // text: the filter's struct sock_filter array, SECCOMP_FILTER_FLAG_* number; with a
                                // listener the creator is told its number and fetches it
    LAB_STEP_INHERIT = 25,      // list of (number in the program, name of a held descriptor text)
    LAB_STEP_EXEC = 26,         // list of arguments, list of environment
    LAB_STEP_TERMINAL = 27,     // columns, rows, owner's uid, console number: a new terminal of the root's devpts becomes
                                // the controlling one and the standard streams, and with `console` is bound over
                                // /dev/console; its other end goes to the supervisor
    LAB_STEP_USER = 28,         // uid map text, gid map text, setgroups number: a new user namespace, as its root
    LAB_STEP_FORK = 29,         // nothing: goes on in a child, which is the creator's child too, and tells its pid
    LAB_STEP_SYNC = 30,         // reason number: waits until the creator answers
    LAB_STEP_HOOK = 31,         // path text, timeout in seconds number (0: none), list of arguments, list of environment,
                                // text before and text after the pid in what it reads from standard input
    LAB_STEP_GATE_OPEN = 32,    // directory text: the fifos `exec.fifo` and `exec.status` in it
    LAB_STEP_GATE = 33,         // nothing: tells that it is ready, and waits for a byte from the first fifo; from here on
                                // failures go to the second
    LAB_STEP_SCHEDULER = 34,    // policy, flags, nice, priority, runtime, deadline, period: numbers
    LAB_STEP_IO_PRIORITY = 35,  // number as ioprio_set takes it
    LAB_STEP_PERSONALITY = 36,  // number
    LAB_STEP_UMASK = 37,        // number
    LAB_STEP_DOMAIN_NAME = 38,  // text
    LAB_STEP_KEYRING = 39,      // name text: a new session keyring
    LAB_STEP_JOIN = 40,         // pid, start time in ticks as /proc/PID/stat has it, CLONE_NEW* number: enters namespaces of
                                // a process, all or none
    LAB_STEP_FIND = 41,         // program text, PATH text: fails unless exec would find it
    LAB_STEP_ID_MAP = 42,       // tree number, recursive number, user namespace path text or "", uid map, gid map texts
    LAB_STEP_REMOUNT = 43,      // path text, MOUNT_ATTR_* to set, to clear, recursive number
    LAB_STEP_HIDE = 44,         // nothing: not even root of the container may trace this process until it has executed
    LAB_STEP_OWN_STREAMS = 45,  // uid number: of the standard streams
    LAB_STEP_ROOT_PLAIN = 47,   // path text: the new root for a chroot, not mounted anywhere
    LAB_STEP_LOOPBACK = 48,     // nothing: the interface `lo` of a new network namespace works
    LAB_STEP_ROOT_PROPAGATION = 46,  // MS_* number, applied to / after the pivot
};

enum { LAB_TOLERATE_MISSING = 1, LAB_TOLERATE_DENIED = 2 };

// Of a MOUNT: the target's content is copied into the new file system; the target must be a directory and no link;
// the new root gets the mode of the directory that it covers.
enum { LAB_MOUNT_COPY_UP = 1, LAB_MOUNT_ORDINARY = 2, LAB_MOUNT_KEEP_MODE = 4 };

// How the new root becomes the root: pivot_root, moving it over the old one (for roots in an initramfs), chroot alone.
enum { LAB_PIVOT_ROOT = 0, LAB_PIVOT_MOVE = 1, LAB_PIVOT_CHROOT = 2 };

enum {
    LAB_FAILURE_READY = 0xFFFFFFFFu,  // not a failure: the supervisor listens
    LAB_FAILURE_NO_STEP = 0xFFFFFFFEu,  // before the first step, or outside the plan
    LAB_FAILURE_TERMINAL = 0xFFFFFFFDu,  // not a failure: the supervisor's end of a terminal is attached
    LAB_FAILURE_FORKED = 0xFFFFFFFCu,  // not a failure: the packet's credentials have the container's pid
    LAB_FAILURE_SYNC = 0xFFFFFFFBu,  // not a failure: `error` is the reason; a byte is waited for
    LAB_FAILURE_LISTENER = 0xFFFFFFFAu,  // not a failure: `error` is the seccomp listener's number; a byte is waited for
};

// What a child reports before it gives up; one packet on its status socket, which exec closes.
struct lab_failure {
    uint32_t step;  // index in the plan
    int32_t error;  // errno
    char detail[112];  // the call that failed, and the kernel's own words where it gives some
};

// Requests to a supervisor, one SOCK_SEQPACKET packet each, encoded like a payload above after a u32 code;
// one connection carries one request, except for FOLLOW, which goes on until it is closed.
enum lab_request {
    LAB_REQUEST_START = 1,   // with the plan's memfd attached, and behind it the passed streams:
                             // id, clone flags, path of a pid namespace to enter or "", path of the OOM counter or "",
                             // output kind, log path, maximum bytes, files to keep,
                             // longest back-off in milliseconds (0: not restarted), uid, gid of the pipes,
                             // LAB_STREAM_* of the passed streams, LAB_INPUT_*, LAB_TERMINAL_*
    LAB_REQUEST_SIGNAL = 2,  // id, signal
    LAB_REQUEST_REMOVE = 3,  // id
    LAB_REQUEST_LIST = 4,
    LAB_REQUEST_FOLLOW = 5,
    LAB_REQUEST_SHUTDOWN = 6,  // grace in milliseconds
    LAB_REQUEST_ATTACH = 7,  // id, wanted LAB_STREAM_*; with the write ends for its output attached. The answer is a STATUS
                             // that has the write end of its input attached where there is one and it is wanted. The
                             // connection stays until the output has ended; closing it detaches.
    LAB_REQUEST_CLOSE_INPUT = 8,  // id: the supervisor's own write end of the input pipe
};

enum { LAB_STREAM_IN = 1, LAB_STREAM_OUT = 2, LAB_STREAM_ERR = 4 };

// Standard input: none, a pipe that stays open, one that is closed when the first who attached to it leaves.
enum lab_input { LAB_INPUT_NONE = 0, LAB_INPUT_OPEN = 1, LAB_INPUT_ONCE = 2 };

// Who gets the other end of the plan's terminal: the supervisor, which logs it, or whoever starts the process.
enum lab_terminal { LAB_TERMINAL_NONE = 0, LAB_TERMINAL_KEPT = 1, LAB_TERMINAL_HANDED = 2 };

enum lab_output { LAB_OUTPUT_DISCARD = 0, LAB_OUTPUT_CRI = 1, LAB_OUTPUT_FILE = 2 };

// Answers. A STATUS packet carries SCM_CREDENTIALS whose pid is the process's,
// which the kernel translates to the receiver's pid namespace.
// Descriptors come with it as SCM_RIGHTS.
enum lab_answer {
    LAB_ANSWER_DONE = 1,    // nothing
    LAB_ANSWER_FAILED = 2,  // step, errno, detail text
    LAB_ANSWER_STATUS = 3,  // id, lab_state, code, signal, nanoseconds of the end or of the next start,
                            // out of memory, nanoseconds of the start, restarts, dropped log lines, pid is attached
    LAB_ANSWER_END = 4,     // nothing: all that there was to tell has been told
};

enum lab_state { LAB_STATE_RUNNING = 1, LAB_STATE_EXITED = 2, LAB_STATE_BACKING_OFF = 3 };

// Executes `path` as a supervisor for `state_directory`, cloned with `clone_flags` (CLONE_NEWPID or 0), after entering
// the pid namespace behind `pid_namespace` where that is not -1. The new process is nobody's child: it outlives the caller
// and is reaped by init. `plan` and `status` are inherited by it. Returns its pid as the caller sees it, or -errno.
pid_t lab_spawn_supervisor(
    const char *path, const char *state_directory, unsigned long clone_flags, int pid_namespace, int plan, int status);

// A descriptor to execute `path` by that gives nobody a way to write to the file, whatever happens to /proc/PID/exe:
// a read-only mount of it that no namespace has, or where that is not allowed a sealed copy. -1 with errno.
int lab_protected_executable(const char *path);

// Executes `executable` with LAB_CONTAIN_MARKER, `plan` and `status`. It inherits the standard streams and the `kept`
// descriptors from 3 on, and is the caller's child. Its pid, or -errno.
pid_t lab_spawn_contained(int executable, int plan, int status, int kept);
