import Glibc
import Linux

/// Debian packages by their names, resolved and fetched by apt: which versions fit together is its knowledge. It is told
/// that nothing is installed, so that what it names is complete.
struct DebianPackages {
    /// Downloaded packages, kept for the next time.
    let cache: String
    let workspace: String

    /// The archives of the packages and of all that they depend on, but for those that a pattern leaves out, sorted.
    func fetch(_ packages: [String], without patterns: [String]) throws -> [String] {
        guard !packages.isEmpty else { return [] }
        try Files.makeDirectories("\(cache)/partial")
        try Files.makeDirectories("\(workspace)/empty/partial")
        try Files.write([], to: "\(workspace)/status")
        let listed = try apt(packages, into: "\(workspace)/empty", ["--print-uris"])
        let names = listed.split(separator: "\n").compactMap { Self.archive(in: $0) }
        guard !names.isEmpty else { throw ImageError(packages.joined(separator: ", "), "apt names no packages") }
        let kept = names.filter { name in
            let package = String(name.prefix { $0 != "_" })
            return !patterns.contains { fnmatch($0, package, 0) == 0 }
        }.sorted()
        if kept.contains(where: { !Files.exists("\(cache)/\($0)") }) {
            _ = try apt(packages, into: cache, ["--download-only"])
        }
        return kept.map { "\(cache)/\($0)" }
    }

    /// The file's name in a line such as `'http://…/x.deb' x_1%3a2_amd64.deb 123 SHA256:…`.
    static func archive(in line: Substring) -> String? {
        let words = line.split(separator: " ")
        guard words.count >= 3, words[0].hasPrefix("'"), words[1].hasSuffix(".deb"), !words[1].contains("/") else {
            return nil
        }
        return String(words[1])
    }

    private func apt(_ packages: [String], into archives: String, _ mode: [String]) throws -> String {
        let outcome = Command.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends"] + mode + [
                "-o", "Dir::State::status=\(workspace)/status",
                "-o", "Dir::State::extended_states=\(workspace)/extended_states",
                "-o", "Dir::Cache::archives=\(archives)/", "-o", "Debug::NoLocking=true",
                "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=3", "--",
            ] + packages, extra: ["DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"])
        guard outcome.code != 127 else {
            throw ImageError("packages", "apt-get cannot be run; images with packages are made on Debian or Ubuntu")
        }
        guard outcome.code == 0 else {
            let lines = (outcome.err + outcome.out).split(separator: "\n").filter { $0.hasPrefix("E:") }
            throw ImageError(
                packages.joined(separator: ", "),
                "apt-get: \(lines.isEmpty ? "exit code \(outcome.code)" : lines.joined(separator: "; "))")
        }
        return outcome.out
    }
}
