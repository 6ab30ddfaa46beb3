import Document
import Schema

extension KindRules {
    static let persistentVolume: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { volume, _ in volume["status"] = ["phase": "Pending"] }
        rules.prepareForUpdate = { volume, old, _ in volume["status"] = old["status"] }
        rules.validateCreate = { volume in
            var errors: [FieldError] = []
            if volume.at("spec", "capacity", "storage") == nil { errors.append(.required("spec.capacity")) }
            if volume.list("spec", "accessModes").isEmpty { errors.append(.required("spec.accessModes")) }
            errors += VolumeRules.accessModes(volume.list("spec", "accessModes"))
            errors += VolumeRules.sources(volume["spec"] ?? .emptyObject)
            return errors
        }
        rules.cells = { VolumeColumns.volume($0, now: $1) }
        return rules
    }()

    static let persistentVolumeClaim: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { claim, _ in claim["status"] = ["phase": "Pending"] }
        rules.prepareForUpdate = { claim, old, _ in claim["status"] = old["status"] }
        rules.validateCreate = { claim in
            var errors: [FieldError] = []
            if claim.list("spec", "accessModes").isEmpty {
                errors.append(.required("spec.accessModes", "at least 1 access mode is required"))
            }
            errors += VolumeRules.accessModes(claim.list("spec", "accessModes"))
            if let name = claim.text("spec", "storageClassName"), !name.isEmpty {
                errors += Formats.dnsSubdomain(name).map { .invalid("spec.storageClassName", Document(name), $0) }
            }
            if claim.at("spec", "resources", "requests", "storage") == nil {
                errors.append(.required("spec.resources[storage]"))
            }
            return errors
        }
        rules.cells = { VolumeColumns.claim($0, now: $1) }
        return rules
    }()
}

enum VolumeRules {
    private static let modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]

    static func accessModes(_ list: [Document]) -> [FieldError] {
        var errors: [FieldError] = list.filter { !modes.contains($0.string ?? "") }.map {
            .notSupported("spec.accessModes", $0, modes)
        }
        if list.count > 1, list.contains("ReadWriteOncePod") {
            errors.append(.forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes"))
        }
        return errors
    }

    /// Members of a volume's spec that are structures without being its source.
    private static let others: Set = ["capacity", "claimRef", "nodeAffinity"]

    static func sources(_ spec: Document) -> [FieldError] {
        let sources = spec.members.filter { $0.value.isObject && !others.contains($0.key) }
        guard let first = sources.first else { return [.required("spec", "must specify a volume type")] }
        var errors: [FieldError] = sources.dropFirst().map {
            .forbidden("spec." + $0.key, "may not specify more than 1 volume type")
        }
        if first.key == "hostPath", let path = first.value.text("path"), path.split(separator: "/").contains("..") {
            errors.append(.invalid("spec.hostPath.path", Document(path), "must not contain '..'"))
        }
        if first.key == "local", spec["nodeAffinity"] == nil {
            errors.append(.required("spec.nodeAffinity", "Local volume requires node affinity"))
        }
        return errors
    }
}
