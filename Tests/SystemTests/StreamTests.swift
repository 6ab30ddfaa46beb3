import Glibc
import Linux
import Testing

/// kubectl inside containers: one cluster with a pod of busybox, and what people do there.
@Suite(
    .serialized, .enabled(if: Machine.canCreate && Machine.hasKubectl, "\(Machine.why), and kubectl"),
    .enabled(if: BusyboxArchive.binary != nil, "needs a static busybox (Debian's busybox-static)"))
struct StreamTests {
    static let pods = """
        apiVersion: v1
        kind: Pod
        metadata: {name: box}
        spec:
          terminationGracePeriodSeconds: 1
          containers:
          - {name: box, image: "lab.local/busybox:1", imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}
          - name: web
            image: "lab.local/busybox:1"
            imagePullPolicy: IfNotPresent
            command: [sh, -c, "mkdir /www; echo welcome >/www/index.html; exec httpd -f -p 8080 -h /www"]
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: shell}
        spec:
          terminationGracePeriodSeconds: 1
          containers:
          - name: shell
            image: "lab.local/busybox:1"
            imagePullPolicy: IfNotPresent
            command: [sh, -c, "while read line; do echo got $line; done; sleep 3600"]
            stdin: true
        """

    private func with(_ purpose: String, _ body: (Lab) throws -> Void) throws {
        let lab = Lab(purpose)
        defer { lab.tearDown() }
        #expect(lab.lab("create", lab.name, "--workers", "1").code == 0)
        let archive = "\(lab.home)/busybox.tar"
        try BusyboxArchive.write(to: archive)
        let loaded = lab.lab("load", archive)
        #expect(loaded.code == 0, "\(loaded)")
        let manifest = "\(lab.home)/pods.yaml"
        try Files.write(Array(Self.pods.utf8), to: manifest)
        #expect(lab.kubectl("apply", "-f", manifest).code == 0)
        let ready = lab.kubectl("wait", "--for=condition=Ready", "pod/box", "pod/shell", "--timeout=60s")
        #expect(ready.code == 0, "\(ready)")
        try body(lab)
    }

    /// A line of shell, with `k` for kubectl.
    private func shell(_ lab: Lab, _ kubectl: String, _ text: String) -> Ran {
        Shell.run(
            ["timeout", "120", "bash", "-c", "k() { \(kubectl) \"$@\"; }; cd '\(lab.home)'; \(text)"],
            extra: lab.environment)
    }

    @Test func kubectlGetsIntoContainers() throws {
        try with("streams") { lab in
            // Older ones speak SPDY, newer ones WebSocket.
            for kubectl in Kubectl.all {
                execAndCopy(lab, kubectl)
                terminals(lab, kubectl)
                attachAndForward(lab, kubectl)
            }
            runAndDebug(lab)
        }
    }

    private func execAndCopy(_ lab: Lab, _ kubectl: String) {
        let said = shell(lab, kubectl, "k exec box -c box -- sh -c 'echo out; echo err >&2; exit 7'")
        #expect(said.code == 7 && said.out == "out\n", "\(kubectl): \(said)")
        #expect(said.err.contains("err\n") && said.err.contains("exit code 7"), "\(kubectl): \(said)")
        let input = shell(
            lab, kubectl, "head -c 3000000 /dev/urandom >in; k exec -i box -c box -- md5sum <in; md5sum <in")
        let sums = input.out.split(separator: "\n")
        #expect(sums.count == 2 && sums.first == sums.last, "\(kubectl): \(input)")
        let copied = shell(
            lab, kubectl,
            "mkdir -p d && echo hello >d/f && k cp d box:/tmp/d -c box && k cp box:/tmp/d back -c box && cat back/f")
        #expect(copied.code == 0 && copied.out.hasSuffix("hello\n"), "\(kubectl): \(copied)")
        let missing = shell(lab, kubectl, "k exec box -c box -- nothing-of-the-kind")
        #expect(
            missing.code != 0 && missing.err.contains("executable file not found in $PATH"), "\(kubectl): \(missing)")
        let other = shell(lab, kubectl, "k exec box -c nobody -- true")
        #expect(
            other.code == 1 && other.err.contains("container nobody is not valid for pod box"), "\(kubectl): \(other)")
        let long = shell(lab, kubectl, "k exec box -c box -- sh -c 'seq 200000' | md5sum; seq 200000 | md5sum")
        let same = long.out.split(separator: "\n")
        #expect(same.count == 2 && same.first == same.last, "\(kubectl): \(long)")
    }

    /// `script` gives kubectl a terminal of its own.
    private func terminals(_ lab: Lab, _ kubectl: String) {
        let sized = shell(
            lab, kubectl,
            "script -qec \"stty cols 91 rows 27; \(kubectl) exec -it box -c box -- sh -c 'tty; sleep 1; stty size; echo TERM=$TERM; exit 5'\" /dev/null </dev/null; echo code $?"
        )
        #expect(sized.out.contains("/dev/pts/") && sized.out.contains("27 91"), "\(kubectl): \(sized)")
        #expect(sized.out.contains("code 5"), "\(kubectl): \(sized)")
        let typed = shell(
            lab, kubectl,
            "(sleep 2; echo 'echo 4$((1+1))'; sleep 1; echo exit) | script -qec \"\(kubectl) exec -it box -c box -- sh\" /dev/null"
        )
        #expect(typed.out.contains("42"), "\(kubectl): \(typed)")
    }

    private func attachAndForward(_ lab: Lab, _ kubectl: String) {
        let attached = shell(lab, kubectl, "(echo one; sleep 2) | timeout 20 \(kubectl) attach -i shell")
        #expect(attached.out.contains("got one"), "\(kubectl): \(attached)")
        let forwarded = shell(
            lab, kubectl,
            """
            k port-forward pod/box :8080 >pf 2>pf.err & forward=$!
            for i in $(seq 300); do grep -q Forwarding pf && break; sleep 0.1; done
            port=$(sed -n 's/.*127.0.0.1:\\([0-9]*\\).*/\\1/p' pf | head -1)
            for i in 1 2 3; do curl -s --max-time 10 http://127.0.0.1:$port/; done
            kill $forward; cat pf.err >&2
            """)
        #expect(forwarded.out == "welcome\nwelcome\nwelcome\n", "\(kubectl): \(forwarded)")
        let closed = shell(
            lab, kubectl,
            """
            k port-forward pod/box :81 >pf 2>pf.err & forward=$!
            for i in $(seq 300); do grep -q Forwarding pf && break; sleep 0.1; done
            port=$(sed -n 's/.*127.0.0.1:\\([0-9]*\\).*/\\1/p' pf | head -1)
            curl -s --max-time 10 http://127.0.0.1:$port/
            for i in $(seq 100); do [ -s pf.err ] && break; sleep 0.1; done
            kill $forward; cat pf.err
            """)
        #expect(closed.out.contains("error forwarding port 81 to pod box_default"), "\(kubectl): \(closed)")
    }

    private func runAndDebug(_ lab: Lab) {
        let ran = shell(
            lab, "kubectl",
            "echo hello | k run once -i --rm --restart=Never --image=lab.local/busybox:1 --image-pull-policy=IfNotPresent --command -- cat"
        )
        #expect(ran.code == 0 && ran.out.contains("hello"), "\(ran)")
        let code = shell(
            lab, "kubectl",
            "echo | k run code -i --rm --restart=Never --image=lab.local/busybox:1 --image-pull-policy=IfNotPresent --command -- sh -c 'read x; exit 6'"
        )
        #expect(code.code == 6, "\(code)")
        #expect(lab.eventually { lab.kubectl("get", "pods", "once", "code", "--ignore-not-found").out.isEmpty })
        let debugged = shell(
            lab, "kubectl",
            "echo 'ps; exit' | k debug box -i --target=box --image=lab.local/busybox:1 --image-pull-policy=IfNotPresent --container=d1 -- sh"
        )
        #expect(debugged.code == 0, "\(debugged)")
        let seen = lab.eventually(within: 20) { lab.kubectl("logs", "box", "-c", "d1").out.contains("sleep 3600") }
        #expect(seen, "\(lab.kubectl("logs", "box", "-c", "d1"))")
    }
}

enum Kubectl {
    /// The one in the PATH, and Debian's older one, which `make test-kubectl` unpacks.
    static let all: [String] = {
        let old = "\(APIProcess.root)/.build/debian/kubectl"
        return ["kubectl"] + (Files.exists(old) ? [old] : [])
    }()
}

/// An image of nothing but busybox, as `docker save` would write it.
enum BusyboxArchive {
    static let binary = ["/bin/busybox", "/usr/bin/busybox"].first { Files.exists($0) }

    static func write(to path: String) throws {
        let script = """
            set -e; t=$(mktemp -d); cd "$t"; mkdir -p root/bin root/tmp root/etc
            cp \(binary ?? "") root/bin/busybox
            for a in sh sleep cat echo md5sum tar head seq stty tty httpd ps mkdir true; do ln -s busybox root/bin/$a; done
            tar -C root -cf layer.tar . ; sum=$(sha256sum layer.tar | cut -d' ' -f1)
            echo '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:'$sum'"]}}' >config.json
            echo '[{"Config":"config.json","RepoTags":["lab.local/busybox:1"],"Layers":["layer.tar"]}]' >manifest.json
            tar -cf '\(path)' manifest.json config.json layer.tar; cd /; rm -rf "$t"
            """
        let ran = Shell.run(["bash", "-c", script])
        if ran.code != 0 { throw SystemError("make the image", "\(ran)", errno: EIO) }
    }
}
