import Cluster
import Document
import Glibc
import Linux
import Runtime

/// `update`: other limits for a container that exists.
enum RuntimeUpdate {
    static func run(_ context: RuntimeProgram.Context) throws {
        let arguments = context.arguments
        for flag in ["l3-cache-schema", "mem-bw-schema"] where arguments.has(flag) {
            throw UsageError("--\(flag): cache and bandwidth allocation is not supported", remedy: "")
        }
        let container = try context.store.load(context.id)
        guard container.status() != .stopped else { throw ContainerError("container not running") }
        let group = try container.group()
        if let path = arguments["resources"] {
            let json = try path == "-" ? Self.standardInput() : Files.read(path, limit: 1 << 20)
            let configuration = try ConfigurationReader.resources(json: json)
            try group.apply(configuration.resources)
            if !configuration.deviceRules.isEmpty {
                try group.restrictDevices(configuration.deviceRules + DeviceRule.standard, replacing: true)
            }
            return
        }
        try group.apply(ConfigurationReader.resources(json: Array(resources(arguments).jsonText.utf8)).resources)
    }

    private static func standardInput() throws -> [UInt8] {
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while all.count < 1 << 20 {
            let count = read(0, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SystemError("read", "standard input", errno: errno) }
            if count == 0 { break }
            all += buffer[..<count]
        }
        return all
    }

    /// The flags as OCI's resources, so that they are checked the same way.
    static func resources(_ arguments: RuntimeArguments) throws -> Document {
        var document = Document.emptyObject
        for (flag, field) in [
            ("cpu-period", "period"), ("cpu-quota", "quota"), ("cpu-burst", "burst"), ("cpu-share", "shares"),
            ("cpu-rt-period", "realtimePeriod"), ("cpu-rt-runtime", "realtimeRuntime"), ("cpu-idle", "idle"),
        ] {
            if let value = arguments.number(flag) { document.set(Document(value), at: "cpu", field) }
        }
        for (flag, field) in [("cpuset-cpus", "cpus"), ("cpuset-mems", "mems")] {
            if let value = arguments[flag] { document.set(Document(value), at: "cpu", field) }
        }
        for (flag, field) in [("memory", "limit"), ("memory-reservation", "reservation"), ("memory-swap", "swap")] {
            if let value = arguments[flag] { document.set(Document(try bytes(value, flag)), at: "memory", field) }
        }
        if let value = arguments.number("pids-limit") { document.set(Document(value), at: "pids", "limit") }
        if let value = arguments.number("blkio-weight") { document.set(Document(value), at: "blockIO", "weight") }
        return document
    }

    /// `64m`, `1g`, `-1`.
    static func bytes(_ text: String, _ flag: String) throws -> Int64 {
        var digits = text.lowercased()
        if digits.hasSuffix("b") { digits.removeLast() }
        if digits.hasSuffix("i") { digits.removeLast() }
        let factors: [Character: Int64] = ["k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40]
        let factor = digits.last.flatMap { factors[$0] } ?? 1
        if factor > 1 { digits.removeLast() }
        guard let number = Int64(digits), number >= -1,
            case let (bytes, overflow) = number.multipliedReportingOverflow(by: factor),
            !overflow
        else { throw UsageError("invalid value for \(flag): '\(text)'", remedy: "bytes, such as 64m or 1g") }
        return number < 0 ? -1 : bytes
    }
}
