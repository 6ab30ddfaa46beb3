// A process's terminal.

#define _GNU_SOURCE
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

// Gives the near end to the supervisor with a packet on the status socket.
static int send_terminal(struct stage *stage, int terminal) {
    struct lab_failure report = {.step = LAB_FAILURE_TERMINAL};
    struct iovec part = {&report, sizeof report};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.space};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &terminal, sizeof terminal);
    return sendmsg(stage->report, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

// A console that is there is covered; one that is missing is made. No link is followed.
static int cover_console(int terminal) {
    int file = open("/dev/console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0 && errno == ENOENT) {
        int made = open("/dev/console", O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0666);
        if (made < 0) return -1;
        close(made);
        file = open("/dev/console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (file < 0) return -1;
    int tree = open_tree(terminal, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    int result =
        tree < 0 ? -1 : move_mount(tree, "", file, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    int error = errno;
    if (tree >= 0) close(tree);
    close(file);
    errno = error;
    return result;
}

int step_terminal(struct stage *stage, struct reader *reader) {
    uint64_t columns = read_number(reader), rows = read_number(reader);
    uid_t owner = (uid_t)read_number(reader);
    bool console = read_number(reader);
    if (reader->bad) return 0;
    // Opened by a process that is inside the root already: links in it cannot lead out of it.
    int near = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (near < 0) near = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (near < 0) return stage_fail(stage, "open /dev/pts/ptmx");
    int unlocked = 0;
    if (ioctl(near, TIOCSPTLCK, &unlocked) < 0) return stage_fail(stage, "unlock the terminal");
    int far = ioctl(near, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (far < 0) return stage_fail(stage, "open the terminal");
    struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
    if (columns > 0 && rows > 0) ioctl(near, TIOCSWINSZ, &size);
    if (fchown(far, owner, (gid_t)-1) < 0) return stage_fail(stage, "fchown of the terminal");
    if (console && cover_console(far) < 0) return stage_fail(stage, "bind /dev/console");
    if (send_terminal(stage, near) < 0) return stage_fail(stage, "hand over the terminal");
    close(near);
    for (int standard = 0; standard < 3; standard++)
        if (dup2(far, standard) < 0) return stage_fail(stage, "dup2");
    if (far > 2) close(far);
    return ioctl(0, TIOCSCTTY, 0) < 0 ? stage_fail(stage, "take the terminal") : 0;
}
