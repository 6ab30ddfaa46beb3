import Document

/// A scenario: steps against a cluster, and expectations about what becomes of them.
public struct Scenario: Sendable {
    /// The file's name without its ending, such as `01-pod`: what `--focus` and reports call it.
    public var id: String
    public var name: String
    public var description: String
    public var tags: [String]
    /// The behaviours of Kubernetes' conformance programme that it holds, by their names in `Conformance/behaviours.txt`.
    public var behaviours: [String]
    /// For everything but the clean-up.
    public var timeout: Duration
    public var steps: [Step]

    public static let longestTimeout: Duration = .seconds(3_600)
    static let defaultTimeout: Duration = .seconds(120)
    static let mostSteps = 500
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
