import Document
import Glibc
import Testing

/// kind's commands by their own names, and images straight from docker or podman.
@Suite(.serialized, .enabled(if: Machine.canCreate, "\(Machine.why)"))
struct KindWordsTests {
    @Test func whoComesFromKindTypesOn() throws {
        let lab = Lab("kind-words")
        defer { lab.tearDown() }
        let refused = lab.lab("create", "cluster", "--name", lab.name, "--image", "kindest/node:v1.20.0")
        #expect(refused.code == 2 && refused.err.contains("v1.36"), "\(refused)")
        let created = lab.lab(
            "create", "cluster", "--name", lab.name, "--image", "kindest/node:v1.36.0", "--workers", "0", "--egress",
            "false")
        #expect(created.code == 0, "\(created)")
        let archive = "\(lab.home)/box.tar"
        let saved = lab.lab(
            "image", "save", "lab.local/testbox", "--format", "docker", "--output", archive)
        #expect(saved.code == 0, "\(saved)")
        let loaded = lab.lab("load", "image-archive", archive, "--name", lab.name)
        #expect(loaded.code == 0 && loaded.out.contains("loaded lab.local/testbox"), "\(loaded)")
        #expect(lab.lab("load", "image-archive", archive, "--name", "nobody").code == 1)
        // In podman's place, so that the test needs none; docker has no such image.
        try Shell.place(
            "podman", in: lab.home,
            """
            #!/bin/sh
            [ "$*" = "save --format docker-archive -o $5 example.org/app:1" ] || { echo "no such image" >&2; exit 125; }
            cp \(archive) "$5"
            """)
        try Shell.place("docker", in: lab.home, "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
        let path = ["PATH": "\(lab.home):/usr/bin:/bin"].merging(lab.environment) { $1 }
        func load(_ image: String) -> Ran {
            Shell.run([Machine.binary ?? "lab", "load", "docker-image", image, "--name", lab.name], extra: path)
        }
        let straight = load("example.org/app:1")
        #expect(straight.code == 0 && straight.out.contains("loaded lab.local/testbox"), "\(straight)")
        let missing = load("example.org/none")
        #expect(missing.code == 1, "\(missing)")
        #expect(missing.err.contains("docker: Cannot connect") && missing.err.contains("podman: no such image"))
        #expect(lab.lab("delete", "--all", "--name", "other").code == 2)
        #expect(lab.lab("get", "clusters").out == "\(lab.name)\n")
        #expect(lab.lab("delete", "clusters", lab.name).code == 0)
    }

    /// A build outside a checkout, or without git, says so.
    @Test func theBinaryKnowsItsCommit() throws {
        let lab = Lab("stamp")
        defer { lab.tearDown() }
        let version = try Document(json: lab.lab("version", "--json").out)
        let commit = version.text("commit") ?? ""
        let checkout = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        if Shell.run(["git", "-C", checkout, "rev-parse", "HEAD"]).code == 0 {
            #expect(commit.count == 40 && commit.allSatisfy(\.isHexDigit), "\(version.jsonText)")
            #expect(version.text("date")?.hasSuffix("Z") == true && version.text("tree") != "unknown")
        } else {
            #expect(commit == "unknown")
        }
    }

    /// What is longer than the terminal is wide would leave its second line behind.
    @Test func progressStaysOnOneLine() {
        let lab = Lab("narrow")
        defer { lab.tearDown() }
        let create = "\(Machine.binary ?? "lab") create \(lab.name) --workers 2 --egress false"
        let shown = Shell.run(["script", "-qec", "stty cols 40; \(create)", "/dev/null"], extra: lab.environment).out
        let steps = shown.split(separator: "•", omittingEmptySubsequences: false)
        #expect(steps.count > 4 && shown.contains("Waiting for 3 nodes"), "\(shown)")
        for before in steps.dropLast() { #expect(before.suffix(20).contains("\u{1B}[?7l"), "\(shown)") }
    }
}
