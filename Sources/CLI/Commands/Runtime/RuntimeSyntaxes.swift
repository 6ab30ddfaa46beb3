/// The commands and flags of `lab runtime`: runc's.
enum RuntimeCommands {
    typealias Flag = RuntimeSyntax.Flag

    static let global = RuntimeSyntax(
        "", "COMMAND", 0...0, "An OCI runtime.",
        [
            Flag("debug", help: "log more"),
            Flag("log", value: .one, help: "append log messages to a file (default: standard error)"),
            Flag("log-format", value: .one, help: "text or json (default text)"),
            Flag("root", value: .one, help: "where containers' states are kept (default /run/lab-runc)"),
            Flag("criu", value: .one, help: "taken and not used: there are no checkpoints"),
            Flag("systemd-cgroup", help: "refused: control groups are made without systemd"),
            Flag(
                "rootless", value: .one, help: "true, false or auto: whether to go on without being root (default auto)"
            ),
            Flag("version", "v", help: "print the version"),
        ])

    private static let bundle = Flag(
        "bundle", "b", value: .one, help: "the bundle's directory (default: the current one)")
    private static let console = Flag(
        "console-socket", value: .one, help: "unix socket that gets the terminal's near end")
    private static let pidFile = Flag("pid-file", value: .one, help: "write the process's pid to a file")
    private static let preserve = Flag(
        "preserve-fds", value: .number,
        help: "descriptors from 3 on that the program inherits, after those of $LISTEN_FDS")
    private static let starting: [Flag] = [
        bundle, console, pidFile,
        Flag("no-pivot", help: "move the root instead of pivot_root: for roots on a ramdisk"),
        Flag("no-new-keyring", help: "keep the caller's session keyring"), preserve,
    ]
    private static let anyNumber = 1...100_000

    static let all: [RuntimeSyntax] = [
        RuntimeSyntax("create", "<container-id>", 1...1, "Create a container; its process waits for start.", starting),
        RuntimeSyntax("start", "<container-id>", 1...1, "Start the program of a created container."),
        RuntimeSyntax(
            "run", "<container-id>", 1...1, "Create and start a container.",
            starting + [
                Flag("detach", "d", help: "do not wait for its end"),
                Flag("keep", help: "do not delete it when it ends"),
                Flag("no-subreaper", help: "leave the container's orphans to init"),
            ]),
        RuntimeSyntax(
            "exec", "<container-id> <command> [argument...] | -p process.json <container-id>", anyNumber,
            "Run a further program in a container.",
            [
                Flag("process", "p", value: .one, help: "file with the process as in config.json"),
                console, pidFile,
                Flag("tty", "t", help: "give it a terminal"),
                Flag("cwd", value: .one, help: "working directory in the container"),
                Flag("env", "e", value: .many, help: "environment variable NAME=VALUE; may be repeated"),
                Flag("user", "u", value: .one, help: "UID[:GID]"),
                Flag("additional-gids", "g", value: .many, help: "further group; may be repeated"),
                Flag("cap", "c", value: .many, help: "further capability; may be repeated"),
                Flag("detach", "d", help: "do not wait for its end"),
                Flag("apparmor", value: .one, help: "AppArmor profile"),
                Flag("process-label", value: .one, help: "SELinux label"),
                Flag("no-new-privs", help: "set no_new_privs"),
                Flag("ignore-paused", help: "also in a paused container: it starts when that goes on"),
                Flag("cgroup", value: .one, help: "an existing group below the container's"),
                preserve,
            ], endsAtOperand: true),
        RuntimeSyntax("state", "<container-id>", 1...1, "Print a container's state as JSON."),
        RuntimeSyntax(
            "kill", "<container-id> [signal]", 1...2, "Send a signal (default SIGTERM) to a container's first process.",
            [Flag("all", "a", help: "to all of its processes")]),
        RuntimeSyntax(
            "delete", "<container-id>", 1...1, "Delete a stopped container.",
            [Flag("force", "f", help: "whatever its state: kill it first; a missing one is fine")]),
        RuntimeSyntax(
            "ps", "<container-id> [ps options]", anyNumber, "List the processes of a container.",
            [Flag("format", "f", value: .one, help: "table or json (default table)")], endsAtOperand: true),
        RuntimeSyntax(
            "list", "", 0...0, "List the containers below --root.",
            [
                Flag("format", "f", value: .one, help: "table or json (default table)"),
                Flag("quiet", "q", help: "ids only"),
            ]),
        RuntimeSyntax("pause", "<container-id>", 1...1, "Stop all processes of a container until resume."),
        RuntimeSyntax("resume", "<container-id>", 1...1, "Let a paused container go on."),
        update,
        RuntimeSyntax(
            "events", "<container-id>", 1...1, "Print statistics and what happens to a container, a line of JSON each.",
            [
                Flag("interval", value: .one, help: "time between statistics (default 5s)"),
                Flag("stats", help: "print statistics once"),
            ]),
        RuntimeSyntax(
            "spec", "", 0...0, "Write a config.json to start from.",
            [bundle, Flag("rootless", help: "for a user without privileges")]),
        RuntimeSyntax("features", "", 0...0, "Print what this runtime supports as JSON."),
    ]

    private static let update = RuntimeSyntax(
        "update", "<container-id>", 1...1, "Change a container's limits while it runs.",
        [
            Flag("resources", "r", value: .one, help: "file with OCI's resources as JSON, or - for standard input"),
            Flag("blkio-weight", value: .number, help: "share of block I/O, 10 to 1000"),
            Flag("cpu-period", value: .number, help: "microseconds in which the quota counts"),
            Flag("cpu-quota", value: .number, help: "microseconds of CPU in a period; -1: no limit"),
            Flag("cpu-burst", value: .number, help: "microseconds that may be saved up"),
            Flag("cpu-share", value: .number, help: "relative weight"),
            Flag("cpu-rt-period", value: .number, help: "period of real-time CPU"),
            Flag("cpu-rt-runtime", value: .number, help: "quota of real-time CPU"),
            Flag("cpu-idle", value: .number, help: "1: only when nobody else wants the CPU"),
            Flag("cpuset-cpus", value: .one, help: "processors, such as 0-2,5"),
            Flag("cpuset-mems", value: .one, help: "memory nodes"),
            Flag("memory", value: .one, help: "bytes; k, m and g count thousands of 1024"),
            Flag("memory-reservation", value: .one, help: "bytes that are not taken back"),
            Flag("memory-swap", value: .one, help: "bytes with swap; -1: no limit"),
            Flag("pids-limit", value: .number, help: "processes; -1: no limit"),
            Flag("l3-cache-schema", value: .one, help: "refused: cache allocation is not supported"),
            Flag("mem-bw-schema", value: .one, help: "refused: bandwidth allocation is not supported"),
        ])

    static var overview: String {
        let width = all.map(\.name.count).max() ?? 0
        let lines = all.map { command in
            let padding = String(repeating: " ", count: width - command.name.count)
            return "  \(command.name)\(padding)  \(command.summary)"
        }
        let flags = global.help.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(4)
        return "lab runtime: an OCI runtime that takes runc's place\n\nusage: lab runtime [global flags] COMMAND\n\n"
            + lines.joined(separator: "\n") + "\n\nglobal flags:\n" + flags.joined(separator: "\n")
    }
}
