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
// Sends one packet, with a descriptor where `descriptor` is not -1. 0, or -1 with errno.
int lab_control_send(int socket, const void *bytes, size_t count, int descriptor);
// Receives one packet; `sender` gets the pid in its credentials. Its size, 0 at the end, -1 with errno.
ssize_t lab_control_receive(int socket, void *bytes, size_t capacity, pid_t *sender);
// The pid of the process that listens at the other end; -1 with errno.
pid_t lab_peer_pid(int socket);
