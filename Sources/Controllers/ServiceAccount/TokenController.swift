import Basics
import Client
import Document

/// Makes the token of a service account: for the account with this namespace, name and uid, to live in this Secret.
public typealias TokenMaker =
    @Sendable (_ namespace: String, _ account: String, _ uid: String, _ secret: String) throws -> String

/// Fills the Secrets that ask for a token without an end, and removes them with their accounts.
struct TokenController: Controller {
    let name = "serviceaccount-token-controller"
    static let secretType = "kubernetes.io/service-account-token"
    private static let nameMark = "kubernetes.io/service-account.name"
    private static let uidMark = "kubernetes.io/service-account.uid"

    private let secrets: Informer
    private let accounts: Informer
    private let certificate: String?
    private let make: TokenMaker

    init(_ informers: Informers, certificate: String?, make: @escaping TokenMaker) {
        secrets = informers.selected(.secrets, fieldSelector: "type=\(Self.secretType)")
        accounts = informers(.serviceAccounts)
        self.certificate = certificate
        self.make = make
    }

    var sources: [Source] {
        [
            Source(secrets),
            Source(accounts) { [secrets] change in
                let (namespace, name) = ObjectKey.split(change.key)
                return secrets.all.filter {
                    $0.text("metadata", "namespace") == namespace
                        && $0.text("metadata", "annotations", Self.nameMark) == name
                }.map { "\(namespace ?? "")/\($0.text("metadata", "name") ?? "")" }
            },
        ]
    }

    func plan(_ key: String, _ situation: Situation) throws -> Plan {
        guard var secret = secrets.get(key: key), secret.text("metadata", "deletionTimestamp") == nil,
            secret.text("type") == Self.secretType,
            let namespace = secret.text("metadata", "namespace"), let name = secret.text("metadata", "name"),
            let accountName = secret.text("metadata", "annotations", Self.nameMark)
        else { return .nothing }
        let asked = secret.text("metadata", "annotations", Self.uidMark)
        guard let account = accounts.get(namespace: namespace, name: accountName),
            let uid = account.text("metadata", "uid"), asked == nil || asked == "" || asked == uid
        else { return Plan(steps: [.inOrder([.delete(.secrets, secret)])]) }
        var isChanged = false
        func fill(_ field: String, _ value: @autoclosure () throws -> String) rethrows {
            guard (secret.text("data", field) ?? "").isEmpty else { return }
            secret.set(Document(Base64.encode(Array(try value().utf8))), at: "data", field)
            isChanged = true
        }
        if let certificate {
            let wanted = Base64.encode(Array(certificate.utf8))
            if secret.text("data", "ca.crt") != wanted {
                secret.set(Document(wanted), at: "data", "ca.crt")
                isChanged = true
            }
        }
        fill("namespace", namespace)
        try fill("token", try make(namespace, accountName, uid, name))
        if asked != uid {
            secret.set(Document(uid), at: "metadata", "annotations", Self.uidMark)
            isChanged = true
        }
        return isChanged ? Plan(steps: [.inOrder([.update(.secrets, secret)])]) : .nothing
    }
}
