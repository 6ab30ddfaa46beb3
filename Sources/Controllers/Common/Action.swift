import Basics
import Client
import Document
import Kinds

/// One call to the API that a controller decided on.
public enum Action: Sendable, Equatable {
    /// `owner`, where given, gets the event about the creation.
    case create(ResourceType, Document, owner: Document? = nil)
    case update(ResourceType, Document, subresource: String? = nil)
    case patch(ResourceType, namespace: String?, name: String, Document, subresource: String? = nil)
    /// A patch that may add to lists and take from them without knowing the whole of them.
    case strategicPatch(ResourceType, namespace: String?, name: String, Document, subresource: String? = nil)
    /// Deletes exactly the object that was looked at: its uid is a precondition.
    case delete(ResourceType, Document, owner: Document? = nil, grace: Int? = nil, propagation: String? = nil)
    case event(Document, EventRecorder.EventType, reason: String, message: String)
    /// Fails while the server knows a pod that keeps this claim from going away.
    case checkUnused(Document)
    /// One after the other as a whole, of which the first failure is the end and `notice` tells the outcome.
    indirect case unit([Action], Notice? = nil)
}

/// What the owner of a thing is told about how its unit went.
public struct Notice: Sendable, Equatable {
    public var owner: Document
    /// The reasons are this word behind `Successful` and `Failed`.
    public var verb: String
    public var success: String
    /// The error's own text follows.
    public var failure: String

    public init(_ owner: Document, verb: String, success: String, failure: String) {
        self.owner = owner
        self.verb = verb
        self.success = success
        self.failure = failure
    }
}

/// Actions that belong together.
public enum Step: Sendable, Equatable {
    /// One after the other; the first failure ends the plan.
    case inOrder([Action])
    /// All at once; every one is tried.
    case together([Action])
    /// In batches of 1, 2, 4, … while they succeed, so that what fails for all fails for few.
    case slowStart([Action])

    public var actions: [Action] {
        switch self {
        case .inOrder(let actions), .together(let actions), .slowStart(let actions): actions
        }
    }
}

/// What a controller wants done for one key.
public struct Plan: Sendable, Equatable {
    public var steps: [Step] = []
    /// Look again after this time even if nothing changes.
    public var lookAgain: Duration?
    /// Left for after the steps even if one of them fails, such as a status that reports the failure.
    public var finally: [Action] = []

    public init(steps: [Step] = [], lookAgain: Duration? = nil) {
        self.steps = steps
        self.lookAgain = lookAgain
    }

    public static let nothing = Plan()

    public var actions: [Action] { steps.flatMap(\.actions) + finally }

    public mutating func then(_ actions: Action...) { if !actions.isEmpty { steps.append(.inOrder(actions)) } }
    public mutating func then(_ actions: [Action]) { if !actions.isEmpty { steps.append(.inOrder(actions)) } }

    /// Looks again at the earlier of the times asked for.
    public mutating func lookAgain(after delay: Duration) {
        lookAgain = min(lookAgain ?? delay, max(delay, .milliseconds(1)))
    }
}

/// What a decision may depend on besides the objects.
public struct Situation: Sendable {
    public var now: Timestamp
    /// Monotonic time, for spans that must not jump with the wall clock.
    public var uptime: Duration
    /// Why the last round for this key failed, where it did.
    public var lastFailure: String?
    /// What the controller's own inquiry brought.
    public var answer: Document?
    /// What the server said to the controller's questions.
    public var answers = Answers()

    public init(now: Timestamp, uptime: Duration = .zero, lastFailure: String? = nil) {
        self.now = now
        self.uptime = uptime
        self.lastFailure = lastFailure
    }
}

/// What the server answered to reads of paths, refusals included.
public struct Answers: Sendable {
    /// No more than so many questions for one decision.
    static let limit = 64
    private var results: [String: Result<Document, APIStatus>] = [:]

    public init(_ results: [String: Result<Document, APIStatus>] = [:]) { self.results = results }

    public subscript(path: String) -> Result<Document, APIStatus>? {
        get { results[path] }
        set { results[path] = newValue }
    }
}
