import Glibc
import Linux

enum SystemErrors {
    static func missingLink(_ name: String) -> SystemError { SystemError("find link", name, errno: ENODEV) }
}

extension NetlinkError {
    /// What was to be changed or deleted is not there.
    var isMissing: Bool { errno == ENODEV || errno == ESRCH || errno == ENOENT || errno == EADDRNOTAVAIL }
}
