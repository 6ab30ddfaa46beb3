import CLinux
import Glibc

/// One line of who may use which devices. The last rule that speaks of an access decides; without one it is denied.
public struct DeviceRule: Sendable, Equatable {
    public enum Kind: Sendable, Equatable { case all, character, block }

    public struct Access: OptionSet, Sendable, Equatable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        // The kernel's BPF_DEVCG_ACC_* bits.
        public static let make = Access(rawValue: 1)
        public static let read = Access(rawValue: 2)
        public static let write = Access(rawValue: 4)
        public static let all: Access = [.make, .read, .write]

        public init(_ text: String) {
            self = []
            for character in text {
                switch character {
                case "r": insert(.read)
                case "w": insert(.write)
                case "m": insert(.make)
                default: break
                }
            }
        }

        var text: String {
            (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "") + (contains(.make) ? "m" : "")
        }
    }

    public var allows: Bool
    public var kind = Kind.all
    /// Nil: any.
    public var major: UInt32?
    public var minor: UInt32?
    public var access = Access.all

    public init(allows: Bool, kind: Kind = .all, major: UInt32? = nil, minor: UInt32? = nil, access: Access = .all) {
        self.allows = allows
        self.kind = kind
        self.major = major
        self.minor = minor
        self.access = access
    }

    /// From what `devices.allow` takes: `c 1:3 rwm`.
    public init?(allowing text: String) {
        let words = text.split(separator: " ")
        guard words.count == 3, let kind = ["a": Kind.all, "c": .character, "b": .block][words[0]] else { return nil }
        let numbers = words[1].split(separator: ":")
        guard numbers.count == 2 else { return nil }
        func number(_ text: Substring) -> UInt32?? { text == "*" ? .some(nil) : UInt32(text).map { .some($0) } }
        guard let major = number(numbers[0]), let minor = number(numbers[1]) else { return nil }
        self.init(allows: true, kind: kind, major: major, minor: minor, access: Access(String(words[2])))
    }

    /// As `devices.allow` and `devices.deny` take it.
    var text: String {
        if kind == .all, major == nil, minor == nil, access == .all { return "a" }
        let letter =
            switch kind {
            case .all: "a"
            case .character: "c"
            case .block: "b"
            }
        return "\(letter) \(major.map { "\($0)" } ?? "*"):\(minor.map { "\($0)" } ?? "*") \(access.text)"
    }

    /// What every container may use, besides making nodes of any kind: that alone opens nothing.
    public static let standard: [DeviceRule] =
        [
            DeviceRule(allows: true, kind: .character, access: .make),
            DeviceRule(allows: true, kind: .block, access: .make),
        ]
        + [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)].map {
            DeviceRule(allows: true, kind: .character, major: $0.0, minor: $0.1)
        } + [DeviceRule(allows: true, kind: .character, major: 136)]

    /// v1 has no single rule for both kinds of device unless it is about all of them.
    var v1Rules: [DeviceRule] {
        guard kind == .all, text != "a" else { return [self] }
        return [Kind.character, .block].map { kind in
            var rule = self
            rule.kind = kind
            return rule
        }
    }
}

/// The same as a program for cgroup v2: the kernel runs it at every opening and making of a device.
///
/// The context is `{ u32 access << 16 | type; u32 major; u32 minor }`. Each rule becomes some comparisons that jump to
/// the next one, and a verdict; rules are tried from the last to the first.
public struct DeviceProgram: Sendable, Equatable {
    /// `struct bpf_insn`: code, registers (source in the upper half), offset, immediate.
    struct Instruction: Sendable, Equatable {
        var code: UInt8
        var destination: UInt8 = 0
        var source: UInt8 = 0
        var offset: Int16 = 0
        var immediate: Int32 = 0

        var bytes: [UInt8] {
            var out = [code, source << 4 | destination]
            withUnsafeBytes(of: offset.littleEndian) { out.append(contentsOf: $0) }
            withUnsafeBytes(of: immediate.littleEndian) { out.append(contentsOf: $0) }
            return out
        }
    }

    let instructions: [Instruction]

    private static let type: UInt8 = 2, access: UInt8 = 3, major: UInt8 = 4, minor: UInt8 = 5, scratch: UInt8 = 1
    private static let load: UInt8 = 0x61, move: UInt8 = 0xBF, moveImmediate: UInt8 = 0xB7, andImmediate: UInt8 = 0x57
    private static let shiftRight: UInt8 = 0x77, exit: UInt8 = 0x95
    private static let unequal: UInt8 = 0x5E, unequalImmediate: UInt8 = 0x56, equalImmediate: UInt8 = 0x16

    public init(_ rules: [DeviceRule]) {
        var code: [Instruction] = [
            .init(code: Self.load, destination: Self.type, source: 1, offset: 0),
            .init(code: Self.load, destination: Self.major, source: 1, offset: 4),
            .init(code: Self.load, destination: Self.minor, source: 1, offset: 8),
            .init(code: Self.move, destination: Self.access, source: Self.type),
            .init(code: Self.shiftRight, destination: Self.access, immediate: 16),
            .init(code: Self.andImmediate, destination: Self.type, immediate: 0xFFFF),
        ]
        // What comes after a rule about everything is never reached, which the kernel would refuse.
        let last = rules.lastIndex { $0.text == "a" }
        for rule in rules[(last ?? rules.startIndex)...].reversed() { code += Self.block(rule) }
        if last == nil { code += Self.verdict(false) }
        instructions = code
    }

    private static func verdict(_ allows: Bool) -> [Instruction] {
        [.init(code: moveImmediate, destination: 0, immediate: allows ? 1 : 0), .init(code: exit)]
    }

    private static func block(_ rule: DeviceRule) -> [Instruction] {
        var tests: [Instruction] = []
        switch rule.kind {
        case .all: break
        case .block: tests.append(.init(code: unequalImmediate, destination: type, immediate: 1))
        case .character: tests.append(.init(code: unequalImmediate, destination: type, immediate: 2))
        }
        if rule.access != .all {
            tests.append(.init(code: move, destination: scratch, source: access))
            tests.append(.init(code: andImmediate, destination: scratch, immediate: Int32(rule.access.rawValue)))
            // All that is wanted has to be allowed; any of it may be denied.
            tests.append(
                rule.allows
                    ? .init(code: unequal, destination: scratch, source: access)
                    : .init(code: equalImmediate, destination: scratch, immediate: 0))
        }
        if let number = rule.major {
            tests.append(.init(code: unequalImmediate, destination: major, immediate: Int32(bitPattern: number)))
        }
        if let number = rule.minor {
            tests.append(.init(code: unequalImmediate, destination: minor, immediate: Int32(bitPattern: number)))
        }
        let end = verdict(rule.allows)
        for index in tests.indices where tests[index].code & 0x07 == 0x06 {
            // Over the tests that remain and the verdict.
            tests[index].offset = Int16(tests.count - index - 1 + end.count)
        }
        return tests + end
    }

    public var bytes: [UInt8] { instructions.flatMap(\.bytes) }
}

extension Cgroup {
    /// Denies everything, then lets the rules speak in their order.
    public func restrictDevices(_ rules: [DeviceRule], replacing: Bool = false) throws {
        if let devices = layout.v1("devices") {
            try write("a", to: "devices.deny", in: devices)
            for rule in rules.flatMap(\.v1Rules) {
                try write(rule.text, to: rule.allows ? "devices.allow" : "devices.deny", in: devices)
            }
        } else if layout.isV2, let unified = layout.unified {
            let path = directory(in: unified)
            let group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard group >= 0 else { throw SystemError("open", path, errno: errno) }
            defer { close(group) }
            let program = DeviceProgram(rules)
            let result = program.bytes.withUnsafeBytes {
                lab_attach_device_program(group, $0.baseAddress, program.instructions.count, replacing ? 1 : 0)
            }
            guard result == 0 else { throw SystemError("restrict devices of", path, errno: errno) }
        }
    }
}
