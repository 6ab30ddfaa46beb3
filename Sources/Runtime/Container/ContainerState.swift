import Basics
import Document
import Glibc
import Linux

/// Something about a container as a whole: it is not there, or in the wrong state.
public struct ContainerError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    public var isMissing: Bool

    public init(_ description: String, isMissing: Bool = false) {
        self.description = description
        self.isMissing = isMissing
    }

    static let missing = ContainerError("container does not exist", isMissing: true)
}

/// A process by its pid and its start: the pid alone may mean another one later.
public struct ProcessIdentity: Sendable, Equatable {
    public var pid: Int32
    /// In ticks since the machine's start, as `/proc/PID/stat` has it; 0 when it was not yet known.
    public var startTime: UInt64

    /// Fields 3 and 22 of `/proc/PID/stat`. Field 2, the name, may contain anything: fields are counted after its end.
    static func read(_ pid: Int32) -> (state: Character, startTime: UInt64)? {
        guard pid > 0, let text = try? Files.text("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let state = fields[0].first, let start = UInt64(fields[19]) else { return nil }
        return (state, start)
    }

    /// A zombie has ended: only its parent still has to ask how.
    var isAlive: Bool {
        guard let now = Self.read(pid) else { return false }
        return now.startTime == startTime && now.state != "Z" && now.state != "X"
    }
}

public enum ContainerStatus: String, Sendable {
    case creating, created, running, paused, stopped
}

/// What is kept about a container in `ROOT/ID/state.json`; the configuration as it was read lies beside it.
public struct ContainerRecord: Sendable, Equatable {
    public var id: String
    public var version: String
    public var bundle: String
    public var rootPath: String
    public var created: String
    public var annotations: [String: String]
    /// Below the hierarchies' roots; its directories may have been there before.
    public var cgroup: String
    public var process: ProcessIdentity
    /// Those that run outside once the container is there: starting and deleting one takes no look at its whole
    /// configuration for them. Nil in what an earlier version wrote.
    var laterHooks: [Hook.Kind: [Hook]]?

    var document: Document {
        var document: Document = [
            "id": Document(id), "init_process_pid": Document(Int(process.pid)),
            "init_process_start": Document(Int64(clamping: process.startTime)), "created": Document(created),
            "oci_version": Document(version), "bundle": Document(bundle), "rootfs": Document(rootPath),
            "cgroup_path": Document(cgroup),
            "annotations": Document(
                members: annotations.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) }),
        ]
        if let laterHooks {
            document["hooks"] = Document(
                members: laterHooks.sorted { $0.key.rawValue < $1.key.rawValue }.map { kind, hooks in
                    (kind.rawValue, Document(hooks.map(\.document)))
                })
        }
        return document
    }

    init(
        id: String, version: String, bundle: String, rootPath: String, created: String,
        annotations: [String: String], cgroup: String, process: ProcessIdentity,
        laterHooks: [Hook.Kind: [Hook]]? = nil
    ) {
        self.id = id
        self.version = version
        self.bundle = bundle
        self.rootPath = rootPath
        self.created = created
        self.annotations = annotations
        self.cgroup = cgroup
        self.process = process
        self.laterHooks = laterHooks
    }

    init?(_ document: Document) {
        guard let id = document.text("id"), let pid = document.number("init_process_pid"),
            let start = document.number("init_process_start"), let created = document.text("created"),
            let bundle = document.text("bundle"), let rootPath = document.text("rootfs"),
            let cgroup = document.text("cgroup_path")
        else { return nil }
        self.init(
            id: id, version: document.text("oci_version") ?? "", bundle: bundle, rootPath: rootPath, created: created,
            annotations: document.map("annotations"), cgroup: cgroup,
            process: ProcessIdentity(pid: Int32(truncatingIfNeeded: pid), startTime: UInt64(clamping: start)))
        guard let hooks = document["hooks"] else { return }
        var later: [Hook.Kind: [Hook]] = [:]
        for kind in Hook.Kind.allCases where hooks[kind.rawValue] != nil {
            later[kind] = hooks.list(kind.rawValue).compactMap { Hook($0) }
        }
        laterHooks = later
    }

    /// The state as hooks get it, and with more of it the `state` command. A stopped container has no process.
    func stateDocument(_ status: ContainerStatus) -> Document {
        var document: Document = ["ociVersion": Document(version), "id": Document(id)]
        document["pid"] = Document(status == .stopped ? 0 : Int(process.pid))
        document["status"] = Document(status.rawValue)
        document["bundle"] = Document(bundle)
        if !annotations.isEmpty { document["annotations"] = self.document["annotations"] }
        return document
    }

    /// The same as text around a pid that only the container's process will know.
    func stateAroundPID(_ status: ContainerStatus) -> (String, String) {
        var record = self
        record.process.pid = -7
        let text = record.stateDocument(status).jsonText
        guard let range = text.firstRange(of: "\"pid\":-7") else { return ("", "") }
        return (text[..<range.lowerBound] + "\"pid\":", String(text[range.upperBound...]))
    }
}

/// All containers of one `--root`: a directory each.
public struct ContainerStore: Sendable {
    public let root: String

    public init(root: String) { self.root = root }

    static let stateFile = "state.json"
    static let configurationFile = "config.json"
    static let gate = "exec.fifo"
    static let gateStatus = "exec.status"

    public func directory(_ id: String) -> String { "\(root)/\(id)" }

    /// Ids become names of directories.
    public static func check(id: String) throws {
        let isFine = id.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || [43, 45, 46, 95].contains(byte)
        }
        guard isFine, (1...1_024).contains(id.utf8.count), id != ".", id != ".." else {
            throw ContainerError("invalid container ID format '\(id)': letters, digits, _, +, - and . are expected")
        }
    }

    /// Makes the container's directory; nobody else can have the id from then on.
    func reserve(_ id: String) throws {
        try Files.makeDirectories(root, mode: 0o700)
        guard mkdir(directory(id), 0o711) == 0 else {
            if errno == EEXIST { throw ContainerError("container with given ID already exists") }
            throw SystemError("mkdir", directory(id), errno: errno)
        }
    }

    func save(_ record: ContainerRecord) throws {
        try Files.write(
            Array(record.document.jsonText.utf8), to: "\(directory(record.id))/\(Self.stateFile)", mode: 0o600)
    }

    public func load(_ id: String) throws -> Container {
        try Self.check(id: id)
        guard Files.exists(directory(id)) else { throw ContainerError.missing }
        let path = "\(directory(id))/\(Self.stateFile)"
        guard let bytes = try? Files.read(path, limit: 1 << 20), let document = try? Document(json: bytes),
            let record = ContainerRecord(document)
        else { throw ContainerError("\(path) is missing or damaged: 'delete --force \(id)' removes what is left") }
        return Container(store: self, record: record)
    }

    /// The ids, sorted. What is no container's directory is left out.
    public func ids() -> [String] {
        ((try? Files.list(root)) ?? []).filter { Files.exists("\(directory($0))/\(Self.stateFile)") }
    }

    /// One command at a time changes a container. Held until the result is released.
    func lock(_ id: String) throws -> Descriptor {
        let descriptor = open(directory(id), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw ContainerError.missing }
            throw SystemError("open", directory(id), errno: errno)
        }
        let held = Descriptor(descriptor)
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else { throw SystemError("flock", directory(id), errno: errno) }
        }
        return held
    }
}
