#pragma once

// Network namespaces and the sockets that live in them.
// Every function answers a descriptor (or 0) on success and -errno on failure.

// Runs `body` on a thread of its own inside the namespace `fd`, and waits for it. The calling thread never
// leaves its namespace, so nothing has to be restored.
int net_run_in_namespace(int fd, void (*body)(void *), void *context);

// A new network namespace that has no process; it lives as long as the descriptor (or something inside it) does.
int net_make_namespace(void);

int net_open_namespace(const char *path);

// Whether two descriptors name the same namespace: 1, 0 or -errno.
int net_same_namespace(int a, int b);

// A netlink socket of `protocol`, with extended acknowledgements, strict checks and a bounded wait for answers.
int net_open_netlink(int protocol, int receive_timeout_ms);

// Tells everyone on the link `index` that `address` (IPv4, network order) is behind `mac`: one unasked ARP reply,
// from the calling thread's namespace.
int net_announce(int index, const unsigned char mac[6], const unsigned char address[4]);

// A packet socket on the link `index` of the calling thread's namespace, which sees whole frames of every protocol in
// both directions. It does not block.
int net_open_packets(int index);
