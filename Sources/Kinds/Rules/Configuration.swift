import Basics
import Document
import Schema

extension KindRules {
    static let configMap: KindRules = {
        var rules = KindRules()
        rules.validateCreate = { map in
            var errors: [FieldError] = []
            var size = 0
            for field in ["data", "binaryData"] {
                for member in map[field]?.members ?? [] {
                    let here = "\(field)[\(member.key)]"
                    errors += Formats.configKey(member.key).map { .invalid(here, Document(member.key), $0) }
                    if field == "data", map.at("binaryData", member.key) != nil {
                        errors.append(.invalid(here, Document(member.key), "duplicate of key present in binaryData"))
                    }
                    let length = member.value.string?.utf8.count ?? 0
                    size += field == "data" ? length : length / 4 * 3
                }
            }
            if size > Configuration.sizeLimit { errors.append(.tooLong("[]", limit: Configuration.sizeLimit)) }
            return errors
        }
        rules.validateUpdate = { Configuration.immutability($0, old: $1, fields: ["data", "binaryData"]) }
        rules.cells = { map, now in
            [Document((map["data"]?.count ?? 0) + (map["binaryData"]?.count ?? 0)), Cells.age(map, now: now)]
        }
        return rules
    }()

    static let secret: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { Configuration.mergeStringData(&$0) }
        rules.validateCreate = { Configuration.validateSecret($0) }
        rules.validateUpdate = { Configuration.immutability($0, old: $1, fields: ["data"]) }
        rules.selectableFields = { [("type", $0.text("type") ?? "")] }
        rules.cells = { secret, now in
            [
                secret["type"] ?? "", Document(secret["data"]?.count ?? 0), Cells.age(secret, now: now),
            ]
        }
        return rules
    }()

    static let serviceAccount: KindRules = {
        var rules = KindRules()
        rules.cells = { account, now in [Cells.age(account, now: now)] }
        rules.warnings = { account, old in
            let key = "kubernetes.io/enforce-mountable-secrets"
            let value = account.text("metadata", "annotations", key)
            guard let value, value != old?.text("metadata", "annotations", key) else { return [] }
            return [
                "metadata.annotations[\(key)]: deprecated in v1.32+; prefer separate namespaces to isolate access to "
                    + "mounted secrets"
            ]
        }
        return rules
    }()
}

enum Configuration {
    static let sizeLimit = 1024 * 1024

    /// Texts that a client wrote plainly become part of the data.
    static func mergeStringData(_ secret: inout Document) {
        guard let texts = secret["stringData"], texts.isObject else { return }
        var data = secret["data"] ?? .emptyObject
        for member in texts.members {
            data[member.key] = Document(Base64.encode(Array((member.value.string ?? "").utf8)))
        }
        secret["stringData"] = nil
        secret["data"] = data
    }

    static func immutability(_ new: Document, old: Document, fields: [String]) -> [FieldError] {
        guard old.flag("immutable") == true else { return [] }
        var errors: [FieldError] = []
        let text = "field is immutable when `immutable` is set"
        if new.flag("immutable") != true { errors.append(.forbidden("immutable", text)) }
        for field in fields where !Equality.semantic(new[field] ?? .null, old[field] ?? .null) {
            errors.append(.forbidden(field, text))
        }
        return errors
    }

    /// The members that a secret of a known type must have.
    private static let needed = [
        "kubernetes.io/dockercfg": [".dockercfg"], "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
        "kubernetes.io/ssh-auth": ["ssh-privatekey"], "kubernetes.io/tls": ["tls.crt", "tls.key"],
    ]

    static func validateSecret(_ secret: Document) -> [FieldError] {
        var errors: [FieldError] = []
        var size = 0
        for member in secret["data"]?.members ?? [] {
            errors += Formats.configKey(member.key).map { .invalid("data[\(member.key)]", Document(member.key), $0) }
            size += (member.value.string?.utf8.count ?? 0) / 4 * 3
        }
        if size > sizeLimit { errors.append(.tooLong("data", limit: sizeLimit)) }
        let type = secret.text("type") ?? ""
        for key in needed[type] ?? [] where secret.at("data", key) == nil {
            errors.append(.required("data[\(key)]"))
        }
        switch type {
        case "kubernetes.io/service-account-token":
            let name = "kubernetes.io/service-account.name"
            if (secret.at("metadata", "annotations", name)?.string ?? "").isEmpty {
                errors.append(.required("metadata.annotations[\(name)]"))
            }
        case "kubernetes.io/basic-auth":
            if secret.at("data", "username") == nil, secret.at("data", "password") == nil {
                errors += [.required("data[username]"), .required("data[password]")]
            }
        default: break
        }
        return errors
    }
}
