import Document
import Glibc
import Linux
import Testing

/// The images that `Fixtures/images` describes, made of Debian's packages, run and answer: as containers of the
/// runtime, and as pods.
@Suite(
    .serialized, .enabled(if: Machine.canCreate && Machine.hasKubectl, "\(Machine.why), and kubectl"),
    .enabled(if: Shell.has("umoci") && Shell.has("skopeo"), "needs umoci and skopeo"),
    .enabled(if: Machine.hasPackages, "Debian's packages cannot be had from here"))
struct FixtureImageTests {
    private struct Example: Sendable {
        var image: String
        /// Instead of the image's own.
        var arguments: [String] = []
        var environment: [String: String] = [:]
        var question: [String]
        var answer: String
    }

    private static let examples: [String: Example] = [
        "busybox": Example(
            image: "docker.io/library/busybox:1.35",
            arguments: [
                "sh", "-c", "mkdir /tmp/www; echo welcome >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www",
            ],
            question: ["wget", "-qO-", "http://127.0.0.1:8080/"], answer: "welcome"),
        "nginx": Example(
            image: "docker.io/library/nginx:1.22", question: ["wget", "-qO-", "http://127.0.0.1/"],
            answer: "Welcome to nginx!"),
        "postgres": Example(
            image: "docker.io/library/postgres:15",
            environment: ["POSTGRES_PASSWORD": "secret", "PGPASSWORD": "secret"],
            question: ["psql", "-h", "127.0.0.1", "-U", "postgres", "-tc", "select 40+2"], answer: "42"),
        "python": Example(
            image: "docker.io/library/python:3.11", arguments: ["python3", "-m", "http.server", "8000"],
            question: [
                "python3", "-c", "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/').status)",
            ], answer: "200"),
        "redis": Example(image: "docker.io/library/redis:7", question: ["redis-cli", "ping"], answer: "PONG"),
        "toolbox": Example(image: "lab.local/toolbox:1", question: ["curl", "--version"], answer: "curl 7"),
    ]

    @Test func theyRunAndAnswer() throws {
        let directory = "\(APIProcess.root)/Fixtures/images"
        let files = try Files.list(directory).filter { $0.hasSuffix(".yaml") }.sorted()
        #expect(files == Self.examples.keys.map { "\($0).yaml" }.sorted(), "every file is tried")
        let lab = Lab("fixtures")
        defer { lab.tearDown() }
        let made = Shell.run(
            [Machine.binary ?? "lab", "image", "make"] + files.map { "\(directory)/\($0)" }, extra: lab.environment)
        #expect(made.code == 0, "\(made)")
        guard made.code == 0 else { return }
        #expect(lab.lab("create", lab.name, "--workers", "0", "--egress", "false").code == 0)
        for (name, example) in Self.examples.sorted(by: { $0.key < $1.key }) {
            try asContainer(name, example, lab)
            try asPod(name, example, lab)
        }
    }

    private func asContainer(_ name: String, _ example: Example, _ lab: Lab) throws {
        let directory = "\(lab.home)/\(name)"
        let unpacked = Shell.run(
            [
                "sh", "-ec",
                """
                mkdir \(directory); cd \(directory)
                \(Machine.binary ?? "lab") image save --output image.tar \(example.image)
                skopeo copy -q oci-archive:image.tar oci:layout:latest
                umoci unpack --image layout:latest bundle >&2
                """,
            ], extra: lab.environment)
        #expect(unpacked.code == 0, "\(name): \(unpacked)")
        let file = "\(directory)/bundle/config.json"
        var configuration = try Document(json: Files.read(file))
        configuration.set(false, at: "process", "terminal")
        // The rights that Docker gives, and the image's own directories where umoci has empty ones in memory.
        let rights = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "NET_BIND_SERVICE", "KILL"]
        for set in ["bounding", "effective", "permitted"] {
            configuration.set(
                Document(rights.map { Document("CAP_\($0)") }), at: "process", "capabilities", set)
        }
        for set in ["inheritable", "ambient"] { configuration.set([], at: "process", "capabilities", set) }
        configuration["mounts"] = Document(
            configuration.list("mounts").filter {
                $0.text("type") != "tmpfs" || $0.text("destination")?.hasPrefix("/dev") == true
            })
        if !example.arguments.isEmpty {
            configuration.set(Document(example.arguments.map { Document($0) }), at: "process", "args")
        }
        let variables = example.environment.map { Document("\($0.key)=\($0.value)") }
        configuration.set(Document(configuration.list("process", "env") + variables), at: "process", "env")
        configuration.set(Document("/lab-test-\(lab.name)-\(name)"), at: "linux", "cgroupsPath")
        try Files.write(Array(configuration.jsonText.utf8), to: file)
        func runtime(_ words: [String]) -> Ran {
            Shell.run([Machine.binary ?? "lab", "runtime", "--root", "\(directory)/state"] + words)
        }
        let id = "\(lab.name)-\(name)"
        let log = "\(directory)/log"
        let started = Shell.run([
            "sh", "-c",
            "\(Machine.binary ?? "lab") runtime --root \(directory)/state run -d --bundle \(directory)/bundle \(id) >\(log) 2>&1 </dev/null",
        ])
        #expect(started.code == 0, "\(name): \((try? Files.text(log)) ?? "")")
        guard started.code == 0 else { return }
        defer {
            _ = runtime(["delete", "--force", id])
            _ = Shell.run(["rm", "-rf", directory])
        }
        var last: Ran?
        let answers = lab.eventually {
            let asked = runtime(["exec", id] + example.question)
            last = asked
            return asked.code == 0 && asked.out.contains(example.answer)
        }
        #expect(answers, "\(name) as a container: \(last.map(\.description) ?? "") \((try? Files.text(log)) ?? "")")
    }

    private func asPod(_ name: String, _ example: Example, _ lab: Lab) throws {
        let variables = example.environment.map { ["name": Document($0.key), "value": Document($0.value)] as Document }
        var container: Document = ["name": "main", "image": Document(example.image), "env": Document(variables)]
        if !example.arguments.isEmpty { container["args"] = Document(example.arguments.map { Document($0) }) }
        let pod: Document = [
            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": Document(name)],
            "spec": ["terminationGracePeriodSeconds": 1, "containers": [container]],
        ]
        let manifest = "\(lab.home)/\(name).json"
        try Files.write(Array(pod.jsonText.utf8), to: manifest)
        #expect(lab.kubectl("apply", "-f", manifest).code == 0)
        var last: Ran?
        let answers = lab.eventually {
            let asked = Shell.run(["kubectl", "exec", name, "--"] + example.question, extra: lab.environment)
            last = asked
            return asked.code == 0 && asked.out.contains(example.answer)
        }
        let why = answers ? "" : lab.kubectl("describe", "pod", name).out + lab.kubectl("logs", name).out
        #expect(answers, "\(name) as a pod: \(last.map(\.description) ?? "") \(why)")
        _ = lab.kubectl("delete", "pod", name, "--wait=false")
    }
}
