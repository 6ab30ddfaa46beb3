import CLinux
import Glibc

/// A directory shown at a second place for reading alone: nothing there can be changed, run, or has rights of its own.
public enum ReadOnlyView {
    /// It is so from the first moment on, also in the namespaces to which the mount spreads.
    public static func mount(_ directory: String, at target: String) throws {
        guard lab_show_directory(directory, target) == 0 else {
            throw SystemError("bind \(directory)", target, errno: errno)
        }
    }
}
