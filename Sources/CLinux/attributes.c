// What a process is to the scheduler and the kernel's older corners.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// As linux/sched/types.h has it, which cannot be included beside glibc's sched.h.
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

int step_scheduler(struct stage *stage, struct reader *reader) {
    struct scheduling wanted = {.size = sizeof wanted};
    wanted.policy = (uint32_t)read_number(reader);
    wanted.flags = read_number(reader);
    wanted.nice = (int32_t)read_number(reader);
    wanted.priority = (uint32_t)read_number(reader);
    wanted.runtime = read_number(reader);
    wanted.deadline = read_number(reader);
    wanted.period = read_number(reader);
    if (reader->bad) return 0;
    return syscall(SYS_sched_setattr, 0, &wanted, 0) < 0 ? stage_fail(stage, "sched_setattr") : 0;
}

int step_io_priority(struct stage *stage, struct reader *reader) {
    enum { WHO_PROCESS = 1 };
    int priority = (int)read_number(reader);
    if (reader->bad) return 0;
    return syscall(SYS_ioprio_set, WHO_PROCESS, 0, priority) < 0 ? stage_fail(stage, "ioprio_set") : 0;
}

int step_personality(struct stage *stage, struct reader *reader) {
    unsigned long persona = read_number(reader);
    if (reader->bad) return 0;
    return personality(persona) < 0 ? stage_fail(stage, "personality") : 0;
}

int step_umask(struct stage *stage, struct reader *reader) {
    mode_t mask = (mode_t)read_number(reader);
    (void)stage;
    if (!reader->bad) umask(mask);
    return 0;
}

int step_keyring(struct stage *stage, struct reader *reader) {
    enum { JOIN_SESSION_KEYRING = 1 };
    const char *name = read_text(reader);
    if (reader->bad) return 0;
    // A kernel without keyrings has none to share; a filter around this process may forbid them as well.
    if (syscall(SYS_keyctl, JOIN_SESSION_KEYRING, name) >= 0 || errno == ENOSYS || errno == EPERM) return 0;
    return stage_fail(stage, "keyctl");
}
