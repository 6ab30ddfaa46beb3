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
