import Document

/// A scenario: steps against a cluster, and expectations about what becomes of them.
public struct Scenario: Sendable {
    /// The file's name without its ending, such as `01-pod`: what `--focus` and reports call it. A case of it has its
    /// own name behind it: `01-pod[small]`.
    public var id: String
    /// The same without the case.
    public internal(set) var file: String
    public var name: String
    public var description: String
    public var tags: [String]
    /// The behaviours of Kubernetes' conformance programme that it holds, by their names in `Conformance/behaviours.txt`.
    public var behaviours: [String]
    /// What must be there, or else the scenario is skipped.
    public internal(set) var requires: [Requirement] = []
    /// In the order of the file: each may use those above it.
    var variables: [(name: String, value: String)] = []
    var cases: [Row] = []
    /// For everything but the clean-up.
    public var timeout: Duration
    public var steps: [Step]
    /// Done after the steps, whatever became of them.
    public internal(set) var cleanup: [Step] = []

    /// Stands no other scenario beside it.
    public var isSerial: Bool { tags.contains("serial") }

    public static let longestTimeout: Duration = .seconds(3_600)
    static let defaultTimeout: Duration = .seconds(120)
    static let mostSteps = 500
    static let mostCases = 200

    /// A case's name and its variables.
    struct Row: Sendable {
        var name: String
        var values: [(name: String, value: String)]
    }

    /// What is run: the scenario itself, or each of its cases.
    public var instances: [Scenario] {
        guard !cases.isEmpty else { return [self] }
        return cases.map { row in
            var instance = self
            instance.cases = []
            instance.id = "\(file)[\(row.name)]"
            instance.name = "\(name): \(row.name)"
            // In front of the scenario's own, which may use them, and in place of those with the same name.
            let names = row.values.map(\.name)
            instance.variables = row.values + variables.filter { !names.contains($0.name) }
            return instance
        }
    }
}

/// Something that a scenario needs of the cluster or of this machine.
public enum Requirement: Sendable, Equatable {
    case nodes(atLeast: Int)
    /// A cluster that lab made on this machine: faults, snapshots and nodes are at hand.
    case clusterOfLab
    case root
    case scripts
    /// A program in the path of scripts.
    case program(String)
    /// A kind that the server knows, such as `monitoring.coreos.com/v1/ServiceMonitor`.
    case kind(String)

    init?(_ text: String) {
        func argument(_ prefix: String) -> String? {
            text.hasPrefix(prefix) && text.count > prefix.count ? String(text.dropFirst(prefix.count)) : nil
        }
        switch text {
        case "cluster-of-lab": self = .clusterOfLab
        case "root": self = .root
        case "scripts": self = .scripts
        case "kubectl": self = .program("kubectl")
        default:
            if let count = argument("nodes>=").flatMap({ Int($0) }), count >= 0 {
                self = .nodes(atLeast: count)
            } else if let name = argument("program:"), name.utf8.allSatisfy({ $0 > 32 && $0 != 39 }) {
                self = .program(name)
            } else if let name = argument("kind:") {
                self = .kind(name)
            } else {
                return nil
            }
        }
    }

    static let known = "nodes>=N, cluster-of-lab, root, scripts, kubectl, program:NAME, kind:GROUP/VERSION/KIND"
}

public struct Step: Sendable {
    public var action: Action
    /// On whose behalf; nil is the kubeconfig's own user.
    var actor: Actor?
    /// The failure that the action must meet.
    var failure: Failure?
    /// Variables that take their values from the step's result, by JSONPath.
    var saves: [(name: String, path: JSONPath)]
    /// What stands in reports: `step 3 (line 20): delete`.
    public var label: String
    /// For this step with all its rounds.
    var timeout: Duration?
    /// The rounds; nil is a single one.
    var rounds: [[(name: String, value: String)]]?

    /// The API's refusal, as far as the scenario cares.
    struct Failure: Sendable {
        var code: Int?
        var reason: String?
        var message: TextPattern?
    }
}

enum Actor: Sendable {
    /// Impersonated.
    case user(String, groups: [String])
    /// With a token of its own.
    case serviceAccount(String)
}

public enum Action: Sendable {
    /// Creates the objects, or merges them into those that are there.
    case apply([Document])
    case create([Document])
    case patch(Target, Document, type: String, subresource: String?)
    case delete(Target)
    case request(RawRequest)
    case exec(ExecCall)
    case script(String)
    case wait(Duration)
    case expect(Expectation)
    case steps([Step])
    case fault(FaultDeed)
    case snapshot(String)
    case restore(String)
    case node(NodeDeed)

    /// Only the machine that the cluster runs on can do it.
    var needsMachinery: Bool {
        switch self {
        case .fault, .snapshot, .restore, .node: true
        case .steps(let steps): steps.contains { $0.action.needsMachinery }
        default: false
        }
    }
}

/// A fault that begins or ends.
public struct FaultDeed: Sendable, Equatable {
    public enum Verb: String, Sendable { case add, remove }

    /// What a cluster can suffer; `lab fault add` has the same.
    public static let kinds = [
        "partition", "loss", "rate", "reset", "dns", "kill", "stop", "freeze", "disk-full", "api-slow", "api-error",
        "watch-drop", "watch-lag", "watch-stale",
    ]

    public var verb: Verb
    /// The kind of what begins, the name of what ends.
    public var what: String
    public var at: String?
    public var to: String?
    public var name: String?
    public var lasts: Duration?
    public var percent: Int?
    /// As `lab fault add rate` takes it, such as `1mbit`.
    public var rate: String?
    public var delay: Duration?
    public var isOneWay = false
}

public struct NodeDeed: Sendable, Equatable {
    public enum Verb: String, Sendable, CaseIterable { case stop, start, remove, add }

    public var verb: Verb
    /// The node, or how many.
    public var what: String
}

/// Objects that a step or an expectation is about: one by name, or all that a selector matches.
public struct Target: Sendable {
    var apiVersion: String?
    var kind: String
    var name: String?
    /// The scenario's own where not given.
    var namespace: String?
    var labelSelector: String?
    var fieldSelector: String?
}

public struct RawRequest: Sendable {
    var method: String
    var path: String
    var body: Document?
    var contentType: String
    var accept: String?
    var status: Bound
    var matches: Document?
    var text: TextClaim?
    var expressions: [Expression] = []
}

/// A program that is run in a container, and what must come of it.
public struct ExecCall: Sendable {
    var pod: String
    var namespace: String?
    var container: String?
    var command: [String]
    var input: String?
    var exit: Bound
    var output: TextClaim?
    var errors: TextClaim?
}

public struct Expectation: Sendable {
    enum Mode: String, Sendable {
        /// Must come true within the time.
        case eventually
        /// Must be true all the time.
        case always
        /// Must not be true at any time.
        case never
    }

    var mode: Mode
    var duration: Duration
    var claim: Claim
}

/// Something that is true or not about what can be observed.
struct Claim: Sendable {
    enum Subject: Sendable {
        case object(Target)
        case objects(Target)
        case log(pod: String, container: String?, previous: Bool)
        /// An HTTP answer, fetched through the API server's proxy.
        case answer(service: String, port: String, path: String)
        case events(EventsSubject)
        case metrics(MetricsSubject)
    }

    var subject: Subject
    /// The object is not there.
    var isAbsent = false
    /// What the object must have, or which of several objects count.
    var matches: Document?
    /// What every one of several objects must have.
    var each: Document?
    var count: Bound?
    /// How many different values a path has among the objects that count.
    var distinct: [(path: String, values: JSONPath, bound: Bound)] = []
    var text: TextClaim?
    var status: Bound?
    var expressions: [Expression] = []
    /// What the sum of samples must be.
    var value: Measure?
}

/// Events, by patterns for what they say.
struct EventsSubject: Sendable {
    var namespace: String?
    /// By the names of the language: `reason`, `type`, `kind`, `name`, `from`, `message`.
    var patterns: [(field: String, pattern: TextPattern)]
}

/// Samples of one metric.
struct MetricsSubject: Sendable {
    var path: String
    var name: String
    var labels: [(name: String, pattern: TextPattern)]
}

/// Between two numbers.
struct Measure: Sendable, Equatable {
    var least = -Double.infinity
    var most = Double.infinity

    func allows(_ value: Double) -> Bool { value >= least && value <= most }

    var text: String {
        if least == most { return "\(least)" }
        if most == .infinity { return "at least \(least)" }
        return least == -.infinity ? "at most \(most)" : "\(least) to \(most)"
    }
}

/// How many: exactly, or between two numbers.
struct Bound: Sendable, Equatable {
    var least = 0
    var most = Int.max

    static func exactly(_ count: Int) -> Bound { Bound(least: count, most: count) }

    func allows(_ count: Int) -> Bool { (least...max(least, most)).contains(count) && count <= most }

    var text: String {
        if least == most { return "\(least)" }
        if most == Int.max { return "at least \(least)" }
        return least == 0 ? "at most \(most)" : "\(least) to \(most)"
    }
}

/// What a text must be like.
struct TextClaim: Sendable {
    var equals: String?
    var contains: [String] = []
    /// Lines that match: how many, and how many different values each `{name}` of the pattern has among them.
    var pattern: TextPattern?
    var lines: Bound?
    var distinct: [(name: String, bound: Bound)] = []
}
