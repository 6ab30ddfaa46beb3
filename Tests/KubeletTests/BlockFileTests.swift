import Document
import Glibc
import Kinds
import Linux
import Testing

@testable import Kubelet

@Suite struct BlockFileTests {
    private func with(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/kubelet-block-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer {
            try? LoopDevice.detachAll(in: ["\(directory)/volumes"])
            try? Files.removeTree(directory)
        }
        try body(directory)
    }

    private static let hasLoops = getuid() == 0 && Files.exists("/dev/loop-control")

    @Test func filesGrowAndTakeNoRoom() throws {
        try with { (directory: String) throws in
            let path = "\(directory)/volumes/v"
            #expect(throws: VolumeProblem.self) { try BlockFile.prepare(path, bytes: 0) }
            #expect(!Files.exists(path))
            try BlockFile.growIfThere(path, bytes: 4096)
            #expect(!Files.exists(path))
            try BlockFile.prepare(path, bytes: 1 << 30)
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_size == 1 << 30)
            #expect(status.st_blocks == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            // It never shrinks, and has whole blocks.
            try BlockFile.prepare(path, bytes: 5)
            #expect(stat(path, &status) == 0 && status.st_size == 1 << 30)
            try BlockFile.growIfThere(path, bytes: 1 << 30 + 5)
            #expect(stat(path, &status) == 0 && status.st_size == 1 << 30 + 512)
        }
    }

    @Test func onlyFilesOfTheClassAreBlockFiles() throws {
        try with { (directory: String) throws in
            let root = "\(directory)/volumes"
            try BlockFile.prepare("\(root)/v", bytes: 512)
            try Files.makeDirectories("\(root)/directory")
            #expect(symlink("\(root)/v", "\(root)/link") == 0)
            #expect(BlockFile.isOne("\(root)/v", root: root))
            for other in ["\(root)/directory", "\(root)/none", "\(root)/link", "\(directory)/volumes2", "/dev/null"] {
                #expect(!BlockFile.isOne(other, root: root))
            }
        }
    }

    /// Two pods have the device; it is there until the last of them is gone, and its content after that.
    @Test(.enabled(if: hasLoops, "needs root and loop devices"))
    func theDeviceGoesWithItsLastPod() throws {
        try with { (directory: String) throws in
            let root = "\(directory)/volumes"
            let path = "\(root)/v"
            let pods = "\(directory)/pods"
            try BlockFile.prepare(path, bytes: 1 << 20)
            for pod in ["one", "two"] {
                try Files.makeDirectories("\(pods)/\(pod)/volumes")
                #expect(symlink(path, "\(pods)/\(pod)/volumes/raw") == 0)
            }
            #expect(BlockFile.files(ofPod: "\(pods)/one", root: root) == [path])
            let device: LoopDevice
            do { device = try BlockFile.attach(path) } catch let error as SystemError where error.errno == EPERM {
                return
            }
            #expect(try BlockFile.attach(path) == device)
            #expect(BlockDevice(device.path) != nil)
            let opened = open(device.path, O_RDWR)
            #expect(lseek(opened, 0, SEEK_END) == 1 << 20)
            #expect(pwrite(opened, "kept", 4, 0) == 4)
            close(opened)
            try BlockFile.growIfThere(path, bytes: 2 << 20)
            let again = open(device.path, O_RDONLY)
            #expect(lseek(again, 0, SEEK_END) == 2 << 20)
            close(again)

            try VolumeManager.removePodDirectory("\(pods)/one", volumes: root)
            #expect(LoopDevice.attached(to: path) == device)
            try VolumeManager.removePodDirectory("\(pods)/two", volumes: root)
            #expect(LoopDevice.attached(to: path) == nil)
            #expect(try Files.read(path).prefix(4) == Array("kept".utf8)[...])
            // Whatever is attached is detached by where its file lies.
            _ = try BlockFile.attach(path)
            try LoopDevice.detachAll(in: [directory])
            #expect(LoopDevice.attached(to: path) != nil)
            try LoopDevice.detachAll(in: [root, "\(directory)/none"])
            #expect(LoopDevice.attached(to: path) == nil)
        }
    }

    @Test func volumesOfTheClassGrowWithTheirObjects() {
        func volume(_ mode: String, path: String = "/v/pvc-1") -> Document {
            [
                "metadata": [
                    "name": "pvc-1",
                    "annotations": ["pv.kubernetes.io/provisioned-by": Document(NodeDirectory.provisioner)],
                    "finalizers": [Document(NodeDirectory.finalizer)],
                ],
                "spec": [
                    "local": ["path": Document(path)], "volumeMode": Document(mode), "capacity": ["storage": "3Mi"],
                ],
                "status": ["phase": "Bound"],
            ]
        }
        #expect(DirectoryKeeper.step(volume("Block"), root: "/v") == .grow(path: "/v/pvc-1", bytes: 3 << 20))
        #expect(DirectoryKeeper.step(volume("Filesystem"), root: "/v") == .nothing)
        #expect(DirectoryKeeper.step(volume("Block", path: "/etc/passwd"), root: "/v") == .nothing)
    }
}
