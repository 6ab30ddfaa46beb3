import Glibc
import Images
import Linux

/// The content of an image as a volume, for reading.
enum ImageVolume {
    /// The kernel takes mount options of one page.
    private static let longestOptions = 4_095

    /// Mounts the image's layers; what is mounted stays as it is.
    static func mount(_ layers: [String], at path: String) throws {
        try Files.makeDirectories(path)
        // A bind of a directory on the same file system shows in the table alone.
        if try EmptyDirectory.isMountPoint(path) || MountTable.points().contains(path) { return }
        guard let top = layers.first else { throw VolumeProblem("the image has no layers") }
        let flags = UInt(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
        if layers.count > 1 {
            let options = "lowerdir=\(layers.joined(separator: ":"))"
            guard options.utf8.count <= longestOptions else {
                throw VolumeProblem("the image's \(layers.count) layers are too many to be mounted as a volume")
            }
            guard Glibc.mount("overlay", path, "overlay", flags, options) == 0 else {
                throw SystemError("mount overlay", path, errno: errno)
            }
            return
        }
        // An overlay needs two layers.
        try ReadOnlyView.mount(top, at: path)
    }
}
