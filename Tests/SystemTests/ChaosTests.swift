import Glibc
import Linux
import Testing

/// Kills parts of a cluster at random while pods come and go. In the end every pod is what it shall be, and nothing of
/// those that went is left. `LAB_CHAOS_SECONDS=600` is the long form; `LAB_CHAOS_SEED` repeats what a run printed.
@Suite(.serialized, .enabled(if: Machine.canCreate && Machine.hasKubectl, "\(Machine.why); needs kubectl"))
struct ChaosTests {
    /// What may be killed: processes by their command lines, with how often they are chosen.
    private static let victims = [
        "role agent", "role agent", "role apiserver", "role manager", "lab:supervise /var/lib/kubelet/sandboxes/",
    ]

    private static func number(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

    private static let web = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: 3
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              terminationGracePeriodSeconds: 1
              initContainers:
              - {name: first, image: lab.local/testbox, imagePullPolicy: IfNotPresent, args: [write, /data/file, text]}
              containers:
              - name: web
                image: lab.local/testbox
                imagePullPolicy: IfNotPresent
                args: [serve, --port, "8080"]
                readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
              volumes: [{name: data, emptyDir: {medium: Memory}}]
        """.replacing("text]}", with: "text], volumeMounts: [{name: data, mountPath: /data}]}")

    private static func task(_ name: String, code: Int) -> String {
        """
        apiVersion: v1
        kind: Pod
        metadata: {name: \(name), labels: {app: task, code: "\(code)"}}
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 1
          containers:
          - {name: main, image: lab.local/testbox, imagePullPolicy: IfNotPresent, args: [exit, "\(code)"]}
        ---

        """
    }

    @Test func everythingIsInItsPlaceInTheEnd() throws {
        let seconds = Self.number("LAB_CHAOS_SECONDS") ?? 8
        let seed = Self.number("LAB_CHAOS_SEED") ?? Int(getpid()) &* 7919 &+ time(nil)
        var random = Dice(seed: UInt64(truncatingIfNeeded: seed))
        print("chaos: LAB_CHAOS_SEED=\(seed), \(seconds) s")
        let lab = Lab("chaos")
        defer { lab.tearDown() }
        #expect(lab.lab("create", lab.name).code == 0)
        #expect(apply(Self.web, lab))
        let end = time(nil) + seconds
        var kills = 0
        var round = 0
        while time(nil) < end {
            round += 1
            // The server may be away just now: then this round makes nothing.
            let tasks = (0..<2).map { Self.task("task-\(round)-\($0)", code: ($0 + round) % 2) }.joined()
            _ = apply(tasks, lab)
            if random.below(3) == 0 {
                lab.kubectl("delete", "pod", "-l", "app=web", "--wait=false", "--field-selector=status.phase=Running")
            }
            kills += killOne(&random, lab)
            usleep(UInt32(100_000 + random.below(400_000)))
        }
        print("chaos: \(round) rounds, \(kills) kills")
        #expect(kills > 0)
        check(lab)
        leavesNothing(lab)
    }

    private func apply(_ manifest: String, _ lab: Lab) -> Bool {
        let file = "\(lab.home)/manifest.yaml"
        guard (try? Files.write(Array(manifest.utf8), to: file)) != nil else { return false }
        return lab.eventually(within: 10) { lab.kubectl("apply", "-f", file, "--request-timeout=5s").code == 0 }
    }

    private func killOne(_ random: inout Dice, _ lab: Lab) -> Int {
        let needle = Self.victims[random.below(Self.victims.count)]
        let found = Self.processes(needle, cgroup: "/lab/\(lab.name)/")
        guard !found.isEmpty else { return 0 }
        return kill(found[random.below(found.count)], SIGKILL) == 0 ? 1 : 0
    }

    private static func processes(_ needle: String, cgroup: String) -> [pid_t] {
        ((try? Files.list("/proc")) ?? []).compactMap { entry in
            guard let pid = pid_t(entry), let command = try? Files.read("/proc/\(entry)/cmdline"),
                String(decoding: command.map { $0 == 0 ? 32 : $0 }, as: UTF8.self).contains(needle),
                (try? Files.text("/proc/\(entry)/cgroup"))?.contains(cgroup) == true
            else { return nil }
            return pid
        }
    }

    /// Every pod has come to its right end, or runs and is ready.
    private func check(_ lab: Lab) {
        let ready = lab.eventually(within: 120) {
            lab.kubectl("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}/{.status.replicas}").out
                == "3/3"
        }
        #expect(ready, "\(lab.kubectl("get", "pods", "-o", "wide"))")
        // One whose supervisor was killed under it has failed, whatever it would have said: its process was killed, too.
        let row = "{.metadata.labels.code} {.status.phase} {.status.containerStatuses[0].state.terminated.exitCode}"
        let path = "jsonpath={range .items[*]}\(row){\"\\n\"}{end}"
        let settled = lab.eventually(within: 120) {
            let rows = lab.kubectl("get", "pods", "-l", "app=task", "-o", path)
            return rows.code == 0
                && rows.out.split(separator: "\n").allSatisfy { row in
                    ["0 Succeeded 0", "1 Failed 1", "0 Failed 137", "1 Failed 137"].contains(String(row))
                }
        }
        #expect(settled, "\(lab.kubectl("get", "pods", "-l", "app=task", "-o", path))")
    }

    /// With the pods everything of theirs has gone from the nodes.
    private func leavesNothing(_ lab: Lab) {
        #expect(lab.kubectl("delete", "deployment,pods", "--all", "--timeout=90s").code == 0)
        let gone = lab.eventually(within: 90) {
            lab.kubectl("get", "pods", "-o", "name").out.isEmpty && leftovers(lab).isEmpty
        }
        #expect(gone, "left behind: \(leftovers(lab))")
        #expect(Self.processes("/bin/testbox", cgroup: "/lab/\(lab.name)/").isEmpty)
    }

    private func leftovers(_ lab: Lab) -> [String] {
        let nodes = "\(lab.home)/clusters/\(lab.name)/nodes"
        var found: [String] = []
        for node in (try? Files.list(nodes)) ?? [] {
            for part in ["lib/kubelet/pods", "lib/kubelet/sandboxes", "log/pods"] {
                let directory = "\(nodes)/\(node)/var/\(part)"
                found += ((try? Files.list(directory)) ?? []).map { "\(directory)/\($0)" }
            }
        }
        let mounts = (try? Files.text("/proc/self/mountinfo")) ?? ""
        found += mounts.split(separator: "\n").filter { $0.contains("\(nodes)/") && $0.contains("/kubelet/pods/") }
            .map(String.init)
        return found
    }
}

/// A repeatable source of choices.
private struct Dice {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
    }
}
