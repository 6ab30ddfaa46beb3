import Glibc
import Linux
import Testing

@testable import Kubelet

/// What volumes are after something went wrong, or was cut off in the middle.
@Suite struct VolumeFaultTests {
    private func with(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/kubelet-volume-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { try? Files.removeTree(directory) }
        try body(directory)
    }

    private func file(_ text: String, mode: mode_t = 0o644) -> AtomicDirectory.File {
        AtomicDirectory.File(bytes: Array(text.utf8), mode: mode)
    }

    private func status(_ path: String) throws -> stat {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw SystemError("stat", path, errno: errno) }
        return status
    }

    @Test func aFullDiskLeavesTheOldFilesWhole() throws {
        try with { (directory: String) throws in
            guard mount("tmpfs", directory, "tmpfs", 0, "size=64k") == 0 else { return }  // needs root
            defer { umount2(directory, Int32(MNT_DETACH)) }
            let atomic = AtomicDirectory(path: "\(directory)/v")
            #expect(try atomic.write(["a": file("old"), "deep/b": file("also old")], generation: "one"))
            let before = try Files.list("\(directory)/v")
            let much = AtomicDirectory.File(bytes: [UInt8](repeating: 120, count: 100 << 10), mode: 0o644)
            for round in 0..<3 {
                let failure = #expect(throws: SystemError.self) {
                    try atomic.write(["a": self.file("new"), "large": much], generation: "two-\(round)")
                }
                #expect(failure?.errno == ENOSPC)
                // Nothing of the new is there, and it takes no room.
                #expect(try Files.list("\(directory)/v") == before)
                #expect(try Files.text("\(directory)/v/a") == "old")
                #expect(try Files.text("\(directory)/v/deep/b") == "also old")
            }
            #expect(try atomic.write(["a": file("new")], generation: "three"))
            #expect(try Files.list("\(directory)/v") == ["..data", "..three", "a"])
        }
    }

    /// As it is when the writer was killed between two of its steps.
    @Test func whatWasCutOffIsFinished() throws {
        try with { (directory: String) throws in
            let atomic = AtomicDirectory(path: directory)
            #expect(try atomic.write(["a": file("1"), "b": file("2")], generation: "one"))
            // The new files were pointed to, but the links were not made yet, and the old files not removed.
            unlink("\(directory)/b")
            try Files.makeDirectories("\(directory)/..older/deep")
            #expect(symlink("..older", "\(directory)/..data_tmp") == 0)
            #expect(symlink("..data/gone", "\(directory)/gone") == 0)
            #expect(try !atomic.write(["a": file("1"), "b": file("2")], generation: "two"))
            #expect(try Files.list(directory) == ["..data", "..one", "a", "b"])
            #expect(try Files.text("\(directory)/b") == "2")
            // Half-written files of a first try.
            let other = AtomicDirectory(path: "\(directory)/other")
            try Files.makeDirectories("\(directory)/other/..half")
            #expect(try other.write(["c": file("3")], generation: "half"))
            #expect(try Files.list("\(directory)/other") == ["..data", "..half", "c"])
        }
    }

    @Test func directoriesBelongToTheGroup() throws {
        guard getuid() == 0 else { return }
        try with { (directory: String) throws in
            let atomic = AtomicDirectory(path: "\(directory)/v", group: 1234)
            #expect(try atomic.write(["deep/er/b": file("2")], generation: "one"))
            #expect(try status("\(directory)/v").st_mode & 0o7777 == 0o2777)
            for part in ["", "/..one", "/..one/deep", "/..one/deep/er"] {
                #expect(try status("\(directory)/v\(part)").st_gid == 1234)
            }
            #expect(try status("\(directory)/v/..one/deep/er").st_mode & 0o7777 == 0o2755)
        }
    }

    @Test func whatAContainerMakesOfItsDirectoryStays() throws {
        try with { (directory: String) throws in
            let path = "\(directory)/e"
            // What a killed agent left.
            try Files.makeDirectories("\(path).unfinished")
            try EmptyDirectory.make(path, medium: "", limit: nil, group: nil)
            #expect(try status(path).st_mode & 0o7777 == 0o777)
            #expect(!Files.exists("\(path).unfinished"))
            #expect(chmod(path, 0o700) == 0)
            try EmptyDirectory.make(path, medium: "", limit: nil, group: nil)
            #expect(try status(path).st_mode & 0o7777 == 0o700)
        }
    }

    @Test func memoryHasItsGroupAndLimitFromTheStart() throws {
        guard getuid() == 0 else { return }
        try with { (directory: String) throws in
            let path = "\(directory)/m"
            guard (try? EmptyDirectory.make(path, medium: "Memory", limit: 64 << 10, group: 1234)) != nil else {
                return
            }
            defer { umount2(path, Int32(MNT_DETACH)) }
            #expect(try status(path).st_mode & 0o7777 == 0o2777)
            #expect(try status(path).st_gid == 1234)
            #expect(throws: SystemError.self) {
                try PlainFile.write([UInt8](repeating: 0, count: 100 << 10), to: "\(path)/much", mode: 0o644)
            }
            try EmptyDirectory.make(path, medium: "Memory", limit: 64 << 10, group: 1234)
            #expect(MountTable.points().count { $0 == path } == 1)
        }
    }

    @Test func anImageOfOneLayerIsMountedOnce() throws {
        guard getuid() == 0 else { return }
        try with { (directory: String) throws in
            let layer = "\(directory)/layer"
            try Files.makeDirectories("\(layer)/bin")
            let path = "\(directory)/volume"
            guard (try? ImageVolume.mount([layer], at: path)) != nil else { return }
            defer { umount2(path, Int32(MNT_DETACH)) }
            #expect(Files.exists("\(path)/bin"))
            // A later look knows no layers any more, and needs none.
            try ImageVolume.mount([], at: path)
            #expect(MountTable.points().count { $0 == path } == 1)
            #expect(mkdir("\(path)/new", 0o755) != 0)
            #expect(errno == EROFS)
        }
    }

    @Test func partsAreOpenToWhomTheVolumeIs() throws {
        guard getuid() == 0 else { return }
        try with { (directory: String) throws in
            let volume = "\(directory)/volume"
            try EmptyDirectory.make(volume, medium: "", limit: nil, group: 1234)
            let part = try SubPath.prepare("a/b", below: volume)
            for path in ["\(volume)/a", part] {
                #expect(try status(path).st_mode & 0o7777 == 0o2777)
                #expect(try status(path).st_gid == 1234)
            }
            #expect(chmod(part, 0o700) == 0)
            #expect(try SubPath.prepare("a/b", below: volume) == part)
            #expect(try status(part).st_mode & 0o7777 == 0o700)
        }
    }
}
