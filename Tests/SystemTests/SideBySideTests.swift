import Glibc
import Linux
import Testing

/// Two clusters with the same addresses on one machine: neither sees the other, and each takes with it what is its own.
@Suite(
    .serialized,
    .enabled(if: Machine.canCreate && Machine.hasKubectl && Shell.has("nft"), "\(Machine.why), kubectl and nft"))
struct SideBySideTests {
    private static let objects = """
        apiVersion: v1
        kind: Pod
        metadata: {name: NAME, labels: {app: web}}
        spec:
          nodeName: NODE
          terminationGracePeriodSeconds: 1
          containers: [{name: main, image: lab.local/testbox, imagePullPolicy: IfNotPresent, args: [serve, --port, "8080"]}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec: {clusterIP: 10.96.77.7, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
        """

    @Test func theSameAddressesMeanTheOwnClusterOnly() throws {
        let lab = Lab("side")
        defer { lab.tearDown() }
        let clusters = ["\(lab.name)a", "\(lab.name)b"]
        var own: [String: Set<String>] = [:]
        for name in clusters {
            let created = lab.lab("create", name, "--workers", "0")
            #expect(created.code == 0, "\(created)")
            own[name] = HostObjects.of(name, home: lab.home)
            #expect(own[name]?.count == 2, "a link and a table: \(own)")
        }
        let addresses = clusters.map {
            lab.kubectl(
                "--context", "lab-\($0)", "get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}"
            ).out
        }
        #expect(addresses[0] == addresses[1] && !addresses[0].isEmpty, "the same addresses: \(addresses)")
        // The first cluster has one pod more, and so an address that the second one lacks.
        for (name, pods) in [(clusters[0], ["first", "extra"]), (clusters[1], ["second"])] {
            for pod in pods {
                let file = "\(lab.home)/\(pod).yaml"
                let text = Self.objects.replacing("NAME", with: pod).replacing("NODE", with: "\(name)-control-plane")
                try Files.write(Array(text.utf8), to: file)
                let applied = lab.kubectl("--context", "lab-\(name)", "apply", "-f", file)
                #expect(applied.code == 0, "\(applied)")
            }
            let ready = lab.kubectl(
                "--context", "lab-\(name)", "wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
            #expect(ready.code == 0, "\(ready)")
        }
        func get(_ cluster: String, _ pod: String, _ url: String) -> Ran {
            lab.kubectl("--context", "lab-\(cluster)", "exec", pod, "--", "/bin/testbox", "get", url, "--timeout", "2")
        }
        #expect(lab.eventually(within: 20) { get(clusters[1], "second", "http://10.96.77.7/").code == 0 })
        for _ in 0..<8 {
            #expect(get(clusters[1], "second", "http://10.96.77.7/").out.contains("hostname=second"))
            #expect(!get(clusters[0], "first", "http://10.96.77.7/").out.contains("hostname=second"))
        }
        func address(_ cluster: String, _ pod: String) -> String {
            lab.kubectl("--context", "lab-\(cluster)", "get", "pod", pod, "-o", "jsonpath={.status.podIP}").out
        }
        let (first, extra, second) = (
            address(clusters[0], "first"), address(clusters[0], "extra"), address(clusters[1], "second")
        )
        #expect(get(clusters[0], "first", "http://\(extra):8080/").out.contains("hostname=extra"))
        for target in Set([first, extra]).subtracting([second]) {
            #expect(get(clusters[1], "second", "http://\(target):8080/").code == 1, "\(target) is nobody's there")
        }

        // One goes: its link and its table, and not one thing more.
        let other = own[clusters[1]] ?? []
        #expect(lab.lab("delete", clusters[0]).code == 0)
        let after = HostObjects.all
        #expect(
            after.isDisjoint(with: own[clusters[0]] ?? []), "left over: \(after.intersection(own[clusters[0]] ?? []))")
        #expect(other.isSubset(of: after), "of the other one are gone: \(other.subtracting(after))")
        #expect(get(clusters[1], "second", "http://10.96.77.7/").out.contains("hostname=second"))
        #expect(lab.lab("delete", clusters[1]).code == 0)
        #expect(HostObjects.all.isDisjoint(with: other))
    }
}
