import Basics

/// A profile's name in the rule set.
public struct ProfileID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var direction: PolicyDirection
    public var number: Int

    public static func < (a: ProfileID, b: ProfileID) -> Bool {
        (a.direction.rawValue, a.number) < (b.direction.rawValue, b.number)
    }

    public var description: String { "\(direction == .ingress ? "in" : "out")-\(number)" }
}

/// What a change of policies, pods or namespaces means for the rule set.
public struct PolicyChange: Sendable, Equatable {
    public struct Contents: Sendable, Equatable {
        public var old: PolicyContent
        public var new: PolicyContent
    }

    /// An isolated pod's address, and the profile that says what it may.
    public struct Direction: Sendable, Hashable, Comparable {
        public var direction: PolicyDirection
        public var address: IPAddress
        public var profile: Int

        public static func < (a: Direction, b: Direction) -> Bool {
            (a.direction.rawValue, a.address, a.profile) < (b.direction.rawValue, b.address, b.profile)
        }
    }

    public var added: [ProfileID: PolicyContent] = [:]
    public var changed: [ProfileID: Contents] = [:]
    public var removed: [ProfileID: PolicyContent] = [:]
    public var directed: [Direction] = []
    public var undirected: [Direction] = []

    public init() {}

    public var isEmpty: Bool { self == PolicyChange() }
}
