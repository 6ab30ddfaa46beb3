import Glibc
import Linux

/// Descriptors of this process with what they are, other than sockets, of which other suites hold thousands.
struct OpenFiles {
    private let before: Set<String>

    init() throws { before = try Self.now() }

    /// What was opened since and is still open, once fewer than `count` are. Other suites open files of their own
    /// meanwhile, and close them again; what somebody has left behind stays.
    func left(fewerThan count: Int) async throws -> Set<String> {
        var left = try Self.now().subtracting(before)
        for _ in 0..<600 where left.count >= count {
            try await Task.sleep(for: .milliseconds(100))
            left.formIntersection(try Self.now())
        }
        return left
    }

    private static func now() throws -> Set<String> {
        var found: Set<String> = []
        for name in try Files.list("/proc/self/fd") {
            var target = [CChar](repeating: 0, count: 64)
            let count = readlink("/proc/self/fd/\(name)", &target, target.count)
            let text = String(decoding: target.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if count > 0, !text.hasPrefix("socket:") { found.insert("\(name) \(text)") }
        }
        return found
    }
}
