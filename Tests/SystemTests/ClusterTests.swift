import Glibc
import Linux
import Testing

/// One cluster of three nodes, and what users do with it: kubectl, and killing its parts.
@Suite(.serialized, .enabled(if: Machine.canCreate, "\(Machine.why)"))
struct WholeClusterTests {
    static let web = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: 4
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              terminationGracePeriodSeconds: 1
              containers:
              - {name: web, image: lab.local/testbox, imagePullPolicy: IfNotPresent, args: [serve, --port, "8080"]}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
        """

    @Test(.enabled(if: Machine.hasKubectl, "needs kubectl")) func kubectlWorksAndPodsOutliveTheirKeepers() {
        let lab = Lab("kubectl")
        defer { lab.tearDown() }
        #expect(lab.lab("create", lab.name).code == 0)
        let nodes = lab.kubectl("get", "nodes", "-o", "wide")
        #expect(nodes.out.split(separator: "\n").filter { $0.contains(" Ready ") }.count == 3, "\(nodes)")

        let manifest = "\(lab.home)/web.yaml"
        #expect((try? Files.write(Array(Self.web.utf8), to: manifest)) != nil)
        let applied = lab.kubectl("apply", "-f", manifest)
        #expect(applied.code == 0, "\(applied)")
        let rollout = lab.kubectl("rollout", "status", "deployment/web", "--timeout=120s")
        #expect(rollout.code == 0, "\(rollout)")
        let pods = lab.kubectl("get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}")
        #expect(Set(pods.out.split(separator: " ")).count == 2, "spread over the workers: \(pods)")
        #expect(lab.kubectl("logs", "deployment/web").out.contains("serving"))
        #expect(lab.kubectl("scale", "deployment/web", "--replicas=2").code == 0)
        #expect(lab.eventually { self.names(lab).count == 2 })

        let uids = names(lab)
        killEach("role apiserver", lab)
        killEach("role manager", lab)
        killEach("role agent", lab)
        #expect(
            lab.eventually { lab.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=5s").code == 0 })
        #expect(restarts(lab) == "0 0", "no pod restarts when its keepers are killed")
        #expect(names(lab) == uids)

        #expect(killOnePod(lab))
        #expect(lab.eventually { self.restarts(lab).contains("1") }, "the pod whose supervisor was killed is restarted")
        #expect(
            lab.eventually { lab.kubectl("wait", "--for=condition=Ready", "pods", "--all", "--timeout=5s").code == 0 })
        #expect(names(lab) == uids, "restarted, not replaced")

        #expect(lab.kubectl("delete", "-f", manifest, "--timeout=60s").code == 0)
        #expect(lab.eventually { self.names(lab).isEmpty })
    }

    private func names(_ lab: Lab) -> Set<Substring> {
        Set(
            lab.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.uid}").out
                .split(separator: " "))
    }

    private func restarts(_ lab: Lab) -> String {
        lab.kubectl("get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}").out
    }

    private func processes(_ needle: String, cgroup: String) -> [pid_t] {
        ((try? Files.list("/proc")) ?? []).compactMap { entry in
            guard let pid = pid_t(entry), let command = try? Files.read("/proc/\(entry)/cmdline"),
                String(decoding: command.map { $0 == 0 ? 32 : $0 }, as: UTF8.self).contains(needle),
                (try? Files.text("/proc/\(entry)/cgroup"))?.contains(cgroup) == true
            else { return nil }
            return pid
        }
    }

    private func killEach(_ role: String, _ lab: Lab) {
        let found = processes(role, cgroup: "/lab/\(lab.name)/")
        #expect(!found.isEmpty, "there is a process '\(role)'")
        for pid in found { kill(pid, SIGKILL) }
    }

    private func killOnePod(_ lab: Lab) -> Bool {
        let pods = processes("lab:supervise", cgroup: "/lab/\(lab.name)/").filter { pid in
            (try? Files.text("/proc/\(pid)/cgroup"))?.contains("kubepods") == true
        }
        guard let first = pods.first else { return false }
        return kill(first, SIGKILL) == 0
    }
}
