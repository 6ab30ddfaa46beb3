import Glibc
import Linux

/// A file that the kernel shows as a block device.
///
/// The connection is the kernel's: it stays when whoever made it ends, until somebody takes it away or the machine is
/// started anew. So nobody remembers it; the kernel is asked.
public struct LoopDevice: Sendable, Equatable {
    public let number: Int
    public var path: String { "/dev/loop\(number)" }

    /// `linux/loop.h`
    private enum Request {
        static let clear: UInt = 0x4C01
        static let status: UInt = 0x4C05
        static let setCapacity: UInt = 0x4C07
        static let configure: UInt = 0x4C0A
        static let getFree: UInt = 0x4C82
    }

    /// `struct loop_info64`: `u64 device, inode, rdevice, offset, limit; u32 number, type, key size, flags;
    /// u8 name[64], …`; `struct loop_config` is `u32 file, block size;` this, and 64 reserved bytes.
    private enum Layout {
        static let info = 232
        static let flags = 52
        static let name = 56
        static let nameLength = 63
        static let configuration = 304
        static let infoInConfiguration = 8
    }
    /// Cleared by itself when the last user closes it.
    private static let clearsItself: UInt32 = 4

    /// Others may be faster at taking a free one, so often.
    private static let mostTries = 64

    // MARK: Attaching

    public static func attach(_ file: String) throws -> LoopDevice {
        let backing = open(file, O_RDWR | O_CLOEXEC)
        guard backing >= 0 else { throw SystemError("open", file, errno: errno) }
        defer { close(backing) }
        let control = open("/dev/loop-control", O_RDWR | O_CLOEXEC)
        guard control >= 0 else { throw SystemError("open", "/dev/loop-control", errno: errno) }
        defer { close(control) }
        var configuration = [UInt8](repeating: 0, count: Layout.configuration)
        configuration.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(of: UInt32(bitPattern: backing), as: UInt32.self)
            // For people who list devices.
            let name = file.utf8.suffix(Layout.nameLength)
            for (index, byte) in name.enumerated() { bytes[Layout.infoInConfiguration + Layout.name + index] = byte }
        }
        for _ in 0..<mostTries {
            let number = ioctl(control, Request.getFree, 0)
            guard number >= 0 else { throw SystemError("find a free loop device for", file, errno: errno) }
            let device = LoopDevice(number: Int(number))
            let opened = try device.openNode(O_RDWR)
            defer { close(opened) }
            let isDone = configuration.withUnsafeMutableBytes { bytes -> Bool in
                guard let base = bytes.baseAddress else { return false }
                return ioctl(opened, Request.configure, base) == 0
            }
            if isDone { return device }
            guard errno == EBUSY else { throw SystemError("attach \(file) to", device.path, errno: errno) }
        }
        throw SystemError("find a free loop device for", file, errno: EBUSY)
    }

    /// Not every `/dev` makes its nodes by itself.
    private func openNode(_ flags: Int32) throws -> Int32 {
        let opened = open(path, flags | O_CLOEXEC)
        if opened >= 0 { return opened }
        guard errno == ENOENT, mknod(path, S_IFBLK | 0o660, dev_t(7 << 8 | number)) == 0 || errno == EEXIST else {
            throw SystemError("open", path, errno: errno)
        }
        let again = open(path, flags | O_CLOEXEC)
        guard again >= 0 else { throw SystemError("open", path, errno: errno) }
        return again
    }

    /// Takes the file away; while somebody has the device open, as soon as nobody has.
    public func detach() throws {
        let opened = open(path, O_RDONLY | O_CLOEXEC)
        guard opened >= 0 else {
            if errno == ENOENT || errno == ENXIO { return }
            throw SystemError("open", path, errno: errno)
        }
        defer { close(opened) }
        guard ioctl(opened, Request.clear, 0) == 0 || errno == ENXIO else {
            throw SystemError("detach", path, errno: errno)
        }
    }

    /// Takes over the size that the file has got since.
    public func takeSize() throws {
        let opened = open(path, O_RDWR | O_CLOEXEC)
        guard opened >= 0 else { throw SystemError("open", path, errno: errno) }
        defer { close(opened) }
        guard ioctl(opened, Request.setCapacity, 0) == 0 else { throw SystemError("resize", path, errno: errno) }
    }

    // MARK: Finding

    /// What a file is, whatever it is called and from wherever it is seen.
    public struct Identity: Hashable, Sendable {
        public var device: UInt64
        public var inode: UInt64

        public init?(of path: String) {
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        }

        fileprivate init(device: UInt64, inode: UInt64) {
            self.device = device
            self.inode = inode
        }
    }

    /// The device that shows the file, and goes on doing so.
    public static func attached(to file: String) -> LoopDevice? {
        guard let identity = Identity(of: file) else { return nil }
        return all().first { $0.file == identity && !$0.isLeaving }?.device
    }

    /// Every one that has a file.
    static func all() -> [(device: LoopDevice, file: Identity, isLeaving: Bool)] {
        let names = ((try? Files.list("/sys/block")) ?? []).filter { $0.hasPrefix("loop") }
        return names.compactMap { name in
            guard let number = Int(name.dropFirst(4)), Files.exists("/sys/block/\(name)/loop") else { return nil }
            let device = LoopDevice(number: number)
            guard let opened = try? device.openNode(O_RDONLY) else { return nil }
            defer { close(opened) }
            var info = [UInt8](repeating: 0, count: Layout.info)
            return info.withUnsafeMutableBytes { bytes in
                guard let base = bytes.baseAddress, ioctl(opened, Request.status, base) == 0 else { return nil }
                let flags = bytes.load(fromByteOffset: Layout.flags, as: UInt32.self)
                let file = Identity(
                    device: bytes.load(as: UInt64.self), inode: bytes.load(fromByteOffset: 8, as: UInt64.self))
                return (device, file, flags & clearsItself != 0)
            }
        }
    }

    /// Detaches every device whose file lies directly in one of the directories.
    public static func detachAll(in directories: [String]) throws {
        for device in try found(in: directories) { try device.detach() }
    }

    /// Has what was written to such devices be in their files.
    public static func writeOut(in directories: [String]) throws {
        for device in try found(in: directories) {
            let opened = try device.openNode(O_RDONLY)
            defer { close(opened) }
            guard fsync(opened) == 0 else { throw SystemError("write out", device.path, errno: errno) }
        }
    }

    private static func found(in directories: [String]) throws -> [LoopDevice] {
        let attached = all()
        if attached.isEmpty { return [] }
        var files: Set<Identity> = []
        for directory in directories where Files.exists(directory) {
            for name in try Files.list(directory) {
                if let identity = Identity(of: "\(directory)/\(name)") { files.insert(identity) }
            }
        }
        return attached.filter { files.contains($0.file) }.map(\.device)
    }
}
