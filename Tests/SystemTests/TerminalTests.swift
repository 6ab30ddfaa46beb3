import Glibc
import Linux
import Testing

/// kubectl on a terminal that changes its size: what is typed arrives, and what arrives is shown.
@Suite(
    .serialized, .enabled(if: Machine.canCreate && Machine.hasKubectl, "\(Machine.why), and kubectl"),
    .enabled(if: BusyboxArchive.binary != nil, "needs a static busybox (Debian's busybox-static)"),
    .enabled(if: Shell.has("python3"), "needs python3"))
struct TerminalTests {
    private static let pod = """
        apiVersion: v1
        kind: Pod
        metadata: {name: terminal}
        spec:
          terminationGracePeriodSeconds: 1
          restartPolicy: Never
          containers:
          - {name: shell, image: "lab.local/busybox:1", imagePullPolicy: IfNotPresent, command: [sh], stdin: true, tty: true}
          - name: web
            image: "lab.local/busybox:1"
            imagePullPolicy: IfNotPresent
            command: [sh, -c, "mkdir /www; echo welcome >/www/index.html; exec httpd -f -p 8080 -h /www"]
          - name: ticker
            image: "lab.local/busybox:1"
            imagePullPolicy: IfNotPresent
            command:
            - sh
            - -c
            - "n=0; while [ ! -e /tmp/stop ]; do n=$((n+1)); echo $n >/tmp/count; echo tick $n; sleep 0.3; done; echo the end"
        """

    @Test func aPersonWorksInContainers() throws {
        let lab = Lab("terminal")
        defer { lab.tearDown() }
        #expect(lab.lab("create", lab.name, "--workers", "1", "--egress", "false", "--wait", "180s").code == 0)
        let archive = "\(lab.home)/busybox.tar"
        try BusyboxArchive.write(to: archive)
        #expect(lab.lab("load", archive).code == 0)
        let script = "\(APIProcess.root)/Fixtures/terminal/session.py"
        for kubectl in Kubectl.all {
            let manifest = "\(lab.home)/pod.yaml"
            try Files.write(Array(Self.pod.utf8), to: manifest)
            #expect(lab.kubectl("apply", "-f", manifest).code == 0)
            let ready = lab.kubectl("wait", "--for=condition=Ready", "pod/terminal", "--timeout=60s")
            #expect(ready.code == 0, "\(ready)")
            let session = Shell.run(["timeout", "240", "python3", script, kubectl], extra: lab.environment)
            #expect(session.code == 0, "\(kubectl): \(session)")
            #expect(lab.kubectl("delete", "pod", "terminal", "--timeout=30s").code == 0)
        }
    }
}
