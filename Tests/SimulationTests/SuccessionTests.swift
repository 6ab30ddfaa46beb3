import Basics
import Client
import Controllers
import Document
import Kinds
import Scheduler
import Simulation
import Synchronization
import Testing

/// A candidate for a lease that is started again whenever it has ended.
private struct Replica: Sendable {
    enum Part: String, Sendable { case manager, scheduler }

    let part: Part
    let name: String
    let cluster: SimulatedCluster
    let peace: Peace

    /// Whether nobody is killed any more, and how often somebody was.
    final class Peace: Sendable {
        let isThere = Mutex(false)
        let kills = Mutex(0)
    }

    private func work(_ client: APIClient) async throws {
        switch part {
        case .manager:
            try await runControllers(
                client: client, world: cluster.world, log: .silent, options: SimulatedCluster.defaultOptions)
        case .scheduler: try await runScheduler(client: client, world: cluster.world, log: .silent)
        }
    }

    /// Life after life: each under a name of its own, ended by a kill in most cases, else by a request to stop.
    func run() async throws {
        let world = cluster.world
        var life = 0
        while true {
            life += 1
            let identity = "\(name)-\(life)"
            let isAsked = world.random.below(3) == 0
            let span = Duration.seconds(4 + world.random.below(26))
            let stop = Wakeup()
            do {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        let elector = LeaderElector(
                            cluster.client, name: part.rawValue, identity: identity, world: world, log: .silent)
                        try await elector.runAlways(until: stop) { try await work(cluster.client) }
                    }
                    group.addTask {
                        try await world.clock.sleep(for: span)
                        while peace.isThere.withLock({ $0 }) { try await world.clock.sleep(for: .seconds(600)) }
                        peace.kills.withLock { $0 += 1 }
                        guard isAsked else { return }
                        stop.wake()
                        try await world.clock.sleep(for: .seconds(2))
                    }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            } catch { try Task.checkCancellation() }
            try await world.clock.sleep(for: .milliseconds(200 + world.random.below(3_000)))
        }
    }
}

extension SimulatedCluster {
    fileprivate func endJobPods() async throws {
        while true {
            for pod in try await pods("kind=job") where pod.phase == "Running" {
                _ = try await client.patch(
                    .pods, namespace: "default", name: pod.name, ["status": ["phase": "Succeeded"]],
                    subresource: "status")
            }
            try await world.clock.sleep(for: .seconds(1))
        }
    }

    /// One change of the workloads, drawn by chance.
    fileprivate func change(_ round: Int) async throws {
        let random = world.random
        switch random.below(5) {
        case 0:
            _ = try await client.create(.jobs, Succession.job("work-\(round)"))
        case 1:
            _ = try await client.patch(
                .statefulSets, namespace: "default", name: "db",
                ["spec": ["replicas": Document(random.below(4)), "template": Succession.version(round)]])
        case 2:
            let pods = try await self.pods("app=web")
            if pods.isEmpty { return }
            do {
                _ = try await client.delete(.pods, namespace: "default", name: pods[random.below(pods.count)].name)
            } catch let status as APIStatus where status.isNotFound { return }
        case 3:
            _ = try await client.patch(
                .deployments, namespace: "default", name: "web", ["spec": ["template": Succession.version(round)]])
        default:
            _ = try await client.patch(
                .deployments, namespace: "default", name: "web", ["spec": ["replicas": Document(random.below(7))]])
        }
    }

    /// What is not as it is to be in the end; nil where all is.
    fileprivate func whatIsWrong(jobs: Int) async throws -> String? {
        let web = try await pods("app=web")
        let db = try await pods("app=db")
        if web.count != 4 || !web.allSatisfy(\.isReady) { return "web: \(web.map(\.name))" }
        if db.map(\.name) != ["db-0", "db-1", "db-2"] || !db.allSatisfy(\.isReady) { return "db: \(db.map(\.name))" }
        let sets = try await client.list(.replicaSets, namespace: "default").list("items")
        let sizes = sets.map { $0.number("spec", "replicas") ?? 0 }.filter { $0 > 0 }
        if sizes != [4] { return "replica sets: \(sizes)" }
        let done = try await client.list(.jobs, namespace: "default").list("items")
        if done.count != jobs { return "\(done.count) jobs, not \(jobs)" }
        for job in done {
            let name = job.text("metadata", "name") ?? ""
            let pods = try await pods("job-name=\(name)")
            let isComplete = job.list("status", "conditions").contains { $0.text("type") == "Complete" }
            if !isComplete || job.number("status", "succeeded") != 2 || pods.count != 2 {
                return "\(name): \(job["status"]?.jsonText ?? ""), \(pods.count) pods"
            }
        }
        var load: [String: Int] = [:]
        for pod in web + db { load[pod.nodeName, default: 0] += 1 }
        // Each of these pods takes one of a node's four processors.
        if let full = load.first(where: { $0.value > 4 }) { return "\(full.value) pods on \(full.key)" }
        return nil
    }
}

private enum Succession {
    static func version(_ number: Int) -> Document {
        ["metadata": ["annotations": ["version": Document("v\(number)")]]]
    }

    static func job(_ name: String) -> Document {
        [
            "apiVersion": "batch/v1", "kind": "Job", "metadata": ["name": Document(name), "namespace": "default"],
            "spec": [
                "parallelism": 2, "completions": 2,
                "template": [
                    "metadata": ["labels": ["kind": "job"]],
                    "spec": ["restartPolicy": "Never", "containers": [["name": "main", "image": "job:1"]]],
                ],
            ],
        ]
    }

    static func workload(_ kind: String, _ name: String) -> Document {
        [
            "apiVersion": "apps/v1", "kind": Document(kind),
            "metadata": ["name": Document(name), "namespace": "default"],
            "spec": [
                "replicas": 3, "selector": ["matchLabels": ["app": Document(name)]],
                "template": [
                    "metadata": ["labels": ["app": Document(name)]],
                    "spec": [
                        "containers": [
                            ["name": "main", "image": "web:1", "resources": ["requests": ["cpu": "1"]]]
                        ]
                    ],
                ],
            ],
        ]
    }
}

/// Two managers and two schedulers, of which any may be killed at any moment.
@Suite struct SuccessionTests {
    @Test(arguments: [11, 12, 13, 14, 15, 16] as [UInt64])
    func whoeverIsKilledNothingIsLostOrDoubled(seed: UInt64) throws {
        try Simulation.run(seed: seed) { world in
            let cluster = try await SimulatedCluster(server: .real, nodes: 3, world: world)
            try await cluster.run(hasManagers: false) { cluster in
                try await Self.live(cluster)
            }
        }
    }

    private static func live(_ cluster: SimulatedCluster) async throws {
        let peace = Replica.Peace()
        let invariants = PodInvariants()
        // A surge of a quarter of at most six pods is two more.
        invariants.setBounds([
            .init(selector: try #require(LabelSelector(["matchLabels": ["app": "web"]])), most: 8),
            .init(selector: try #require(LabelSelector(["matchLabels": ["app": "db"]])), most: 3),
        ])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (part, name) in [
                (Replica.Part.manager, "one"), (.manager, "two"), (.scheduler, "one"), (.scheduler, "two"),
            ] {
                let replica = Replica(part: part, name: name, cluster: cluster, peace: peace)
                group.addTask { try await replica.run() }
            }
            group.addTask { try await cluster.endJobPods() }
            group.addTask { try await invariants.run(cluster.client) }
            try await cluster.eventually("the account is there") {
                try await !cluster.client.list(.serviceAccounts, namespace: "default").list("items").isEmpty
            }
            _ = try await cluster.client.create(.deployments, Succession.workload("Deployment", "web"))
            _ = try await cluster.client.create(.statefulSets, Succession.workload("StatefulSet", "db"))
            for round in 0..<40 {
                try await cluster.change(round)
                try await cluster.world.clock.sleep(for: .milliseconds(500 + cluster.world.random.below(7_000)))
            }
            peace.isThere.withLock { $0 = true }
            for (resource, size) in [(ResourceType.deployments, 4), (.statefulSets, 3)] {
                let name = resource == .deployments ? "web" : "db"
                _ = try await cluster.client.patch(
                    resource, namespace: "default", name: name, ["spec": ["replicas": Document(size)]])
            }
            let jobs = try await cluster.client.list(.jobs, namespace: "default").list("items").count
            try await cluster.eventually("all is as it is to be", within: .seconds(300), every: .seconds(1)) {
                try await cluster.whatIsWrong(jobs: jobs) == nil
            }
            // And it stays so.
            try await cluster.world.clock.sleep(for: .seconds(60))
            #expect(try await cluster.whatIsWrong(jobs: jobs) == nil)
            #expect(invariants.violations == [])
            #expect(peace.kills.withLock { $0 } >= 10)
            group.cancelAll()
        }
    }

    /// The next one does not wait for the lease's end.
    @Test func whoIsAskedToStopGivesTheLeadBack() throws {
        try Simulation.run(seed: 5) { world in
            let cluster = try await SimulatedCluster(server: .real, nodes: 1, world: world)
            try await cluster.run(hasManagers: false) { cluster in
                let stop = Wakeup()
                @Sendable func elector(_ name: String) -> LeaderElector {
                    LeaderElector(cluster.client, name: "work", identity: name, world: world, log: .silent)
                }
                let (one, two) = (elector("one"), elector("two"))
                // Whether the first is at its work.
                let work = Replica.Peace()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try await one.runAlways(until: stop) {
                            work.isThere.withLock { $0 = true }
                            defer { work.isThere.withLock { $0 = false } }
                            try await world.clock.sleep(for: .seconds(3_600))
                        }
                    }
                    try await cluster.eventually("the first leads") { one.status.leads }
                    group.addTask { try await two.runAlways { try await world.clock.sleep(for: .seconds(3_600)) } }
                    try await world.clock.sleep(for: .seconds(30))
                    #expect(!two.status.leads)
                    let asked = world.clock.uptime
                    stop.wake()
                    try await cluster.eventually("the second leads") {
                        #expect(!(two.status.leads && work.isThere.withLock { $0 }))
                        return two.status.leads
                    }
                    // Its own pause between two looks, and nothing of the lease's 15 seconds.
                    #expect(world.clock.uptime - asked < .seconds(3))
                    let lease = try await cluster.client.get(.leases, namespace: "kube-system", name: "work")
                    #expect(lease.text("spec", "holderIdentity") == "two")
                    #expect(lease.number("spec", "leaseDurationSeconds") == 15)
                    #expect(lease.number("spec", "leaseTransitions") == 1)
                    group.cancelAll()
                }
            }
        }
    }
}
