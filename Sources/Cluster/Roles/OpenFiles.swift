import Glibc

/// A server's descriptors: each client costs one, and the limit that processes start with is made for programs
/// without clients.
enum OpenFiles {
    /// As many as the machine allows, and no more than a server could make use of.
    private static let wanted: rlim_t = 65_536

    static func raiseLimit() {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < wanted else { return }
        limit.rlim_cur = min(wanted, limit.rlim_max)
        // Refused at worst: then there is room for fewer clients.
        _ = setrlimit(resource, &limit)
    }
}
