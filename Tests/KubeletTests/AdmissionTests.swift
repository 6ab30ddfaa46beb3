import Document
import Testing

@testable import Kubelet

@Suite struct AdmissionTests {
    private func check(
        _ pod: Document, used: Amounts = Amounts(), count: Int = 0, pressure: Set<NodePressure> = [],
        labels: [String: String] = [:], allowed: [String] = []
    ) -> PodFailure? {
        PodAdmission(
            nodeName: "n1", labels: labels,
            limits: Amounts(["cpu": 2000, "memory": 4_294_967_296_000, "pods": 110_000, "example.com/dongle": 3000]),
            used: used, podCount: count, pressure: pressure, sysctls: SysctlPolicy(allowed)
        ).refusal(pod, Amounts(pod: pod))
    }

    private func asking(_ requests: Document) -> Document {
        pod(["containers": [container("main", ["resources": ["requests": requests]])]])
    }

    @Test func roomIsCounted() {
        #expect(check(asking(["cpu": "2"])) == nil)
        #expect(
            check(asking(["cpu": "3"]))
                == PodFailure(
                    reason: "OutOfcpu",
                    message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 3000, used: 0, "
                        + "capacity: 2000"))
        #expect(check(asking(["memory": "2Gi"]), used: Amounts(["memory": 2 << 30 * 1000])) == nil)
        #expect(check(asking(["memory": "5Gi"]))?.reason == "OutOfmemory")
        #expect(check(asking(["example.com/dongle": "4"]))?.reason == "OutOfexample.com/dongle")
        #expect(check(asking(["cpu": "1"]), count: 110)?.reason == "OutOfpods")
        #expect(check(asking(["cpu": "9223372036854775807"]), used: Amounts(["cpu": 2000]))?.reason == "OutOfcpu")
    }

    @Test func requestsOfInitContainersCountWhereTheyAreLarger() {
        let amounts = Amounts(
            pod: pod([
                "initContainers": [
                    container("big", ["resources": ["requests": ["cpu": "3"]]]),
                    container("side", ["restartPolicy": "Always", "resources": ["requests": ["cpu": "500m"]]]),
                ],
                "containers": [container("main", ["resources": ["limits": ["cpu": "1"]]])], "overhead": ["cpu": "10m"],
            ]))
        #expect(amounts["cpu"] == 3010)
    }

    @Test(arguments: [
        ("kernel.shm_rmid_forced", nil), ("net/ipv4/tcp_syncookies", nil), ("kernel.msgmax", "kernel.msgmax"),
        ("net.core.somaxconn", nil), ("kernel.sem", nil), ("vm.swappiness", "vm.swappiness"),
    ])
    func onlySafeAndAllowedSysctls(name: String, refused: String?) {
        let pod = pod(["securityContext": ["sysctls": [["name": Document(name), "value": "1"]]]])
        let failure = check(pod, allowed: ["net.core.*", "kernel/sem"])
        #expect(failure?.reason == (refused == nil ? nil : "SysctlForbidden"))
        if let refused {
            #expect(failure?.message == "Pod was rejected: forbidden sysctl: \"\(refused)\" not allowlisted")
        }
    }

    @Test func sysctlsOfSharedNamespacesAreRefused() {
        let sysctls: Document = ["sysctls": [["name": "net.ipv4.tcp_syncookies", "value": "1"]]]
        let message = check(pod(["hostNetwork": true, "securityContext": sysctls]))?.message
        #expect(message?.hasSuffix("\"net.ipv4.tcp_syncookies\" not allowed with host net enabled") == true)
    }

    @Test func pressureKeepsPodsOut() {
        let greedy = pod()
        let modest = asking(["memory": "1Mi"])
        #expect(
            check(greedy, pressure: [.memory])?.message
                == "Pod was rejected: The node had condition: [MemoryPressure]. ")
        #expect(check(modest, pressure: [.memory]) == nil)
        #expect(check(modest, pressure: [.disk])?.reason == "Evicted")
        #expect(check(pod(["priority": 2_000_001_000]), pressure: [.disk]) == nil)
    }

    @Test func whatCannotBeEnforcedIsRefused() {
        let profile: Document = ["securityContext": ["appArmorProfile": ["type": "RuntimeDefault"]]]
        #expect(check(pod(profile))?.reason == "AppArmor")
        #expect(check(pod(["containers": [container("main", profile)]]))?.reason == "AppArmor")
        #expect(check(pod(["securityContext": ["appArmorProfile": ["type": "Unconfined"]]])) == nil)
    }

    @Test(arguments: [(1, 4096), (3, 4096), (4, 3072), (100, 122), (0, 4096)])
    func lastWordsHaveABoundForAll(containers: Int, limit: Int) {
        #expect(TerminationMessage.limit(containers: containers) == limit)
    }

    @Test func placeIsChecked() {
        #expect(check(pod(["nodeSelector": ["disk": "ssd"]]))?.reason == "NodeAffinity")
        #expect(check(pod(["nodeSelector": ["disk": "ssd"]]), labels: ["disk": "ssd"]) == nil)
        #expect(check(pod(["os": ["name": "windows"]]))?.reason == "PodOSNotSupported")
    }

    @Test func aRejectedPodFailsWithoutATrace() {
        var lifecycle = PodLifecycle(pod: pod(), found: nil, now: start)
        lifecycle.reject(PodFailure(reason: "OutOfcpu", message: "Pod was rejected: no room"))
        #expect(
            lifecycle.decide(now: start) == [
                .event(type: "Warning", reason: "OutOfcpu", message: "no room", container: nil)
            ])
        let status = PodStatusBuilder(lifecycle: lifecycle, hostIPs: [], now: start, previous: .emptyObject).build()
        #expect(status.text("phase") == "Failed")
        #expect(status.text("message") == "Pod was rejected: no room")
        #expect(status["containerStatuses"] == nil)
        #expect(lifecycle.decide(now: at(100)) == [])
        lifecycle.apply(.desired(pod(metadata: ["deletionTimestamp": Document(at(1).description)])), now: at(101))
        #expect(lifecycle.decide(now: at(101)).names == ["confirm"])
    }

    @Test func aResizeThatWaitsIsToldWhenRoomComes() {
        let told = Counter()
        var configuration = KubeletConfiguration(nodeName: "n1", nodeIP: .loopback)
        configuration.cpuMillis = 2000
        configuration.memoryBytes = 4 << 30
        let ledger = NodeLedger(Machine(configuration), configuration)
        var other = asking(["cpu": "1500m"])
        other.set("other", at: "metadata", "uid")
        #expect(ledger.admit(asking(["cpu": "200m"]), nodeName: "n1") == nil)
        #expect(ledger.admit(other, nodeName: "n1") == nil)
        let infeasible = ledger.resize(asking(["cpu": "3"])) { told.add() }
        #expect(infeasible == .infeasible("Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000"))
        let deferred = ledger.resize(asking(["cpu": "1"])) { told.add() }
        #expect(
            deferred
                == .deferred("Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"))
        #expect(told.value == 0)
        ledger.release("other")
        #expect(told.value == 1)
        #expect(ledger.resize(asking(["cpu": "1"])) {} == .granted)
    }
}
