import Basics
import Document

/// A token with which a machine joins the cluster, `ID.SECRET`: it stands in a Secret of kube-system.
struct BootstrapToken: Sendable, Equatable {
    let id: String
    let secret: String

    /// Six and sixteen small letters or digits; nil for what is no such token.
    init?(_ token: String) {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        func isPlain(_ part: Substring) -> Bool {
            part.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) }
        }
        guard parts.count == 2, parts[0].utf8.count == 6, parts[1].utf8.count == 16, isPlain(parts[0]),
            isPlain(parts[1])
        else { return nil }
        id = String(parts[0])
        secret = String(parts[1])
    }

    var secretName: String { "bootstrap-token-\(id)" }

    /// Whom the Secret makes of its bearer; nil where it does not stand for this token, or not any more.
    func user(from object: Document, now: Timestamp) -> UserInfo? {
        func value(_ key: String) -> String {
            object.text("data", key).flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        guard object.text("metadata", "deletionTimestamp") == nil,
            object.text("type") == "bootstrap.kubernetes.io/token",
            Self.equal(value("token-secret"), secret), value("token-id") == id,
            value("usage-bootstrap-authentication") == "true"
        else { return nil }
        let expiration = value("expiration")
        if !expiration.isEmpty {
            guard let end = Timestamp(rfc3339: expiration), now < end else { return nil }
        }
        var groups: Set = ["system:bootstrappers"]
        for group in value("auth-extra-groups").split(separator: ",") {
            guard Self.isGroup(group) else { return nil }
            groups.insert(String(group))
        }
        return UserInfo(name: "system:bootstrap:\(id)", groups: groups.sorted())
    }

    /// Compares in a time that tells nothing about where two texts differ.
    private static func equal(_ a: String, _ b: String) -> Bool {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        return a.count == b.count && zip(a, b).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// `system:bootstrappers:` and a name of small letters, digits, `:` and `-` that does not end in the latter two.
    private static func isGroup(_ text: Substring) -> Bool {
        let prefix = "system:bootstrappers:"
        guard text.hasPrefix(prefix) else { return false }
        let name = Array(text.utf8.dropFirst(prefix.utf8.count))
        func isPlain(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }
        guard let last = name.last, isPlain(last), name.count <= 256 else { return false }
        return name.allSatisfy { isPlain($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "-") }
    }
}
