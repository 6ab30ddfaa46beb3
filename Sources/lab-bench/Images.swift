import Basics
import Cluster
import Document
import Glibc
import Linux

/// Unpacking beside `tar` and `umoci`, pulling beside `skopeo`: the same gzip-compressed layers from a registry on the
/// loopback. What is not installed has no row.
struct Images: Sendable {
    let binary: String
    let directory: String
    let world: World
    let quick: Bool

    private static let name = "bench/tree:1"
    private var source: String { "\(directory)/source" }
    private var layout: String { "\(directory)/layout" }

    func measure() throws -> [Row] {
        guard
            ["docker-registry", "skopeo", "umoci"].allSatisfy({
                Command.run(["sh", "-c", "command -v \($0)"]).code == 0
            })
        else {
            say("    images are not measured (apt-get install docker-registry skopeo umoci)")
            return []
        }
        let bytes = try makeTree()
        let port = 20_000 + Int(getpid()) % 20_000
        let registry = try startRegistry(port)
        defer {
            kill(registry.pid, SIGKILL)
            _ = registry.wait()
        }
        let remote = "localhost:\(port)/\(Self.name)"
        try prepare(remote)
        var samples: [String: [Double]] = [:]
        func run(_ what: String, _ words: [String], _ extra: [String: String] = [:]) throws {
            let start = world.clock.uptime
            try check(Command.run(words, extra: extra))
            samples[what, default: []].append((world.clock.uptime - start).inSeconds)
        }
        let layer = try largestBlob()
        for round in 0..<(quick ? 3 : 10) {
            let place = "\(directory)/\(round)"
            for part in ["tar", "pulled"] { try Files.makeDirectories("\(place)/\(part)") }
            try run("load", [binary, "image", "load", layout], ["LAB_HOME": "\(place)/loaded"])
            try run("tar", ["tar", "-C", "\(place)/tar", "-xzf", layer])
            try run("umoci", ["umoci", "unpack", "--image", "\(layout):1", "\(place)/umoci"])
            try run("pull", [binary, "image", "pull", "--quiet", remote], ["LAB_HOME": "\(place)/pulled"])
            try run(
                "skopeo",
                ["skopeo", "copy", "-q", "--src-tls-verify=false", "docker://\(remote)", "oci:\(place)/copy:1"])
            try Files.removeTree(place)
        }
        func rate(_ what: String) -> [Double] { (samples[what] ?? []).map { Double(bytes) / 1_000_000 / $0 } }
        return [
            Row("image: check and unpack (lab image load)", "MB/s", rate("load"), moreIsBetter: true),
            Row("image: unpack (tar -xz)", "MB/s", rate("tar"), moreIsBetter: true),
            Row("image: check and unpack (umoci unpack)", "MB/s", rate("umoci"), moreIsBetter: true),
            Row("image: pull and unpack (lab image pull)", "s", samples["pull"] ?? []),
            Row("image: copy without unpacking (skopeo copy)", "s", samples["skopeo"] ?? []),
        ]
    }

    private func check(_ outcome: Command.Outcome) throws {
        guard outcome.code == 0 else { throw Failure("the bench's command failed: \(outcome)", remedy: "") }
    }

    /// Files as a distribution has them: many small ones, some large; half of it compresses well.
    private func makeTree() throws -> Int {
        var state: UInt64 = 88_172_645_463_325_252
        func noise(_ count: Int) -> [UInt8] {
            (0..<count).map { index in
                guard index % 2 == 0 else { return UInt8(ascii: "a") }
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                return UInt8(truncatingIfNeeded: state)
            }
        }
        var total = 0
        for folder in 0..<40 {
            try Files.makeDirectories("\(source)/tree/\(folder)")
            for number in 0..<50 {
                let bytes = noise(number == 0 ? 512 << 10 : 16 << 10)
                total += bytes.count
                try Files.write(bytes, to: "\(source)/tree/\(folder)/\(number)")
            }
        }
        let text = "apiVersion: lab.dev/v1\nkind: Image\nname: \(Self.name)\nfiles: [{path: /tree, source: tree}]\n"
        try Files.write(Array(text.utf8), to: "\(source)/image.yaml")
        return total
    }

    private func startRegistry(_ port: Int) throws -> Command {
        let configuration: Document = [
            "version": "0.1", "log": ["level": "error"], "http": ["addr": Document("127.0.0.1:\(port)")],
            "storage": ["filesystem": ["rootdirectory": Document("\(directory)/registry")]],
        ]
        try Files.write(configuration.yaml, to: "\(directory)/registry.yml")
        let registry = Command(["docker-registry", "serve", "\(directory)/registry.yml"])
        // It is there once it says that it does not know an image.
        for _ in 0..<200 {
            let asked = Command.run(["skopeo", "inspect", "--tls-verify=false", "docker://localhost:\(port)/none/none"])
            if asked.err.contains("unknown") { return registry }
            usleep(25_000)
        }
        kill(registry.pid, SIGKILL)
        throw Failure("docker-registry does not answer: \(registry.wait())", remedy: "")
    }

    /// Makes the image, and lets skopeo compress it on its way into the registry.
    private func prepare(_ remote: String) throws {
        let home = ["LAB_HOME": "\(directory)/made"]
        try check(Command.run([binary, "image", "make", "\(source)/image.yaml"], extra: home))
        try check(
            Command.run(
                [binary, "image", "save", "--format", "oci-dir", "--output", "\(directory)/plain", Self.name],
                extra: home))
        try check(
            Command.run([
                "skopeo", "copy", "-q", "--dest-tls-verify=false", "oci:\(directory)/plain", "docker://\(remote)",
            ]))
        try check(
            Command.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "docker://\(remote)", "oci:\(layout):1"]))
    }

    private func largestBlob() throws -> String {
        let folder = "\(layout)/blobs/sha256"
        let sized = try Files.list(folder).map { name -> (Int, String) in
            var status = stat()
            return stat("\(folder)/\(name)", &status) == 0 ? (Int(status.st_size), "\(folder)/\(name)") : (0, "")
        }
        return sized.max { $0.0 < $1.0 }?.1 ?? ""
    }
}
