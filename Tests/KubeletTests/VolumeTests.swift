import Glibc
import Linux
import Testing

@testable import Kubelet

@Suite struct VolumeTests {
    private func with(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/kubelet-volume-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { try? Files.removeTree(directory) }
        try body(directory)
    }

    private func file(_ text: String, mode: mode_t = 0o644) -> AtomicDirectory.File {
        AtomicDirectory.File(bytes: Array(text.utf8), mode: mode)
    }

    @Test func filesChangeTogether() throws {
        try with { (directory: String) throws in
            let atomic = AtomicDirectory(path: directory)
            #expect(try atomic.write(["a": file("1"), "deep/b": file("2", mode: 0o400)], generation: "one"))
            #expect(try Files.text("\(directory)/a") == "1")
            #expect(try Files.text("\(directory)/deep/b") == "2")
            #expect(AtomicDirectory.link("\(directory)/a") == "..data/a")
            var status = stat()
            #expect(stat("\(directory)/deep/b", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o400)
            // A reader that has the old generation open keeps it.
            let old = open("\(directory)/a", O_RDONLY)
            defer { close(old) }
            #expect(try !atomic.write(["a": file("1"), "deep/b": file("2", mode: 0o400)], generation: "two"))
            #expect(try atomic.write(["a": file("3")], generation: "three"))
            #expect(try Files.text("\(directory)/a") == "3")
            #expect(try Files.list(directory) == ["..data", "..three", "a"])
            var byte: UInt8 = 0
            #expect(read(old, &byte, 1) == 1)
            #expect(byte == UInt8(ascii: "1"))
        }
    }

    @Test func subPathsStayInside() throws {
        try with { (directory: String) throws in
            try Files.makeDirectories("\(directory)/volume/a")
            #expect(try SubPath.prepare("a/new", below: "\(directory)/volume") == "\(directory)/volume/a/new")
            #expect(Files.exists("\(directory)/volume/a/new"))
            #expect(symlink("/etc", "\(directory)/volume/out") == 0)
            #expect(symlink("a", "\(directory)/volume/in") == 0)
            #expect(throws: SystemError.self) { try SubPath.prepare("out/passwd", below: "\(directory)/volume") }
            #expect(throws: SystemError.self) { try SubPath.prepare("../x", below: "\(directory)/volume") }
            #expect(try SubPath.prepare("in", below: "\(directory)/volume").hasSuffix("/volume/a"))
        }
    }

    @Test func hostPathsAreChecked() throws {
        try with { (directory: String) throws in
            try HostPath.check("\(directory)/made", type: "DirectoryOrCreate")
            try HostPath.check("\(directory)/made", type: "Directory")
            try HostPath.check("\(directory)/file", type: "FileOrCreate")
            #expect(throws: VolumeProblem.self) { try HostPath.check("\(directory)/made", type: "File") }
            #expect(throws: VolumeProblem.self) { try HostPath.check("\(directory)/none", type: "Directory") }
            #expect(throws: VolumeProblem.self) { try HostPath.check("relative", type: "") }
        }
    }

    @Test func emptyDirectoriesBelongToTheGroup() throws {
        try with { (directory: String) throws in
            try EmptyDirectory.make("\(directory)/e", medium: "", limit: nil, group: nil)
            var status = stat()
            #expect(stat("\(directory)/e", &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o777)
            #expect(throws: VolumeProblem.self) {
                try EmptyDirectory.make("\(directory)/h", medium: "HugePages", limit: nil, group: nil)
            }
        }
    }
}
