import CLinux
import Glibc

/// A network namespace, held open by a descriptor. Closing the last one of an anonymous namespace
/// removes everything in it: links, routes, rules.
public final class NetworkNamespace: Sendable {
    public let descriptor: Int32
    private let name: String

    private init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    deinit { close(descriptor) }

    /// The namespace a path names, such as `/proc/PID/ns/net` or a bind mount of it.
    public convenience init(path: String) throws {
        let descriptor = net_open_namespace(path)
        guard descriptor >= 0 else { throw SystemError("open network namespace", path, errno: -descriptor) }
        self.init(descriptor: descriptor, name: path)
    }

    public convenience init(processID: Int32) throws {
        try self.init(path: "/proc/\(processID)/ns/net")
    }

    /// The namespace of the calling thread.
    public static func current() throws -> NetworkNamespace {
        try NetworkNamespace(path: "/proc/thread-self/ns/net")
    }

    /// A new, empty namespace that no process is in.
    public static func make() throws -> NetworkNamespace {
        let descriptor = net_make_namespace()
        guard descriptor >= 0 else { throw SystemError("make network namespace", errno: -descriptor) }
        return NetworkNamespace(descriptor: descriptor, name: "anonymous network namespace")
    }

    public func isSame(as other: NetworkNamespace) throws -> Bool {
        let answer = net_same_namespace(descriptor, other.descriptor)
        guard answer >= 0 else { throw SystemError("compare network namespaces", name, errno: -answer) }
        return answer == 1
    }

    /// Runs `body` inside the namespace. It gets a thread of its own, so the caller's thread never changes sides;
    /// what `body` opens (sockets, files under /proc/sys/net) stays in the namespace after it returned.
    public func run<Result>(_ body: () throws -> Result) throws -> Result {
        var outcome: Swift.Result<Result, any Error>?
        try withoutActuallyEscaping(body) { body in
            var work: () -> Void = { outcome = Swift.Result { try body() } }
            let status = withUnsafeMutablePointer(to: &work) { pointer in
                net_run_in_namespace(
                    descriptor, { context in context?.assumingMemoryBound(to: (() -> Void).self).pointee() }, pointer)
            }
            guard status == 0 else { throw SystemError("enter network namespace", name, errno: -status) }
        }
        guard let outcome else { throw SystemError("run in network namespace", name, errno: ECANCELED) }
        return try outcome.get()
    }
}

/// The kernel's network settings under `/proc/sys/net`, which show the namespace of the thread that opens them.
public enum NetworkSetting {
    public static func read(_ path: String, in namespace: NetworkNamespace? = nil) throws -> String {
        try inside(namespace) {
            let file = try open(path, O_RDONLY)
            defer { close(file) }
            var buffer = [UInt8](repeating: 0, count: 256)
            let count = Glibc.read(file, &buffer, buffer.count)
            guard count >= 0 else { throw SystemError("read", "/proc/sys/net/\(path)", errno: errno) }
            return String(decoding: buffer.prefix(count).filter { $0 != 10 }, as: UTF8.self)
        }
    }

    public static func write(_ path: String, _ value: String, in namespace: NetworkNamespace? = nil) throws {
        try inside(namespace) {
            let file = try open(path, O_WRONLY)
            defer { close(file) }
            let bytes = Array(value.utf8)
            guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
                throw SystemError("write", "/proc/sys/net/\(path)", errno: errno)
            }
        }
    }

    private static func open(_ path: String, _ flags: Int32) throws -> Int32 {
        let file = Glibc.open("/proc/sys/net/\(path)", flags | O_CLOEXEC)
        guard file >= 0 else { throw SystemError("open", "/proc/sys/net/\(path)", errno: errno) }
        return file
    }

    private static func inside<Result>(_ namespace: NetworkNamespace?, _ body: () throws -> Result) throws -> Result {
        guard let namespace else { return try body() }
        return try namespace.run(body)
    }
}
