import CLinux
import Glibc

/// Bytes as the stage and the supervisor read them: u64 numbers, length-prefixed texts with a NUL behind them.
struct Payload {
    private(set) var bytes: [UInt8] = []

    mutating func number(_ value: UInt64) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
    mutating func number(_ value: Int64) { number(UInt64(bitPattern: value)) }
    mutating func flag(_ value: Bool) { number(value ? UInt64(1) : 0) }

    mutating func data(_ value: some Collection<UInt8>) {
        withUnsafeBytes(of: UInt32(value.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: value)
        bytes.append(0)
    }

    mutating func text(_ value: String) { data(value.utf8) }

    mutating func list(_ values: [String]) {
        number(Int64(values.count))
        for value in values { text(value) }
    }

    mutating func code(_ value: UInt32) { withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) } }
}

/// Reads what `Payload` wrote; nil past the end or where a length does not fit.
struct PayloadReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    var isAtEnd: Bool { rest.isEmpty }

    private mutating func integer<Value: FixedWidthInteger>(_: Value.Type) -> Value? {
        let size = MemoryLayout<Value>.size
        guard rest.count >= size else { return nil }
        defer { rest = rest.dropFirst(size) }
        return rest.prefix(size).reversed().reduce(0) { $0 << 8 | Value(truncatingIfNeeded: $1) }
    }

    mutating func code() -> UInt32? { integer(UInt32.self) }
    mutating func number() -> Int64? { integer(Int64.self) }

    mutating func data() -> [UInt8]? {
        guard let count = code(), rest.count > Int(count) else { return nil }
        let data = Array(rest.prefix(Int(count)))
        guard rest[rest.startIndex + data.count] == 0 else { return nil }
        rest = rest.dropFirst(data.count + 1)
        return data
    }

    mutating func text() -> String? { data().map { String(decoding: $0, as: UTF8.self) } }
}

enum ErrorText {
    static func of(_ errno: Int32) -> String { String(cString: strerror(errno)) }
}

extension NamespaceKind {
    /// The kernel's CLONE_NEW* flag.
    var flag: UInt64 {
        switch self {
        case .time: 0x80
        case .mount: 0x0002_0000
        case .cgroup: 0x0200_0000
        case .uts: 0x0400_0000
        case .ipc: 0x0800_0000
        case .user: 0x1000_0000
        case .pid: 0x2000_0000
        case .network: 0x4000_0000
        }
    }
}

extension Step {
    var payload: Payload {
        var out = Payload()
        switch self {
        case .write(_, let path, let content, let tolerance):
            out.text(path)
            out.text(content)
            out.number(tolerance.rawValue)
        case .hold(let name, let path):
            out.text(name)
            out.text(path)
        case .enterNamespaces(let entries):
            out.number(Int64(entries.count))
            for entry in entries {
                out.text(entry.path)
                out.number(entry.kind.flag)
            }
        case .unshare(let kinds): out.number(kinds.reduce(UInt64(0)) { $0 | $1.flag })
        case .hostname(let text), .rootDirectory(let text), .mask(let text), .readOnly(let text),
            .domainName(let text), .keyring(let text), .openGate(let text), .rootPlain(let text):
            out.text(text)
        case .workingDirectory(let path, let made):
            out.text(path)
            out.flag(made)
        case .tree(let path, let recursive):
            out.text(path)
            out.flag(recursive)
        case .propagation(let flags): out.number(flags)
        case .rootOverlay(let directory, let options, let target):
            out.text(directory)
            out.text(options)
            out.text(target)
        case .rootInherit, .allDevices, .noNewPrivileges, .fork, .gate, .hide, .loopback: break
        case .mount, .bind, .idMap, .remount: encodeMount(&out)
        case .device(let node):
            out.text(node.path)
            for number in [node.mode, node.major, node.minor, node.uid, node.gid] { out.number(UInt64(number)) }
            out.flag(node.isExact)
        case .symlink(let content, let path):
            out.text(content)
            out.text(path)
        case .directory(let path, let mode):
            out.text(path)
            out.number(UInt64(mode))
        case .pivot(let readOnly, let how):
            out.flag(readOnly)
            out.number(how.code)
        case .resourceLimit(_, let number, let soft, let hard):
            out.number(Int64(number))
            out.number(soft)
            out.number(hard)
        case .identity, .seccomp, .inherit, .exec, .hook, .scheduler: encodeProgram(&out)
        case .terminal(let size, let owner, let console):
            out.number(UInt64(size.columns))
            out.number(UInt64(size.rows))
            out.number(UInt64(owner))
            out.flag(console)
        case .user(let maps, let setgroups):
            out.text(IDMaps.text(maps.uids))
            out.text(IDMaps.text(maps.gids))
            out.flag(setgroups)
        case .sync(let number), .ioPriority(let number), .personality(let number), .rootPropagation(let number):
            out.number(number)
        case .umask(let number), .ownStreams(let number): out.number(UInt64(number))
        case .join(let pid, let startTime, let kinds):
            out.number(Int64(pid))
            out.number(startTime)
            out.number(kinds.reduce(UInt64(0)) { $0 | $1.flag })
        case .find(let program, let path):
            out.text(program)
            out.text(path)
        }
        return out
    }

    private func encodeMount(_ out: inout Payload) {
        switch self {
        case .mount(let type, let source, let target, let attributes, let propagation, let handling, let options):
            out.text(type)
            out.text(source)
            out.text(target)
            out.number(attributes)
            out.number(propagation)
            out.number(handling.rawValue)
            out.number(Int64(options.count))
            for option in options {
                out.text(option.key)
                out.text(option.value)
            }
        case .bind(let tree, let target, let change, let propagation):
            out.number(Int64(tree))
            out.text(target)
            for attributes in [change.set, change.cleared, change.setBelow, change.clearedBelow] {
                out.number(attributes)
            }
            out.number(propagation)
        case .idMap(let tree, let recursive, let namespace, let maps):
            out.number(Int64(tree))
            out.flag(recursive)
            out.text(namespace)
            out.text(IDMaps.text(maps.uids))
            out.text(IDMaps.text(maps.gids))
        case .remount(let path, let change):
            out.text(path)
            out.number(change.set | change.setBelow)
            out.number(change.cleared | change.clearedBelow)
            out.flag(change.setBelow | change.clearedBelow != 0)
        default: break
        }
    }

    private func encodeProgram(_ out: inout Payload) {
        switch self {
        case .identity(let user, let capabilities):
            out.number(UInt64(user.uid))
            out.number(UInt64(user.gid))
            out.number(Int64(user.additionalGroups.count))
            for group in user.additionalGroups { out.number(UInt64(group)) }
            out.flag(capabilities != nil)
            let masks = capabilities ?? CapabilityMasks()
            for mask in [masks.bounding, masks.effective, masks.permitted, masks.inheritable, masks.ambient] {
                out.number(mask)
            }
        case .seccomp(let program, let flags):
            out.data(program)
            out.number(flags)
        case .scheduler(let setting):
            out.number(UInt64(setting.policy))
            out.number(setting.flags)
            out.number(Int64(setting.nice))
            out.number(UInt64(setting.priority))
            for number in [setting.runtime, setting.deadline, setting.period] { out.number(number) }
        case .hook(let call):
            out.text(call.path)
            out.number(call.timeoutSeconds)
            out.list(call.arguments)
            out.list(call.environment)
            out.text(call.stateBefore)
            out.text(call.stateAfter)
        case .inherit(let numbers):
            out.number(Int64(numbers.count))
            for (number, name) in numbers.sorted(by: { $0.key < $1.key }) {
                out.number(Int64(number))
                out.text(name)
            }
        case .exec(let arguments, let environment):
            out.list(arguments)
            out.list(environment)
        default: break
        }
    }
}
