import Glibc
import Linux
import Testing

/// Kills parts of a cluster at random while pods come and go. In the end every pod is what it shall be, and nothing of
/// those that went is left: not on the nodes, not on the host.
///
/// `make soak` is the long form (`SECONDS=600`, `PODS=100`); `LAB_CHAOS_SEED` repeats the choices that a run printed.
@Suite(.serialized, .enabled(if: Machine.canCreate && Machine.hasKubectl, "\(Machine.why); needs kubectl"))
struct ChaosTests {
    /// What may be killed: processes by their command lines, with how often they are chosen.
    private static let victims = [
        "role agent", "role agent", "role agent", "role apiserver", "role manager", podSupervisor, podSupervisor,
    ]
    private static let podSupervisor = "lab:supervise /var/lib/kubelet/sandboxes/"

    private static func number(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

    private let seconds = number("LAB_CHAOS_SECONDS") ?? 20
    /// That live at once, more or less.
    private let pods = min(100, max(10, number("LAB_CHAOS_PODS") ?? 24))
    private var replicas: Int { pods / 3 }

    private var web: String {
        """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: \(replicas)
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              terminationGracePeriodSeconds: 1
              initContainers:
              - name: first
                image: lab.local/testbox
                imagePullPolicy: IfNotPresent
                args: [write, /data/file, text]
                volumeMounts: [{name: data, mountPath: /data}]
              containers:
              - name: web
                image: lab.local/testbox
                imagePullPolicy: IfNotPresent
                args: [serve, --port, "8080"]
                readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
                volumeMounts: [{name: data, mountPath: /data}, {name: words, mountPath: /words}]
              volumes:
              - {name: data, emptyDir: {medium: Memory}}
              - {name: words, configMap: {name: kube-root-ca.crt}}
        """
    }

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
        let seed = Self.number("LAB_CHAOS_SEED") ?? Int(getpid()) &* 7919 &+ time(nil)
        var random = Dice(seed: UInt64(truncatingIfNeeded: seed))
        print("chaos: LAB_CHAOS_SEED=\(seed), \(seconds) s, \(pods) pods")
        let lab = Lab("chaos")
        let host = lab.kernelState
        defer { lab.tearDown() }
        let created = lab.lab("create", lab.name, "--workers", "2", "--egress", "false", "--wait", "180s")
        try #require(created.code == 0, "\(created)")
        let clean = try #require(NodeTraces.capture(lab))
        #expect(apply(web, lab, within: 60))
        let kills = churn(&random, lab)
        #expect(kills > 0)
        check(lab)
        leavesNothing(lab, clean)
        #expect(lab.lab("delete", lab.name).code == 0)
        lab.expectNothingLeft(since: host)
    }

    /// Makes pods that end, deletes pods that run, and kills what runs them.
    private func churn(_ random: inout Dice, _ lab: Lab) -> Int {
        let end = time(nil) + seconds
        var (round, kills) = (0, 0)
        let batch = max(2, pods / 10)
        while time(nil) < end {
            round += 1
            // The server may be away just now: then this round makes nothing.
            let tasks = (0..<batch).map { Self.task("task-\(round)-\($0)", code: ($0 + round) % 2) }.joined()
            _ = apply(tasks, lab)
            if random.below(3) == 0 {
                lab.kubectl("delete", "pod", "-l", "app=web", "--wait=false", "--field-selector=status.phase=Running")
            }
            // The tasks of some rounds stay, so that the last check has something to see.
            let old = round - pods / batch / 2
            if old > 0, random.below(4) > 0 {
                let names = (0..<batch).map { "task-\(old)-\($0)" }
                _ = Shell.run(
                    ["kubectl", "delete", "pod", "--wait=false", "--ignore-not-found"] + names, extra: lab.environment)
            }
            for _ in 0...random.below(3) { kills += killOne(&random, lab) }
            usleep(UInt32(100_000 + random.below(400_000)))
        }
        print("chaos: \(round) rounds of \(batch), \(kills) kills")
        return kills
    }

    private func apply(_ manifest: String, _ lab: Lab, within seconds: Int = 10) -> Bool {
        let file = "\(lab.home)/manifest.yaml"
        guard (try? Files.write(Array(manifest.utf8), to: file)) != nil else { return false }
        return lab.eventually(within: seconds) { lab.kubectl("apply", "-f", file, "--request-timeout=5s").code == 0 }
    }

    private func killOne(_ random: inout Dice, _ lab: Lab) -> Int {
        let needle = Self.victims[random.below(Self.victims.count)]
        let found = ClusterProcess.all(of: lab.name).filter { $0.command.contains(needle) }
        guard !found.isEmpty else { return 0 }
        return kill(found[random.below(found.count)].pid, SIGKILL) == 0 ? 1 : 0
    }

    // MARK: What shall be

    /// Every pod has come to its right end, or runs and is ready; and what runs belongs to a pod.
    private func check(_ lab: Lab) {
        let ready = lab.eventually(within: 180) {
            lab.kubectl("get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}/{.status.replicas}").out
                == "\(replicas)/\(replicas)"
        }
        #expect(ready, "\(lab.kubectl("get", "pods", "-o", "wide"))")
        // One whose supervisor was killed under it has failed, whatever it would have said: its process was killed, too.
        let row = "{.metadata.labels.code} {.status.phase} {.status.containerStatuses[0].state.terminated.exitCode}"
        let path = "jsonpath={range .items[*]}\(row){\"\\n\"}{end}"
        let settled = lab.eventually(within: 180) {
            let rows = lab.kubectl("get", "pods", "-l", "app=task", "-o", path)
            return rows.code == 0
                && rows.out.split(separator: "\n").allSatisfy { row in
                    ["0 Succeeded 0", "1 Failed 1", "0 Failed 137", "1 Failed 137"].contains(String(row))
                }
        }
        #expect(settled, "\(lab.kubectl("get", "pods", "-l", "app=task", "-o", path))")
        let agrees = lab.eventually(within: 60) { disagreements(lab).isEmpty }
        #expect(agrees, "\(disagreements(lab))")
    }

    /// Between the pods that the API shows as running and what the nodes hold: directories, addresses, processes.
    private func disagreements(_ lab: Lab) -> [String] {
        let row = "{.spec.nodeName} {.metadata.uid} {.status.podIP}"
        let shown = lab.kubectl(
            "get", "pods", "-l", "app=web", "-o", "jsonpath={range .items[*]}\(row){\"\\n\"}{end}")
        guard shown.code == 0 else { return ["\(shown)"] }
        var wanted: Set<String> = []
        for line in shown.out.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3 else { return ["a pod without node or address: \(line)"] }
            wanted.insert("sandbox \(words[0]) \(words[1])")
            wanted.insert("address \(words[0]) \(words[2]) \(words[1])")
            wanted.insert("server \(words[0]) \(words[1])")
        }
        var found: Set<String> = []
        let nodes = "\(lab.home)/clusters/\(lab.name)/nodes"
        for node in (try? Files.list(nodes)) ?? [] {
            let name = "\(lab.name)-\(node)"
            for uid in (try? Files.list("\(nodes)/\(node)/var/lib/kubelet/sandboxes")) ?? [] {
                found.insert("sandbox \(name) \(uid)")
            }
            let addresses = "\(nodes)/\(node)/var/lib/overlay/addresses"
            for address in (try? Files.list(addresses)) ?? [] {
                let owner = (try? Files.text("\(addresses)/\(address)")) ?? ""
                found.insert("address \(name) \(address) \(owner)")
            }
        }
        var servers: [String] = []
        for process in ClusterProcess.all(of: lab.name) where process.command.hasPrefix("/bin/testbox") {
            let node = process.group.prefix { $0 != "/" }
            let uid = process.group.split(separator: "/").first { $0.hasPrefix("pod") }?.dropFirst(3) ?? ""
            servers.append("server \(node) \(uid)")
        }
        found.formUnion(servers)
        let twice = Set(servers).count == servers.count ? [] : ["two servers of one pod: \(servers.sorted())"]
        return wanted.subtracting(found).sorted().map { "missing: \($0)" }
            + found.subtracting(wanted).sorted().map { "left over: \($0)" } + twice
    }

    /// With the pods everything of theirs has gone from the nodes.
    private func leavesNothing(_ lab: Lab, _ clean: NodeTraces) {
        let ended = lab.kubectl("delete", "deployment", "--all", "--timeout=120s")
        #expect(ended.code == 0, "\(ended)")
        // In one request: kubectl deletes no more than five objects in a second, and here may be hundreds.
        let deleted = lab.kubectl("delete", "--raw", "/api/v1/namespaces/default/pods")
        #expect(deleted.code == 0, "\(deleted)")
        func rest() -> [String] { NodeTraces.capture(lab)?.differences(from: clean) ?? ["an agent is away"] }
        let gone = lab.eventually(within: 120) {
            lab.kubectl("get", "pods", "-o", "name").out.isEmpty && rest().isEmpty
        }
        #expect(gone, "left behind: \(rest().joined(separator: "\n"))")
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
