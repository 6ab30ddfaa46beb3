import Basics
import Client
import Document
import Kinds

/// Empties namespaces that are being deleted, and then lets them go.
///
/// What a namespace can contain is asked of the server each time, because custom resources come and go.
struct NamespaceController: Sendable {
    static let name = "namespace-controller"
    private static let workers = 4

    private let client: APIClient
    private let namespaces: Informer
    private let world: World
    private let log: Log
    private let metrics: ControllerMetrics

    init(client: APIClient, informers: Informers, world: World, log: Log, metrics: ControllerMetrics) {
        self.metrics = metrics
        self.client = client
        self.world = world
        self.log = log.named(Self.name)
        namespaces = informers(.namespaces)
    }

    func run() async throws {
        let queue = WorkQueue(clock: world.clock, longestDelay: .seconds(60))
        metrics.follow(queue, of: Self.name)
        let changes = namespaces.changes()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await change in changes where change.new?.isTerminating == true { queue.add(change.key) }
            }
            for _ in 0..<Self.workers {
                group.addTask {
                    while let key = await queue.next() {
                        await work(on: key, queue)
                        queue.done(key)
                        try Task.checkCancellation()
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func work(on key: String, _ queue: WorkQueue) async {
        guard let namespace = namespaces.get(key: key), namespace.isTerminating else { return queue.forget(key) }
        do {
            if let delay = try await empty(namespace) {
                queue.addAfter(key, delay)
            } else {
                queue.forget(key)
            }
        } catch {
            if Task.isCancelled { return }
            if (error as? APIStatus)?.isNotFound != true {
                metrics.countError(of: Self.name)
                log.warning("\(key): \(error)")
            }
            queue.addRateLimited(key)
        }
    }

    /// One round. Answers when to look again, nil when the namespace was let go.
    private func empty(_ namespace: Document) async throws -> Duration? {
        // Pods first: they may still need what else is in the namespace, such as the policies that guard them.
        var report = NamespaceReport()
        let pods = Discovery.Resource(type: .pods, verbs: ["delete", "deletecollection", "list"])
        try await empty(pods, in: namespace.name, &report)
        if !report.isEmpty {
            try await publish(report, on: namespace)
            return pause(before: namespace, report)
        }
        let discovery = try await Discovery(client)
        report.discoveryFailures = discovery.failures
        for resource in discovery.resources where resource.type.namespaced && resource.type != .pods {
            guard resource.verbs.contains("delete"), resource.verbs.contains("list") else { continue }
            do {
                try await empty(resource, in: namespace.name, &report)
            } catch let status as APIStatus where status.isNotFound || status.code == 405 {
                continue  // served no longer
            } catch let status as APIStatus {
                report.contentFailures.append("\(resource.type): \(status.message)")
            }
        }
        if report.isEmpty {
            var finalized = namespace
            let others = namespace.list("spec", "finalizers").filter { $0.string != "kubernetes" }
            finalized.set(Document(others), at: "spec", "finalizers")
            _ = try await client.update(.namespaces, name: namespace.name, finalized, subresource: "finalize")
            return nil
        }
        try await publish(report, on: namespace)
        return pause(before: namespace, report)
    }

    /// What stays as it is for long is looked at ever less often: a finalizer may never be removed.
    private func pause(before namespace: Document, _ report: NamespaceReport) -> Duration {
        let begun = namespace.time("metadata", "deletionTimestamp") ?? world.clock.now
        return max(report.delay, min((world.clock.now - begun) / 8, .seconds(15)))
    }

    private func empty(_ resource: Discovery.Resource, in namespace: String, _ report: inout NamespaceReport)
        async throws
    {
        let found = try await client.list(resource.type, namespace: namespace).list("items")
        if found.isEmpty { return }
        let options: Document = [
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        ]
        if found.contains(where: { !$0.isTerminating }) {
            if resource.verbs.contains("deletecollection") {
                _ = try await client.deleteCollection(resource.type, namespace: namespace, options: options)
            } else {
                for object in found where !object.isTerminating {
                    do {
                        _ = try await client.delete(
                            resource.type, namespace: namespace, name: object.name, options: options)
                    } catch let status as APIStatus where status.isNotFound { continue }
                }
            }
        }
        let left = try await client.list(resource.type, namespace: namespace).list("items")
        report.note(left, of: resource.type)
    }

    private func publish(_ report: NamespaceReport, on namespace: Document) async throws {
        var conditions = Document(namespace.list("status", "conditions"))
        for condition in report.conditions { conditions = conditions.settingCondition(condition, at: world.clock.now) }
        if conditions == namespace.at("status", "conditions") { return }
        _ = try await client.patch(
            .namespaces, name: namespace.name, ["status": ["conditions": conditions]], subresource: "status")
    }
}

/// What stood in the way in one round.
struct NamespaceReport: Sendable {
    var discoveryFailures: [String] = []
    var contentFailures: [String] = []
    private var remaining: [(type: String, count: Int)] = []
    private var finalizers: [String: Int] = [:]
    private var longestGrace = 0

    mutating func note(_ objects: [Document], of type: ResourceType) {
        if objects.isEmpty { return }
        remaining.append(("\(type.plural).\(type.group)", objects.count))
        for object in objects {
            for finalizer in object.finalizers { finalizers[finalizer, default: 0] += 1 }
            longestGrace = max(longestGrace, object.number("metadata", "deletionGracePeriodSeconds") ?? 0)
        }
    }

    var isEmpty: Bool { discoveryFailures.isEmpty && contentFailures.isEmpty && remaining.isEmpty }

    /// Pods that end in their own time are not asked about every moment, but a lab's pods end quickly.
    var delay: Duration { longestGrace > 0 ? .milliseconds(500) : .milliseconds(50) }

    var conditions: [Document] {
        func condition(_ type: String, _ isTrue: Bool, _ bad: String, _ good: String, _ message: String) -> Document {
            [
                "type": Document(type), "status": isTrue ? "True" : "False", "reason": Document(isTrue ? bad : good),
                "message": Document(message),
            ]
        }
        let content = remaining.map { "\($0.type) has \($0.count) resource instances" }.joined(separator: ", ")
        let held = finalizers.sorted { $0.key < $1.key }.map { "\($0.key) in \($0.value) resource instances" }
            .joined(separator: ", ")
        return [
            condition(
                "NamespaceDeletionDiscoveryFailure", !discoveryFailures.isEmpty, "DiscoveryFailed",
                "ResourcesDiscovered",
                discoveryFailures.isEmpty
                    ? "All resources successfully discovered"
                    : "Discovery failed for some groups, \(discoveryFailures.count) failing: "
                        + discoveryFailures.joined(separator: ", ")),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure", false, "GroupVersionParsingFailed",
                "ParsedGroupVersions", "All legacy kube types successfully parsed"),
            condition(
                "NamespaceDeletionContentFailure", !contentFailures.isEmpty, "ContentDeletionFailed", "ContentDeleted",
                contentFailures.isEmpty
                    ? "All content successfully deleted, may be waiting on finalization"
                    : "Failed to delete all resource types, \(contentFailures.count) remaining: "
                        + contentFailures.joined(separator: ", ")),
            condition(
                "NamespaceContentRemaining", !remaining.isEmpty, "SomeResourcesRemain", "ContentRemoved",
                remaining.isEmpty ? "All content successfully removed" : "Some resources are remaining: \(content)"),
            condition(
                "NamespaceFinalizersRemaining", !finalizers.isEmpty, "SomeFinalizersRemain",
                "ContentHasNoFinalizers",
                finalizers.isEmpty
                    ? "All content-preserving finalizers finished"
                    : "Some content in the namespace has finalizers remaining: \(held)"),
        ]
    }
}
