import Document
import Glibc
import Linux
import Testing

/// Pull secrets from end to end: a registry that asks who one is, a real kubelet, secrets of the pod and of its
/// service account.
@Suite(
    .serialized,
    .enabled(
        if: Machine.canCreate && Machine.hasKubectl && Shell.has("docker-registry") && Shell.has("htpasswd"),
        "\(Machine.why), kubectl, docker-registry and htpasswd (apache2-utils)"))
struct PullSecretTests {
    /// Debian's `docker-registry` with one user; nil address where it never listened.
    private func startRegistry(in directory: String) throws -> (process: Command, address: String) {
        try Files.makeDirectories(directory)
        let users = Shell.run(["htpasswd", "-Bbn", "-C", "4", "ann", "s3cret"])
        try Files.write(Array(users.out.utf8), to: "\(directory)/users")
        for attempt in 0..<5 {
            let port = 20_000 + (Int(getpid()) * 7 + attempt * 131) % 10_000
            let configuration: Document = [
                "version": "0.1", "log": ["level": "error"],
                "storage": ["filesystem": ["rootdirectory": Document("\(directory)/data")]],
                "http": ["addr": Document("127.0.0.1:\(port)")],
                "auth": ["htpasswd": ["realm": "test", "path": Document("\(directory)/users")]],
            ]
            try Files.write(configuration.json, to: "\(directory)/config.yml")
            let process = Command(["docker-registry", "serve", "\(directory)/config.yml"])
            for _ in 0..<600 {
                let asked = Shell.run([
                    "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:\(port)/v2/",
                ])
                if asked.out == "401" { return (process, "localhost:\(port)") }
                usleep(50_000)
            }
            kill(process.pid, SIGKILL)
            _ = process.wait()
        }
        throw SystemError("start docker-registry", errno: ETIMEDOUT)
    }

    private func pod(_ name: String, _ image: String, _ more: String = "") -> String {
        """
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"\(name)"},"spec":{"terminationGracePeriodSeconds":1,\(more)
        "containers":[{"name":"main","image":"\(image)","imagePullPolicy":"Always","args":["sleep","600"]}]}}
        """
    }

    @Test func secretsOpenARegistry() throws {
        let it = Lab("secrets")
        defer { it.tearDown() }
        let registry = try startRegistry(in: "\(it.home)/registry")
        defer {
            kill(registry.process.pid, SIGKILL)
            _ = registry.process.wait()
        }
        let created = it.lab("create", it.name, "--workers", "1", "--egress", "false")
        try #require(created.code == 0, "\(created)")
        let image = "\(registry.address)/private/box:v1"
        let pushed = it.lab("image", "push", "lab.local/testbox", image, "--creds", "ann:s3cret")
        try #require(pushed.code == 0, "\(pushed)")
        for (name, password) in [("right", "s3cret"), ("wrong", "guess")] {
            let made = it.kubectl(
                "create", "secret", "docker-registry", name, "--docker-server=\(registry.address)",
                "--docker-username=ann", "--docker-password=\(password)")
            #expect(made.code == 0, "\(made)")
        }
        #expect(it.kubectl("create", "serviceaccount", "puller").code == 0)
        let patched = it.kubectl(
            "patch", "serviceaccount", "puller", "-p", #"{"imagePullSecrets":[{"name":"right"}]}"#)
        #expect(patched.code == 0, "\(patched)")
        let pods = [
            pod("without", image), pod("wrong", image, #""imagePullSecrets":[{"name":"wrong"}],"#),
            pod("second", image, #""imagePullSecrets":[{"name":"wrong"},{"name":"right"}],"#),
            pod("right", image, #""imagePullSecrets":[{"name":"right"}],"#),
            pod("account", image, #""serviceAccountName":"puller","#),
        ]
        let manifests = #"{"apiVersion":"v1","kind":"List","items":[\#(pods.joined(separator: ","))]}"#
        try Files.write(Array(manifests.utf8), to: "\(it.home)/pods.json")
        let applied = it.kubectl("create", "-f", "\(it.home)/pods.json")
        #expect(applied.code == 0, "\(applied)")
        let inherited = it.kubectl("get", "pod", "account", "-o", "jsonpath={.spec.imagePullSecrets[*].name}")
        #expect(inherited.out == "right", "\(inherited)")
        for name in ["right", "second", "account"] {
            let ready = it.kubectl("wait", "--for=condition=Ready", "pod/\(name)", "--timeout=60s")
            #expect(ready.code == 0, "\(ready) \(it.kubectl("describe", "pod", name))")
        }
        for name in ["without", "wrong"] {
            let told = it.eventually {
                it.kubectl(
                    "get", "events", "--field-selector", "involvedObject.name=\(name),reason=Failed", "-o",
                    "jsonpath={.items[*].message}"
                ).out.contains("may require authorization")
            }
            #expect(told, "\(it.kubectl("describe", "pod", name))")
            let waits = it.eventually {
                it.kubectl(
                    "get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
                ).out.contains("ImagePull")
            }
            #expect(waits, "\(it.kubectl("describe", "pod", name))")
        }
    }
}
