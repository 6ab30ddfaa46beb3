import Basics
import Synchronization
import Wire

/// The users that client certificates name. Reading a certificate costs more than answering a GET, and a client sends
/// the same one with every request of its connections, so what was read is kept.
///
/// The transport has verified the certificates against the clients' authority when their connections began; their
/// names are read here, and whether they are still valid is asked each time.
final class CertificateUsers: Sendable {
    private struct Holder {
        var user: UserInfo
        var notBefore: Timestamp
        var notAfter: Timestamp
    }

    /// By certificate. When it is full it starts anew: the certificates in use come back at once.
    private let known = Mutex<[[UInt8]: Holder]>([:])
    private static let limit = 1_024

    /// Nil for a certificate that names nobody, or whose time is over.
    func user(_ certificate: [UInt8], now: Timestamp) -> UserInfo? {
        var holder = known.withLock { $0[certificate] }
        if holder == nil {
            guard let read = Self.read(certificate) else { return nil }
            holder = read
            known.withLock { known in
                if known.count >= Self.limit { known.removeAll() }
                known[certificate] = read
            }
        }
        guard let holder, holder.notBefore <= now, now <= holder.notAfter else { return nil }
        return holder.user
    }

    private static func read(_ certificate: [UInt8]) -> Holder? {
        guard let parsed = try? X509Certificate(der: certificate), let name = parsed.commonName,
            let notBefore = parsed.notBefore, let notAfter = parsed.notAfter
        else { return nil }
        let user = UserInfo(
            name: name, groups: parsed.organizations + ["system:authenticated"],
            extra: [
                "authentication.kubernetes.io/credential-id": [
                    "X509SHA256=" + Hex.encode(Digest.sha256(certificate))
                ]
            ])
        return Holder(user: user, notBefore: notBefore, notAfter: notAfter)
    }
}
