import Client
import Cluster
import Glibc
import Linux

/// The user's kubeconfig on disk: read, changed and replaced in one step, keeping its owner.
struct KubeconfigFile {
    let place: UserKubeconfig.Place

    init(_ place: UserKubeconfig.Place) { self.place = place }

    /// An absent or empty file is an empty configuration.
    func read() throws -> Kubeconfig {
        guard Files.exists(place.path) else { return Kubeconfig() }
        let bytes = try Files.read(place.path, limit: 16 << 20)
        if bytes.allSatisfy({ $0 == 10 || $0 == 32 }) { return Kubeconfig() }
        do { return try Kubeconfig(yaml: bytes) } catch {
            throw Failure(
                "\(place.path) is not a kubeconfig: \(error)",
                remedy: "repair it, or name another file with --kubeconfig or $KUBECONFIG")
        }
    }

    func update(_ change: (inout Kubeconfig) -> Void) throws {
        // kubectl takes the same lock file when it writes, so neither loses the other's change.
        let directory = place.path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        if !directory.isEmpty, !Files.exists(directory) {
            try Files.makeDirectories(directory, mode: 0o755)
            give(directory)
        }
        let lock = "\(place.path).lock"
        let file = open(lock, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0)
        guard file >= 0 else {
            throw Failure(
                "cannot lock \(place.path): \(String(cString: strerror(errno)))",
                remedy: errno == EEXIST
                    ? "another program changes it; if none does, remove \(lock)" : "check its directory")
        }
        close(file)
        defer { unlink(lock) }
        var configuration = try read()
        let before = configuration.yaml
        change(&configuration)
        guard configuration.yaml != before else { return }
        var status = stat()
        let existed = stat(place.path, &status) == 0
        try Files.write(
            configuration.yaml, to: place.path, mode: existed ? status.st_mode & 0o777 : 0o600, durable: true)
        if existed { chown(place.path, status.st_uid, status.st_gid) } else { give(place.path) }
    }

    private func give(_ path: String) {
        guard let owner = place.owner else { return }
        chown(path, owner.uid, owner.gid)
    }
}
