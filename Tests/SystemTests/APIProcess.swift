import Glibc
import Linux

/// `lab apiserver` as a process of its own, with everything in memory, for as long as one other program runs.
enum APIProcess {
    /// The package's folder.
    static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

    /// The binary that LAB_BINARY names, or the one that was built last.
    static let binary: String? =
        Machine.binary
        ?? ["release", "debug"].map { "\(root)/.build/\($0)/lab" }.first { access($0, X_OK) == 0 }

    struct Failure: Error, CustomStringConvertible { var description: String }

    /// Runs `words` with KUBECONFIG naming a server that is ready and SCRATCH a folder that holds `files`; afterwards
    /// nothing is left of either.
    static func run(
        _ words: [String], files: [String: String] = [:], extra: [String: String] = [:]
    ) throws -> Ran {
        var template = Array("/tmp/lab-apiserver-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(description: "no folder in /tmp: errno \(errno)") }
        let scratch = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { _ = Shell.run(["rm", "-rf", scratch]) }
        for (name, text) in files { try Files.write(Array(text.utf8), to: "\(scratch)/\(name)") }

        let kubeconfig = "\(scratch)/.kubeconfig"
        let server = Command([
            binary ?? "lab", "apiserver", "--memory", "--port", "0", "--kubeconfig", kubeconfig,
        ])
        // Once the server listens it writes the file, and from then on the caller's requests wait for it.
        let start = time(nil)
        var isThere = false
        while !isThere, time(nil) - start <= 60, kill(server.pid, 0) == 0 {
            isThere = access(kubeconfig, R_OK) == 0
            if !isThere { usleep(20_000) }
        }
        var environment = ["KUBECONFIG": kubeconfig, "SCRATCH": scratch, "HOME": scratch]
        environment.merge(extra) { _, given in given }
        let ran = isThere ? Shell.run(words, extra: environment) : nil
        kill(server.pid, SIGTERM)
        let ended = server.wait()
        guard let ran else { throw Failure(description: "the server did not start: \(ended)") }
        return ran
    }
}
