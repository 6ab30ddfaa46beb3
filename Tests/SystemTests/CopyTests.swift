import Document
import Glibc
import Linux
import Testing

/// Stopping, starting, copying and changing whole clusters, with the real binary and the real kernel.
@Suite(.serialized, .enabled(if: Machine.canCreate && Machine.hasKubectl, "\(Machine.why), and kubectl"))
struct CopyTests {
    private func kubectl(_ lab: Lab, _ cluster: String, _ words: String...) -> Ran {
        Shell.run(["kubectl", "--context", "lab-\(cluster)"] + words, extra: lab.environment)
    }

    /// A pod that counts its starts in a volume of its node.
    private static let pod = """
        apiVersion: v1
        kind: Pod
        metadata: {name: keeper}
        spec:
          terminationGracePeriodSeconds: 0
          containers:
          - name: main
            image: lab.local/testbox
            imagePullPolicy: IfNotPresent
            args: [serve, --port, "8080"]
            volumeMounts: [{name: data, mountPath: /data}]
          volumes: [{name: data, hostPath: {path: /var/lib/keeper, type: DirectoryOrCreate}}]
        """

    private func makePod(_ lab: Lab, _ cluster: String) -> String {
        let manifest = "\(lab.home)/pod.yaml"
        #expect((try? Files.write(Array(Self.pod.utf8), to: manifest)) != nil)
        #expect(kubectl(lab, cluster, "apply", "-f", manifest).code == 0)
        return uidOfReadyPod(lab, cluster)
    }

    private func uidOfReadyPod(_ lab: Lab, _ cluster: String) -> String {
        let waited = kubectl(lab, cluster, "wait", "--for=condition=Ready", "pod/keeper", "--timeout=60s")
        #expect(waited.code == 0, "\(waited)")
        return kubectl(lab, cluster, "get", "pod", "keeper", "-o", "jsonpath={.metadata.uid}").out
    }

    private func addresses(_ lab: Lab, _ cluster: String) -> String {
        let path = "jsonpath={range .items[*]}{.metadata.name}={.status.addresses[0].address} {end}"
        return kubectl(lab, cluster, "get", "nodes", "-o", path).out
    }

    private func state(_ lab: Lab, _ cluster: String) -> String? {
        let list = (try? Document(json: Array(lab.lab("list", "--json").out.utf8))) ?? .null
        return list.elements.first { $0.text("name") == cluster }?.text("state")
    }

    private func killAll(of lab: Lab) {
        let script = "grep -ls '/lab/\(lab.name)/' /proc/[0-9]*/cgroup | cut -d/ -f3"
        for pid in Shell.run(["sh", "-c", script]).out.split(separator: "\n").compactMap({ pid_t($0) }) {
            kill(pid, SIGKILL)
        }
    }

    @Test func aClusterSurvivesStopsAndRestartsOfTheMachine() throws {
        let lab = Lab("halt")
        defer { lab.tearDown() }
        let before = lab.kernelState
        #expect(lab.lab("create", lab.name, "--workers", "1").code == 0)
        let uid = makePod(lab, lab.name)
        let nodes = addresses(lab, lab.name)
        #expect(nodes.split(separator: " ").count == 2, "\(nodes)")

        let stopped = lab.lab("stop", lab.name, "--json")
        #expect(stopped.code == 0 && stopped.out.contains("\"state\":\"stopped\""), "\(stopped)")
        // A stopped cluster holds nothing of the kernel.
        lab.expectNothingLeft(since: before)
        #expect(lab.lab("stop", lab.name).err.contains("stopped already"))
        // Not every scenario for itself.
        let suite = lab.lab("conformance", "--cluster", lab.name)
        #expect(suite.code == 1 && suite.err.contains("lab start \(lab.name)") && suite.out.isEmpty, "\(suite)")
        let pausing = lab.lab("pause", lab.name)
        #expect(pausing.code == 1 && pausing.err.contains("lab start \(lab.name)"), "\(pausing)")
        let started = lab.lab("start", lab.name)
        #expect(started.code == 0, "\(started)")
        #expect(uidOfReadyPod(lab, lab.name) == uid)
        #expect(addresses(lab, lab.name) == nodes)

        // As after a power cut: no process, no cgroup; the directories are all there is.
        killAll(of: lab)
        #expect(lab.eventually(within: 10) { self.state(lab, lab.name) == "dead" })
        let revived = lab.lab("start", lab.name)
        #expect(revived.code == 0, "\(revived)")
        #expect(uidOfReadyPod(lab, lab.name) == uid)
        #expect(addresses(lab, lab.name) == nodes)

        #expect(lab.lab("pause", lab.name).code == 0)
        #expect(state(lab, lab.name) == "paused")
        #expect(kubectl(lab, lab.name, "get", "nodes", "--request-timeout=1s").code != 0)
        #expect(lab.lab("resume", lab.name).code == 0)
        #expect(lab.eventually { self.kubectl(lab, lab.name, "get", "nodes").code == 0 })
        // A frozen cluster can be deleted, too.
        #expect(lab.lab("pause", lab.name).code == 0)
        #expect(lab.lab("delete", lab.name).code == 0)
        lab.expectNothingLeft(since: before)
    }

    @Test func aForkIsTheSameClusterAndLivesAlone() throws {
        let lab = Lab("fork")
        defer { lab.tearDown() }
        let fork = lab.name + "b"
        #expect(lab.lab("create", lab.name, "--workers", "1").code == 0)
        let uid = makePod(lab, lab.name)
        #expect(kubectl(lab, lab.name, "create", "configmap", "one").code == 0)
        let snapshot = lab.lab("snapshot", lab.name, "first", "--json")
        #expect(snapshot.code == 0 && snapshot.out.contains("\"name\":\"first\""), "\(snapshot)")
        #expect(lab.lab("get", "snapshots", lab.name).out == "first\n")
        let again = lab.lab("snapshot", lab.name, "first")
        #expect(again.code == 1 && again.err.contains("already"), "\(again)")

        let forked = lab.lab("fork", lab.name, fork)
        #expect(forked.code == 0, "\(forked)")
        #expect(addresses(lab, fork) == addresses(lab, lab.name))
        #expect(uidOfReadyPod(lab, fork) == uid)
        // Neither feels the other.
        #expect(kubectl(lab, fork, "delete", "configmap", "one").code == 0)
        #expect(kubectl(lab, lab.name, "get", "configmap", "one").code == 0)
        #expect(uidOfReadyPod(lab, lab.name) == uid)
        #expect(lab.lab("fork", lab.name, fork).err.contains("exists already"))
        #expect(lab.lab("delete", fork).code == 0)
        // Two at once take turns.
        let twins = [lab.start("fork", lab.name, fork), lab.start("fork", lab.name, lab.name + "c")]
        for twin in twins { #expect(twin.wait().code == 0) }
        for name in [fork, lab.name + "c"] { #expect(lab.lab("delete", name).code == 0) }

        // Back to the snapshot, also after the cluster is gone.
        #expect(kubectl(lab, lab.name, "delete", "configmap", "one").code == 0)
        #expect(lab.lab("delete", lab.name).code == 0)
        let restored = lab.lab("restore", lab.name, "first")
        #expect(restored.code == 0, "\(restored)")
        #expect(kubectl(lab, lab.name, "get", "configmap", "one").code == 0)
        #expect(uidOfReadyPod(lab, lab.name) == uid)

        refusesSnapshotsOfOthers(lab)
    }

    private func refusesSnapshotsOfOthers(_ lab: Lab) {
        let record = "\(lab.home)/snapshots/\(lab.name)/first/snapshot.json"
        #expect(Shell.run(["sed", "-i", "s/\"version\":\"[^\"]*\"/\"version\":\"0.0.1\"/", record]).code == 0)
        let refused = lab.lab("restore", lab.name, "first")
        #expect(refused.code == 1 && refused.err.contains("was taken by lab 0.0.1"), "\(refused)")
        #expect(state(lab, lab.name) == "running", "what is refused changes nothing")
        let missing = lab.lab("restore", lab.name, "second")
        #expect(missing.code == 1 && missing.err.contains("has no snapshot 'second'"), "\(missing)")
        #expect(lab.lab("snapshot", "--delete", lab.name, "first").code == 0)
        #expect(lab.lab("get", "snapshots", "--json").out == "[]\n")
    }

    @Test func aFullDiskLeavesTheOriginalAndNoHalf() throws {
        let lab = Lab("full-copy")
        defer { lab.tearDown() }
        #expect(lab.lab("create", lab.name, "--workers", "0").code == 0)
        let big = "\(lab.home)/clusters/\(lab.name)/nodes/control-plane/var/big"
        #expect(Shell.run(["fallocate", "-l", "64M", big]).code == 0)
        // Snapshots on a small file system of their own, which goes with the command's mount namespace.
        let binary = Machine.binary ?? "lab"
        let script = """
            mkdir -p \(lab.home)/snapshots && mount -t tmpfs -o size=8m tmpfs \(lab.home)/snapshots
            \(binary) snapshot \(lab.name) no; code=$?; ls -A \(lab.home)/snapshots/\(lab.name); exit $code
            """
        let ran = Shell.run(["unshare", "-m", "sh", "-c", script], extra: lab.environment)
        #expect(ran.code == 1 && ran.err.contains("No space left on device"), "\(ran)")
        #expect(ran.err.contains("make room"), "\(ran)")
        #expect(ran.out.isEmpty, "no half snapshot: \(ran.out)")
        #expect(state(lab, lab.name) == "running", "it is not left frozen")
        #expect(kubectl(lab, lab.name, "get", "nodes").code == 0)
    }

    @Test func nodesComeAndGo() throws {
        let lab = Lab("nodes")
        defer { lab.tearDown() }
        let manifest = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let created = lab.lab(
            "create", lab.name, "--config", "/\(manifest)/Fixtures/clusters/own.yaml", "--workers", "1")
        #expect(created.code == 0, "\(created)")
        let worker = "\(lab.name)-worker"
        let capacity = kubectl(
            lab, lab.name, "get", "node", worker, "-o",
            "jsonpath={.status.capacity.cpu} {.status.capacity.memory} {.status.capacity.pods} {.metadata.labels.disk} {.spec.podCIDR}"
        ).out
        #expect(capacity.hasPrefix("1500m 512Mi 20 ssd 10.64."), "\(capacity)")

        let added = lab.lab("node", "add", "--cluster", lab.name, "--labels", "new=yes", "--json")
        #expect(added.code == 0 && added.out == "{\"added\":[\"\(worker)2\"]}\n", "\(added)")
        let labelled = kubectl(lab, lab.name, "get", "nodes", "-l", "new=yes", "-o", "name").out
        #expect(labelled == "node/\(worker)2\n")
        #expect(lab.lab("get", "nodes", lab.name).out == "\(lab.name)-control-plane\n\(worker)\n\(worker)2\n")
        #expect(lab.lab("node", "stop", "\(worker)2", "--cluster", lab.name).code == 0)
        let restarted = lab.lab("node", "start", "\(worker)2", "--cluster", lab.name)
        #expect(restarted.code == 0, "\(restarted)")
        let removed = lab.lab("node", "remove", "\(worker)2", "--cluster", lab.name)
        #expect(removed.code == 0, "\(removed)")
        #expect(kubectl(lab, lab.name, "get", "node", "\(worker)2").err.contains("NotFound"))
        #expect(access("\(lab.home)/clusters/\(lab.name)/nodes/worker2", F_OK) != 0)
        let control = lab.lab("node", "remove", "\(lab.name)-control-plane", "--cluster", lab.name)
        #expect(control.code == 1 && control.err.contains("cannot be without"), "\(control)")

        let logs = "\(lab.home)/logs"
        #expect(lab.lab("export", "logs", logs, "--name", lab.name).out == "\(logs)\n")
        #expect(access("\(logs)/\(lab.name)-control-plane/apiserver.log", F_OK) == 0)
        let other = "\(lab.home)/other"
        #expect(lab.lab("kubeconfig", "merge", lab.name, "--kubeconfig", other).code == 0)
        #expect(lab.lab("kubeconfig", "get", lab.name, "--internal").out.contains("https://10.89.0.2:6443"))
        #expect(Shell.run(["kubectl", "--kubeconfig", other, "get", "nodes"]).code == 0)
    }
}
