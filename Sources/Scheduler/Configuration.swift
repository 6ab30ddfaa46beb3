import Basics
import Document

public struct SchedulerOptions: Sendable {
    public var configuration = SchedulerConfiguration()
    /// Filled while the scheduler runs.
    public var metrics = SchedulerMetrics()

    public init() {}
}

/// What a `KubeSchedulerConfiguration` file can say: profiles with their plug-ins and arguments, and the queue's
/// pauses. Whatever else it says is refused, not ignored.
public struct SchedulerConfiguration: Sendable {
    var profiles = [Profile.standard()]
    var queue = SchedulingQueue.Settings()

    public init() {}

    public struct Problem: Error, Sendable, CustomStringConvertible {
        public let description: String

        init(_ path: String, _ text: String) { description = "scheduler configuration: \(path): \(text)" }
    }

    public var schedulerNames: [String] { profiles.map(\.name) }

    public init(yaml: [UInt8]) throws {
        try self.init(try Document(yaml: yaml))
    }

    public init(_ document: Document) throws {
        guard document.text("kind") == "KubeSchedulerConfiguration",
            document.text("apiVersion") == "kubescheduler.config.k8s.io/v1"
        else { throw Problem("kind", "must be KubeSchedulerConfiguration of kubescheduler.config.k8s.io/v1") }
        var percentage: Int?
        var written: [Document] = []
        for member in document.members {
            switch member.key {
            case "kind", "apiVersion": break
            case "profiles": written = member.value.elements
            case "percentageOfNodesToScore": percentage = member.value.int.flatMap { $0 == 0 ? nil : $0 }
            case "podInitialBackoffSeconds": queue.shortestPause = .seconds(try Self.positive(member))
            case "podMaxBackoffSeconds": queue.longestPause = .seconds(try Self.positive(member))
            default: throw Problem(member.key, "not supported")
            }
        }
        if queue.longestPause < queue.shortestPause {
            throw Problem("podMaxBackoffSeconds", "must not be smaller than podInitialBackoffSeconds")
        }
        if let percentage, !(1...100).contains(percentage) {
            throw Problem("percentageOfNodesToScore", "must be between 0 and 100")
        }
        if !written.isEmpty {
            profiles = try written.enumerated().map { try Self.profile($1, "profiles[\($0)]") }
        }
        for index in profiles.indices where profiles[index].percentageOfNodes == nil {
            profiles[index].percentageOfNodes = percentage
        }
        let names = profiles.map(\.name)
        if Set(names).count < names.count { throw Problem("profiles", "two have the same schedulerName") }
    }

    private static func positive(_ member: Document.Member) throws -> Int {
        guard let value = member.value.int, value > 0 else { throw Problem(member.key, "must be greater than 0") }
        return value
    }

    // MARK: Profiles

    private static func profile(_ document: Document, _ path: String) throws -> Profile {
        var arguments = PluginArguments()
        for entry in document.list("pluginConfig") {
            let name = entry.text("name") ?? ""
            try read(entry["args"] ?? .emptyObject, of: name, into: &arguments, "\(path).pluginConfig[\(name)]")
        }
        var profile = Profile.standard(name: document.text("schedulerName") ?? "default-scheduler", arguments)
        profile.percentageOfNodes = document.number("percentageOfNodesToScore").flatMap { $0 == 0 ? nil : $0 }
        for member in document.members
        where !["schedulerName", "pluginConfig", "plugins", "percentageOfNodesToScore"].contains(member.key) {
            throw Problem("\(path).\(member.key)", "not supported")
        }
        let known =
            Set(profile.plugins.map(\.name)).union([DefaultPreemption().name, PrioritySort.name, "DefaultBinder"])
        for member in document["plugins"]?.members ?? [] {
            try apply(member, to: &profile, known, "\(path).plugins.\(member.key)")
        }
        return profile
    }

    /// First what is switched off, then what is switched on again or weighed otherwise.
    private static func apply(
        _ member: Document.Member, to profile: inout Profile, _ known: Set<String>, _ path: String
    ) throws {
        let isEverywhere = member.key == "multiPoint"
        guard isEverywhere || Profile.Point(rawValue: member.key) != nil else {
            throw Problem(path, "there is no such extension point")
        }
        let points = Profile.Point(rawValue: member.key).map { [$0] } ?? Profile.Point.allCases
        func names(_ list: String) throws -> [(name: String, weight: Int?)] {
            try member.value.list(list).map { entry in
                let name = entry.text("name") ?? ""
                guard known.contains(name) || (name == "*" && list == "disabled") else {
                    throw Problem("\(path).\(list)", "there is no plugin \"\(name)\"")
                }
                return (name, entry.number("weight"))
            }
        }
        for (name, _) in try names("disabled") {
            let off = name == "*" ? known : [name]
            if (isEverywhere || points == [.queueSort]) && off.contains(PrioritySort.name) && name != "*" {
                throw Problem(path, "\(PrioritySort.name) is the only order and cannot be disabled")
            }
            if (isEverywhere || points == [.bind]) && off.contains("DefaultBinder") && name != "*" {
                throw Problem(path, "DefaultBinder is the only binder and cannot be disabled")
            }
            for point in points { profile.disabled[point, default: []].formUnion(off) }
        }
        for (name, weight) in try names("enabled") {
            for point in points { profile.disabled[point]?.remove(name) }
            if let weight, weight > 0 { profile.weights[name] = weight }
        }
    }

    // MARK: Arguments

    private static func read(
        _ document: Document, of plugin: String, into arguments: inout PluginArguments, _ path: String
    ) throws {
        for member in document.members where !["kind", "apiVersion"].contains(member.key) {
            let value = member.value
            let path = "\(path).\(member.key)"
            switch (plugin, member.key) {
            case ("NodeResourcesFit", "ignoredResources"):
                arguments.fit.ignored = Set(value.elements.compactMap(\.string))
            case ("NodeResourcesFit", "ignoredResourceGroups"):
                arguments.fit.ignoredGroups = Set(value.elements.compactMap(\.string))
            case ("NodeResourcesFit", "scoringStrategy"): try readStrategy(value, into: &arguments.fit, path)
            case ("NodeResourcesBalancedAllocation", "resources"): arguments.balancedResources = weights(value)
            case ("NodeAffinity", "addedAffinity"): arguments.addedAffinity = NodeAffinity.Added(value)
            case ("InterPodAffinity", "hardPodAffinityWeight"):
                guard let weight = value.int, (0...100).contains(weight) else {
                    throw Problem(path, "must be between 0 and 100")
                }
                arguments.affinity.hardWeight = weight
            case ("InterPodAffinity", "ignorePreferredTermsOfExistingPods"):
                arguments.affinity.ignoresOthersPreferences = value.bool ?? false
            case ("PodTopologySpread", "defaultConstraints"):
                arguments.spread.defaults = value.elements.map { SpreadConstraint($0, namespace: "", labels: [:]) }
            case ("PodTopologySpread", "defaultingType"):
                guard ["List", "System"].contains(value.string) else { throw Problem(path, "must be List or System") }
                if value.string == "List", document["defaultConstraints"] == nil { arguments.spread.defaults = [] }
            case ("VolumeBinding", "bindTimeoutSeconds"):
                guard let seconds = value.int, seconds >= 0 else { throw Problem(path, "must not be negative") }
                arguments.volumeTimeout = .seconds(seconds)
            case ("DefaultPreemption", "minCandidateNodesPercentage"):
                guard let share = value.int, (0...100).contains(share) else {
                    throw Problem(path, "must be between 0 and 100")
                }
                arguments.preemption.candidatePercentage = share
            case ("DefaultPreemption", "minCandidateNodesAbsolute"):
                guard let count = value.int, count >= 0 else { throw Problem(path, "must not be negative") }
                arguments.preemption.candidateMinimum = count
            default: throw Problem(path, "not supported")
            }
        }
    }

    private static func weights(_ list: Document) -> [String: Int] {
        var weights: [String: Int] = [:]
        for entry in list.elements {
            weights[entry.text("name") ?? ""] = entry.number("weight").flatMap { $0 == 0 ? nil : $0 } ?? 1
        }
        return weights
    }

    private static func readStrategy(
        _ document: Document, into fit: inout NodeResourcesFit.Arguments, _ path: String
    ) throws {
        if let resources = document["resources"], resources.count > 0 { fit.weights = weights(resources) }
        switch document.text("type") {
        case "LeastAllocated", nil: fit.strategy = .leastAllocated
        case "MostAllocated": fit.strategy = .mostAllocated
        case "RequestedToCapacityRatio":
            let shape = document.list("requestedToCapacityRatio", "shape").map {
                (used: $0.number("utilization") ?? 0, points: $0.number("score") ?? 0)
            }
            let isRising = zip(shape, shape.dropFirst()).allSatisfy { $0.used < $1.used }
            let isInRange = shape.allSatisfy { (0...100).contains($0.used) && (0...10).contains($0.points) }
            guard !shape.isEmpty, isRising, isInRange else {
                throw Problem(
                    "\(path).requestedToCapacityRatio.shape",
                    "needs points of rising utilization from 0 to 100 with scores from 0 to 10")
            }
            fit.strategy = .ratio(shape)
        default: throw Problem("\(path).type", "must be LeastAllocated, MostAllocated or RequestedToCapacityRatio")
        }
    }
}
