#pragma once

// Calls that Swift's Glibc module hides, or that glibc does not have.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int lab_pipe(int *ends);  // close-on-exec
int lab_memfd(const char *name);
int lab_pidfd_open(pid_t pid);
int lab_pidfd_signal(int pidfd, int signal);

// A connected SOCK_SEQPACKET socket that receives credentials; `path` is relative to `directory`. -1 with errno.
int lab_control_connect(int directory, const char *path);
enum { LAB_MOST_DESCRIPTORS = 4 };
// Sends one packet with at most LAB_MOST_DESCRIPTORS descriptors. 0, or -1 with errno.
int lab_control_send(int socket, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count);
// Receives one packet; `sender` gets the pid in its credentials, `attached` the descriptor that came with it or -1.
// Its size, 0 at the end, -1 with errno.
ssize_t lab_control_receive(int socket, void *bytes, size_t capacity, pid_t *sender, int *attached);
int lab_duplicate(int descriptor);  // close-on-exec
int lab_terminal_resize(int terminal, unsigned columns, unsigned rows);
// The pid of the process that listens at the other end; -1 with errno.
pid_t lab_peer_pid(int socket);

// The two ends of a status socket; the first one sees who sent each packet. Close-on-exec. 0, or -1 with errno.
int lab_status_pair(int *ends);
// Copies a descriptor out of another process. -1 with errno.
int lab_pidfd_take(int pidfd, int number);
int lab_next_signal(int signals);  // from lab_signalfd; 0 when there is none
int lab_signalfd(const uint64_t *signals);  // a mask with bit N-1 for signal N; close-on-exec, not blocking
// Connects to a stream socket and sends `bytes` with one descriptor. 0, or -1 with errno.
int lab_send_to_socket(const char *path, const void *bytes, size_t count, int descriptor);
// Loads a program for devices and attaches it to the cgroup behind `group`; in the place of those that were there if
// `replaces`. 0, or -1 with errno.
int lab_attach_device_program(int group, const void *instructions, size_t count, int replaces);
int lab_raw_terminal(int terminal, void *saved, size_t capacity);  // saves the former state; 0 or -1
int lab_restore_terminal(int terminal, const void *saved);
int lab_copy_window(int from, int to);
// Shows a directory at `target` as well, for reading only, and nothing there is run or has rights of its own: from the
// first moment on, also where the mount spreads to. 0, or -1 with errno.
int lab_show_directory(const char *source, const char *target);
int lab_set_subreaper(int yes);
void lab_close_on_exec_from(unsigned first);
long lab_file_system_type(const char *path);  // statfs's f_type, or -1
// Gives the pages of the program's own read-only segments and the free heap back to the kernel.
void lab_give_back_memory(void);

