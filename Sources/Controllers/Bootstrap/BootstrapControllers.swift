import Basics
import Client
import Document
import Kinds
import Wire

/// The tokens with which machines join, as their Secrets tell them.
private struct JoinToken {
    static let type = "bootstrap.kubernetes.io/token"
    static let namespace = "kube-system"
    let id: String
    let secret: String
    let expiration: String
    let signs: Bool

    init?(_ object: Document) {
        func value(_ key: String) -> String {
            object.text("data", key).flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) } ?? ""
        }
        (id, secret) = (value("token-id"), value("token-secret"))
        (expiration, signs) = (value("expiration"), value("usage-bootstrap-signing") == "true")
        func isPlain(_ text: String) -> Bool {
            text.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) }
        }
        guard id.utf8.count == 6, secret.utf8.count == 16, isPlain(id), isPlain(secret),
            object.name == "bootstrap-token-\(id)"
        else { return nil }
    }
}

/// Signs the public description of the cluster with every join token, so that a machine that knows nothing but
/// its token can tell whether the description is this cluster's.
struct BootstrapSigner: Controller {
    let name = "bootstrap-signer-controller"
    let workers = 1
    let initialKeys = [key]
    private static let key = "cluster-info"
    private static let prefix = "jws-kubeconfig-"
    private let maps: Informer
    private let secrets: Informer

    init(_ informers: Informers) {
        maps = informers.selected(.configMaps, fieldSelector: "metadata.name=cluster-info")
        secrets = informers.selected(.secrets, fieldSelector: "type=\(JoinToken.type)")
    }

    var sources: [Source] { [Source(maps) { _ in [Self.key] }, Source(secrets) { _ in [Self.key] }] }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let map = maps.get(namespace: "kube-public", name: Self.key) else { return .nothing }
        return Self.plan(map, secrets: secrets.all, situation)
    }

    static func plan(_ map: Document, secrets: [Document], _ situation: Situation) -> Plan {
        var data = map.map("data")
        guard let description = data["kubeconfig"] else { return .nothing }
        data = data.filter { !$0.key.hasPrefix(prefix) }
        var plan = Plan()
        for object in secrets where object.namespace == JoinToken.namespace && !object.isTerminating {
            guard let token = JoinToken(object), token.signs else { continue }
            if !token.expiration.isEmpty {
                guard let end = Timestamp(rfc3339: token.expiration), end > situation.now else { continue }
                plan.lookAgain(after: end - situation.now)
            }
            data[prefix + token.id] = signature(of: description, token)
        }
        if data != map.map("data") {
            var signed = map
            signed["data"] = Document(sorted: data)
            plan.then(.update(.configMaps, signed))
        }
        return plan
    }

    /// A JSON web signature whose middle part, the content, is left out.
    private static func signature(of content: String, _ token: JoinToken) -> String {
        func encode(_ bytes: [UInt8]) -> String { Base64.encode(bytes, url: true) }
        let header = encode(Array("{\"alg\":\"HS256\",\"kid\":\"\(token.id)\"}".utf8))
        let signed = header + "." + encode(Array(content.utf8))
        return header + ".." + encode(Digest.hmacSHA256(Array(signed.utf8), key: Array(token.secret.utf8)))
    }
}

/// Removes join tokens when their time is over.
struct TokenCleaner: Controller {
    let name = "token-cleaner-controller"
    let workers = 1
    private let secrets: Informer

    init(_ informers: Informers) {
        secrets = informers.selected(.secrets, fieldSelector: "type=\(JoinToken.type)")
    }

    var sources: [Source] { [Source(secrets)] }

    func plan(_ key: String, _ situation: Situation) -> Plan {
        guard let object = secrets.get(key: key), object.namespace == JoinToken.namespace, !object.isTerminating,
            let text = object.text("data", "expiration"), let bytes = Base64.decode(text)
        else { return .nothing }
        let expiration = String(decoding: bytes, as: UTF8.self)
        if expiration.isEmpty { return .nothing }
        // What cannot be read is over: nobody can know when it should end.
        guard let end = Timestamp(rfc3339: expiration), end > situation.now else {
            return Plan(steps: [.inOrder([.delete(.secrets, object)])])
        }
        return Plan(lookAgain: end - situation.now)
    }
}
