import Glibc
import Linux
import Testing

/// Copies of directory trees, on a real file system.
@Suite(.enabled(if: geteuid() == 0, "needs root for owners and devices"))
struct TreeCopyTests {
    private func withDirectory(_ body: (String) throws -> Void) throws {
        var template = Array("/var/tmp/lab-tree-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { try? Files.removeTree(path) }
        try body(path)
    }

    /// What `find` and the checksums say of a tree.
    private func description(_ path: String) -> String {
        let script = """
            cd '\(path)'
            find . -printf '%P %y %m %U:%G %s %l %n %T@\\n' | sort
            find . -type f -exec sha256sum {} + | sort
            find . -type c -exec stat -c '%n %t:%T' {} +
            """
        let ran = Command.run(["sh", "-c", script])
        #expect(ran.code == 0, "\(ran)")
        return ran.out
    }

    @Test func aCopyIsAsItsOriginal() throws {
        try withDirectory { directory in
            let source = "\(directory)/a"
            let script = """
                mkdir -p a/b/c a/empty && cd a
                printf one > b/file && chmod 4751 b/file && chown 12:34 b/file
                ln b/file b/c/second && ln -s ../nowhere b/link && chown -h 56 b/link
                mkfifo fifo && mknod whiteout c 0 0 && chmod 1777 empty
                truncate -s 50M sparse && printf end >> sparse
                touch -d '2001-02-03 04:05:06.789' b/file b
                """
            let made = Command.run(["sh", "-euc", "cd '\(directory)'; " + script])
            #expect(made.code == 0, "\(made)")
            var value: [UInt8] = [1, 2, 3]
            #expect(setAttribute("\(source)/b/c", "user.lab", &value))
            let copied = try TreeCopy.copy(source, to: "\(directory)/z")
            #expect(copied == 50 << 20 + 6)
            #expect(description("\(directory)/z") == description(source))
            #expect(attribute("\(directory)/z/b/c", "user.lab") == "0x010203")
            // Holes stay holes.
            var status = stat()
            #expect(stat("\(directory)/z/sparse", &status) == 0 && status.st_blocks < 1_000)
            // The names of one file are one file in the copy, too, and not the original's.
            var other = stat()
            #expect(stat("\(directory)/z/b/file", &status) == 0 && stat("\(directory)/z/b/c/second", &other) == 0)
            #expect(status.st_ino == other.st_ino)
            #expect(stat("\(source)/b/file", &other) == 0 && status.st_ino != other.st_ino)
        }
    }

    @Test func whatIsSkippedAndSocketsStayBehind() throws {
        try withDirectory { directory in
            let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(socket) }
            let made = Command.run([
                "sh", "-euc", "mkdir -p '\(directory)/a/skip/deep'; cd '\(directory)/a'; echo > keep",
            ])
            #expect(made.code == 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array("\(directory)/a/sock".utf8)) }
            let bound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            #expect(bound == 0)
            try TreeCopy.copy("\(directory)/a", to: "\(directory)/z") { $0 == "skip" }
            #expect(try Files.list("\(directory)/z") == ["keep"])
            // A target that is there is nobody's to write into.
            #expect(throws: SystemError.self) { try TreeCopy.copy("\(directory)/a", to: "\(directory)/z") }
            #expect(throws: SystemError.self) { try TreeCopy.copy("\(directory)/none", to: "\(directory)/y") }
        }
    }

    private func setAttribute(_ path: String, _ name: String, _ value: inout [UInt8]) -> Bool {
        Command.run(["python3", "-c", "import os; os.setxattr('\(path)', '\(name)', bytes(\(value)))"]).code == 0
    }

    private func attribute(_ path: String, _ name: String) -> String {
        let script = "import os; print('0x' + os.getxattr('\(path)', '\(name)').hex(), end='')"
        return Command.run(["python3", "-c", script]).out
    }
}
