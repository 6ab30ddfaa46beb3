import Testing

/// What the kernel holds that a cluster could have left behind.
struct KernelState: Equatable, CustomStringConvertible {
    var mounts: Set<String>
    var links: Set<String>
    var cgroups: Set<String>
    var tables: Set<String>
    var processes: Set<String>
    /// Kept alive without a process: by a mount.
    var namespaces: Set<String>

    /// `needle` picks out what belongs to the test: its home and its cluster names.
    fileprivate static func capture(home: String, needle: String) -> KernelState {
        func lines(_ command: String) -> Set<String> {
            Set(Shell.run(["sh", "-c", command]).out.split(separator: "\n").map(String.init))
        }
        return KernelState(
            mounts: lines("grep -F '\(home)' /proc/self/mountinfo"),
            // Every cluster has a link and a table of the host's, also those of tests that run beside this one:
            // `HostObjects` tells one cluster's from another's.
            links: lines("ls /sys/class/net | grep -v '^lab-host'"),
            cgroups: lines("find /sys/fs/cgroup -type d -path '*lab/\(needle)*'"),
            tables: lines("command -v nft >/dev/null && nft list tables | grep -v 'lab-host'"),
            processes: lines("grep -ls '/lab/\(needle)' /proc/[0-9]*/cgroup"),
            namespaces: lines("grep -F nsfs /proc/self/mountinfo"))
    }

    var description: String {
        "mounts \(mounts) links \(links) cgroups \(cgroups) tables \(tables) processes \(processes) netns \(namespaces)"
    }
}

extension Lab {
    var kernelState: KernelState { .capture(home: home, needle: name) }

    /// The last processes of a cluster that was killed are still dying when it is gone.
    func expectNothingLeft(since before: KernelState, sourceLocation: SourceLocation = #_sourceLocation) {
        var after = before
        let isRestored = eventually(within: 10) {
            after = kernelState
            return after == before
        }
        #expect(isRestored, "before: \(before)\nafter: \(after)", sourceLocation: sourceLocation)
    }
}
