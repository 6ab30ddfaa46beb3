import Glibc
import Linux
import Store

/// What `lab apiserver --data DIR` keeps, and how it is copied while a server works on it:
///
///     lab.db                 every object
///     ca.pem                 the authority behind the kubeconfigs
///     service-account.key    signs the tokens; there once the first was asked for
public struct DataDirectory: Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    var database: String { "\(path)/lab.db" }
    var authority: String { "\(path)/ca.pem" }
    var tokenKey: String { "\(path)/service-account.key" }

    /// Keeps other servers out for as long as it lives: two with one history would give out each revision twice.
    func lock() throws -> FileLock {
        guard let lock = try FileLock(path: "\(path)/lock") else {
            throw Failure(
                "another server works in \(path)", remedy: "stop it, or name another directory with --data")
        }
        return lock
    }

    /// Makes the directory `target`, from which a server starts with the objects of one moment of this one.
    /// It has its name only when it is whole and on the disk.
    public func backup(to target: String) throws {
        guard Files.exists(database) else {
            throw Failure(
                "\(path) holds no objects: there is no \(database)", remedy: "name the --data directory of a server")
        }
        guard !Files.exists(target) else {
            throw Failure("\(target) exists already", remedy: "name a directory that does not exist yet")
        }
        let partial = DataDirectory("\(target).partial.\(getpid())")
        try Files.makeDirectories(partial.path, mode: 0o700)
        do {
            try SQLiteStore.copy(database, to: partial.database)
            // The keys never change once they are there.
            for (from, to) in [(authority, partial.authority), (tokenKey, partial.tokenKey)] where Files.exists(from) {
                try Files.copy(from, to: to, mode: 0o600)
            }
            for name in try Files.list(partial.path) { try Self.synchronize("\(partial.path)/\(name)") }
            try Self.synchronize(partial.path)
            guard rename(partial.path, target) == 0 else { throw SystemError("rename", partial.path, errno: errno) }
        } catch {
            try? Files.removeTree(partial.path)
            if let error = error as? StoreError, case .failed(let reason) = error {
                throw Failure("cannot copy the objects: \(reason)", remedy: "make room, or try again")
            }
            throw error
        }
    }

    private static func synchronize(_ path: String) throws {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw SystemError("open", path, errno: errno) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw SystemError("fsync", path, errno: errno) }
    }
}
