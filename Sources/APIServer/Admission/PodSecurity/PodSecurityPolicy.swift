import Document
import Kinds
import Schema

/// How much a namespace's pods may do.
public enum PodSecurityLevel: Int, Sendable, Comparable {
    case privileged, baseline, restricted

    var name: String {
        switch self {
        case .privileged: "privileged"
        case .baseline: "baseline"
        case .restricted: "restricted"
        }
    }

    init?(_ name: String) {
        switch name {
        case "privileged": self = .privileged
        case "baseline": self = .baseline
        case "restricted": self = .restricted
        default: return nil
        }
    }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A level, as a version of Kubernetes defined it; nil is the latest.
public struct PodSecurityStandard: Sendable, Hashable, CustomStringConvertible {
    public var level: PodSecurityLevel
    public var minor: Int?

    public init(_ level: PodSecurityLevel, minor: Int? = nil) {
        self.level = level
        self.minor = minor
    }

    public var description: String { "\(level.name):\(minor.map { "v1.\($0)" } ?? "latest")" }

    /// The minor version that `latest` or `v1.N` names.
    static func minor(_ text: String) -> Int?? {
        if text == "latest" { return .some(nil) }
        guard text.hasPrefix("v1.") else { return nil }
        let digits = text.dropFirst(3)
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), digits.count <= 9,
            digits == "0" || digits.first != "0", let number = Int(digits)
        else { return nil }
        return .some(number)
    }
}

/// What holds where labels say nothing, and who is exempt.
public struct PodSecurityConfiguration: Sendable {
    public var enforce = PodSecurityStandard(.privileged)
    public var audit = PodSecurityStandard(.privileged)
    public var warn = PodSecurityStandard(.privileged)
    public var exemptUsers: Set<String> = []
    public var exemptNamespaces: Set<String> = []
    public var exemptRuntimeClasses: Set<String> = []

    public init() {}
}

/// The standards of a namespace: what is refused, what is noted, what is warned of.
struct PodSecurityPolicy: Sendable {
    var enforce: PodSecurityStandard
    var audit: PodSecurityStandard
    var warn: PodSecurityStandard
    /// Labels that mean nothing.
    var errors: [FieldError] = []

    static let prefix = "pod-security.kubernetes.io/"

    init(_ labels: Document?, _ defaults: PodSecurityConfiguration) {
        (enforce, audit, warn) = (defaults.enforce, defaults.audit, defaults.warn)
        guard let labels, labels.count > 0 else { return }
        // A wrong level to enforce counts as the strictest one, those that only tell as the mildest.
        let enforces = Self.read("enforce", labels, into: &enforce, otherwise: .restricted, &errors)
        _ = Self.read("audit", labels, into: &audit, otherwise: .privileged, &errors)
        let warns = Self.read("warn", labels, into: &warn, otherwise: .privileged, &errors)
        // Who is refused pods wants to hear of it as soon as the workload is written.
        if enforces, !warns, enforce.level > warn.level { warn = enforce }
    }

    /// Reads a level and its version; whether there is a level.
    private static func read(
        _ mode: String, _ labels: Document, into standard: inout PodSecurityStandard, otherwise: PodSecurityLevel,
        _ errors: inout [FieldError]
    ) -> Bool {
        let (levelKey, versionKey) = (prefix + mode, prefix + mode + "-version")
        let level = labels[levelKey]?.string
        if let level {
            standard.level = PodSecurityLevel(level) ?? otherwise
            if PodSecurityLevel(level) == nil {
                errors.append(
                    .invalid(
                        "metadata.labels[\(levelKey)]", Document(level),
                        "must be one of privileged, baseline, restricted"))
            }
        }
        if let version = labels[versionKey]?.string {
            if let minor = PodSecurityStandard.minor(version) {
                standard.minor = minor
            } else {
                standard.minor = nil
                errors.append(
                    .invalid("metadata.labels[\(versionKey)]", Document(version), "must be \"latest\" or \"v1.x\""))
            }
        }
        return level != nil
    }

    var isPrivileged: Bool { max(enforce.level, audit.level, warn.level) == .privileged }
}
