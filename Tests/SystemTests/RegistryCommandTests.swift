import Document
import Glibc
import Linux
import Testing

/// `lab registry` as people use it: push with a foreign client, and a pod runs the image under the name that was pushed.
@Suite(.serialized, .enabled(if: Machine.canCreate, "\(Machine.why)"))
struct RegistryCommandTests {
    private func address(_ ran: Ran) throws -> String {
        try #require(ran.code == 0, "\(ran)")
        return try #require(try Document(json: Array(ran.out.utf8)).text("address"))
    }

    @Test func startsTellsAndStops() throws {
        let it = Lab("registry")
        defer {
            it.lab("registry", "stop")
            it.tearDown()
        }
        #expect(it.lab("registry", "status").out.contains("There is no registry"))
        #expect(it.lab("registry", "restart").code == 2)
        #expect(it.lab("registry", "stop", "--port", "5").code == 2)
        #expect(it.lab("registry", "start", "--port", "port").code == 2)
        let address = try address(it.lab("registry", "start", "--port", "0", "--json"))
        #expect(it.lab("registry", "start").out.contains(address), "a second start finds the first")
        #expect(it.lab("registry", "start", "--port", "1").err.contains("runs already"))
        let port = address.split(separator: ":").last ?? ""
        let other = Lab("registry-other")
        defer { other.tearDown() }
        let taken = other.lab("registry", "start", "--port", "\(port)")
        #expect(taken.code == 1 && taken.err.contains("cannot listen on 127.0.0.1:\(port)"), "\(taken)")
        #expect(it.lab("registry", "status").out.contains("\(address): running"))
        func verdict() throws -> String? {
            let findings = try Document(json: Array(it.lab("doctor", "--json").out.utf8)).elements
            return findings.first { $0.text("subject") == "registry \(address)" }?.text("detail")
        }
        #expect(try verdict() == "running")
        // Its supervisor starts it anew.
        let server = Shell.run(["sh", "-c", "pgrep -f 'role registry --port \(port) '"]).out.split(separator: "\n")
        for pid in server.compactMap({ pid_t($0) }) { kill(pid, SIGKILL) }
        #expect(it.eventually { Shell.run(["curl", "-sf", "http://\(address)/v2/"]).code == 0 })
        let stopped = it.lab("registry", "stop")
        #expect(stopped.code == 0, "\(stopped)")
        #expect(it.lab("registry", "status").out.contains("stopped"))
        #expect(try verdict() == "stopped")
        #expect(it.lab("registry", "stop").out.contains("No registry ran"))
        let left = Shell.run([
            "sh", "-c", "find /sys/fs/cgroup -maxdepth 2 -name 'lab-registry-\(port)'; ls \(it.home)/registry/s",
        ])
        #expect(left.out.isEmpty, "\(left)")
        #expect(try self.address(it.lab("registry", "start", "--json")) == address, "the port is remembered")
    }

    @Test(.enabled(if: Machine.hasKubectl && Shell.has("skopeo"), "needs kubectl and skopeo"))
    func aPodRunsWhatWasPushed() throws {
        let it = Lab("pushed")
        defer {
            it.lab("registry", "stop")
            it.tearDown()
        }
        let address = try address(it.lab("registry", "start", "--port", "0", "--json"))
        let created = it.lab("create", it.name, "--workers", "1", "--egress", "false")
        try #require(created.code == 0, "\(created)")
        let saved = it.lab("image", "save", "lab.local/testbox", "--format", "oci-dir", "--output", "\(it.home)/box")
        try #require(saved.code == 0, "\(saved)")
        let copied = Shell.run([
            "skopeo", "copy", "--dest-tls-verify=false", "oci:\(it.home)/box", "docker://\(address)/team/box:v7",
        ])
        try #require(copied.code == 0, "\(copied)")
        #expect(it.lab("registry", "status").out.contains("team/box"))
        let ran = it.kubectl(
            "run", "pushed", "--image", "\(address)/team/box:v7", "--image-pull-policy", "Always", "--", "sleep", "600")
        #expect(ran.code == 0, "\(ran)")
        let ready = it.kubectl("wait", "--for=condition=Ready", "pod/pushed", "--timeout=60s")
        #expect(ready.code == 0, "\(ready) \(it.kubectl("describe", "pod", "pushed"))")
        let events = it.kubectl(
            "get", "events", "--field-selector", "involvedObject.name=pushed,reason=Pulled", "-o",
            "jsonpath={.items[*].message}")
        #expect(events.out.contains("Successfully pulled image \"\(address)/team/box:v7\""), "\(events)")
    }
}
