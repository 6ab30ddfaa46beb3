import Basics
import Document
import Schema

extension KindRules {
    static let persistentVolume: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { PersistentVolumeRules.complete(&$0) }
        rules.prepareForCreate = { volume, context in
            volume["status"] = [
                "phase": "Pending", "lastPhaseTransitionTime": Document(context.now.description),
            ]
        }
        rules.prepareForStatusUpdate = { PersistentVolumeRules.noteTransition(&$0, old: $1, now: $2.now) }
        rules.validateCreate = { PersistentVolumeRules.spec($0["spec"] ?? .emptyObject, "spec", isInline: false) }
        rules.validateUpdate = { PersistentVolumeRules.change($0, old: $1) }
        rules.warnings = { volume, _ in PersistentVolumeRules.warnings(volume) }
        rules.cells = { VolumeColumns.volume($0, now: $1) }
        return rules
    }()
}

enum PersistentVolumeRules {
    /// The kinds of sources, in the order in which a volume that has several is refused.
    private static let sources = [
        "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte",
        "cephfs", "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk",
        "portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi",
    ]
    private static let modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
    private static let inlineText = "may not be specified in the context of inline volumes"

    /// Volumes that are written into an attachment have none of these, so they are not the type's own defaults.
    static func complete(_ volume: inout Document) {
        guard volume["spec"]?.isObject == true else { return }
        if (volume.text("spec", "persistentVolumeReclaimPolicy") ?? "").isEmpty {
            volume.set("Retain", at: "spec", "persistentVolumeReclaimPolicy")
        }
        if volume.at("spec", "volumeMode") == nil { volume.set("Filesystem", at: "spec", "volumeMode") }
    }

    /// Notes when the phase changed, unless the writer says it.
    static func noteTransition(_ volume: inout Document, old: Document, now: Timestamp) {
        let field = "lastPhaseTransitionTime"
        let before = old.at("status", field)
        let given = volume.at("status", field)
        if volume.text("status", "phase") == old.text("status", "phase") {
            if given == nil { volume.set(before, at: "status", field) }
        } else if given == nil || given == before {
            volume.set(Document(now.description), at: "status", field)
        }
    }

    static func accessModes(_ list: [Document], _ path: String) -> [FieldError] {
        var errors: [FieldError] = list.filter { !modes.contains($0.string ?? "") }.map {
            .notSupported(path, $0, modes)
        }
        let others = list.contains { modes.contains($0.string ?? "") && $0 != "ReadWriteOncePod" }
        if list.contains("ReadWriteOncePod"), others {
            errors.append(.forbidden(path, "may not use ReadWriteOncePod with other access modes"))
        }
        return errors
    }

    /// What must hold for the spec of a volume, be it an object of its own or written into an attachment.
    static func spec(_ spec: Document, _ path: String, isInline: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        if isInline {
            if spec["claimRef"] != nil { errors.append(.forbidden(path + ".claimRef", inlineText)) }
            if spec["capacity"] != nil { errors.append(.forbidden(path + ".capacity", inlineText)) }
            if spec["csi"] == nil {
                errors.append(.required(path + ".csi", "has to be specified in the context of inline volumes"))
            }
        }
        let modes = spec.list("accessModes")
        if modes.isEmpty { errors.append(.required(path + ".accessModes")) }
        errors += accessModes(modes, path + ".accessModes")
        if !isInline { errors += capacity(spec["capacity"], path + ".capacity") }
        errors += policy(spec, path, isInline: isInline)
        if let affinity = spec["nodeAffinity"] {
            if isInline {
                errors.append(.forbidden(path + ".nodeAffinity", inlineText))
            } else {
                errors += self.affinity(affinity, path + ".nodeAffinity")
            }
        }
        return errors + source(spec, path) + classes(spec, path, isInline: isInline)
    }

    private static func capacity(_ capacity: Document?, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let members = capacity?.members ?? []
        if members.isEmpty { errors.append(.required(path)) }
        if capacity?["storage"] == nil || members.count > 1 {
            errors.append(.notSupported(path, capacity ?? .null, ["storage"]))
        }
        for member in members {
            if let amount = ResourceValidation.quantity(member.value), amount <= .zero {
                errors.append(.invalid("\(path)[\(member.key)]", member.value, "must be greater than zero"))
            }
        }
        return errors
    }

    private static func policy(_ spec: Document, _ path: String, isInline: Bool) -> [FieldError] {
        guard let value = spec["persistentVolumeReclaimPolicy"], let policy = value.string, !policy.isEmpty else {
            return []
        }
        let here = path + ".persistentVolumeReclaimPolicy"
        let known = ["Delete", "Recycle", "Retain"]
        if isInline {
            return policy == "Retain"
                ? [] : [.forbidden(here, "may only be Retain in the context of inline volumes")]
        }
        return known.contains(policy) ? [] : [.notSupported(here, value, known)]
    }

    private static func affinity(_ affinity: Document, _ path: String) -> [FieldError] {
        guard let required = affinity["required"] else {
            return [.required(path + ".required", "must specify required node constraints")]
        }
        let here = path + ".required.nodeSelectorTerms"
        let terms = required.list("nodeSelectorTerms")
        if terms.isEmpty { return [.required(here, "must have at least one node selector term")] }
        return terms.enumerated().flatMap { PodPlacement.nodeTerm($1, "\(here)[\($0)]") }
    }

    private static func source(_ spec: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let given = sources.filter { spec[$0] != nil }
        for (index, name) in given.enumerated() {
            let here = "\(path).\(name)"
            if index > 0 {
                errors.append(.forbidden(here, "may not specify more than 1 volume type"))
            } else {
                errors += details(spec[name] ?? .emptyObject, name, here)
            }
        }
        if given.isEmpty { errors.append(.required(path, "must specify a volume type")) }
        if given.first == "local", spec["nodeAffinity"] == nil {
            errors.append(.required(path + ".nodeAffinity", "Local volume requires node affinity"))
        }
        if let root = spec.text("hostPath", "path"), spec.text("persistentVolumeReclaimPolicy") == "Recycle",
            !root.isEmpty, root.split(separator: "/").allSatisfy({ $0 == "." })
        {
            let text = "may not be 'recycle' for a hostPath mount of '/'"
            errors.append(.forbidden(path + ".persistentVolumeReclaimPolicy", text))
        }
        return errors
    }

    /// What the types cannot say about single sources.
    private static func details(_ source: Document, _ kind: String, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        func noBackstep(_ field: String) {
            guard let text = source.text(field), text.split(separator: "/").contains("..") else { return }
            errors.append(.invalid("\(path).\(field)", Document(text), "must not contain '..'"))
        }
        switch kind {
        case "hostPath", "local": noBackstep("path")
        case "nfs":
            if let text = source.text("path"), !text.isEmpty, !text.hasPrefix("/") {
                errors.append(.invalid(path + ".path", Document(text), "must be an absolute path"))
            }
        case "csi":
            if let name = source.text("driver"), !name.isEmpty {
                errors += StorageDriverRules.name(name, path + ".driver")
            }
            for field in [
                "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef",
                "nodeExpandSecretRef",
            ] {
                guard let reference = source[field] else { continue }
                for part in ["name", "namespace"] {
                    let text = reference.text(part) ?? ""
                    let here = "\(path).\(field).\(part)"
                    if text.isEmpty {
                        errors.append(.required(here))
                    } else {
                        let wrong = part == "name" ? Formats.dnsSubdomain(text) : Formats.dnsLabel(text)
                        errors += wrong.map { .invalid(here, Document(text), $0) }
                    }
                }
            }
        default: break
        }
        return errors
    }

    private static func classes(_ spec: Document, _ path: String, isInline: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        if let name = spec.text("storageClassName"), !name.isEmpty {
            let here = path + ".storageClassName"
            errors +=
                isInline
                ? [.forbidden(here, inlineText)] : Formats.dnsSubdomain(name).map { .invalid(here, Document(name), $0) }
        }
        if let mode = spec.text("volumeMode") {
            let known = ["Block", "Filesystem"]
            if isInline, mode != "Filesystem" {
                let text = "may not specify volumeMode other than Filesystem in the context of inline volumes"
                errors.append(.forbidden(path + ".volumeMode", text))
            } else if !known.contains(mode) {
                errors.append(.notSupported(path + ".volumeMode", Document(mode), known))
            }
        }
        if let name = spec.text("volumeAttributesClassName"), !name.isEmpty {
            errors += Formats.dnsSubdomain(name).map {
                .invalid(path + ".volumeAttributesClassName", Document(name), $0)
            }
            if spec["csi"] == nil {
                errors.append(
                    .required(path + ".csi", "has to be specified when using volumeAttributesClassName"))
            }
        }
        return errors
    }

    // MARK: Changes

    static func change(_ new: Document, old: Document) -> [FieldError] {
        var (spec, before) = (new["spec"] ?? .emptyObject, old["spec"] ?? .emptyObject)
        var errors: [FieldError] = []
        // A secret for growing may be added later.
        if before["csi"] != nil, before.at("csi", "controllerExpandSecretRef") == nil, spec["csi"] != nil {
            spec.set(nil, at: "csi", "controllerExpandSecretRef")
        }
        let type = "PersistentVolumeSource"
        let isSame = sources.allSatisfy { Equality.semantic(spec[$0] ?? .null, before[$0] ?? .null) }
        if !isSame {
            errors.append(
                .forbidden(
                    "spec.persistentvolumesource",
                    "spec.persistentvolumesource is immutable after creation\n"
                        + InternalForm.difference(before, spec, as: type)))
        }
        if spec["volumeMode"] != before["volumeMode"] {
            errors.append(.invalid("volumeMode", spec["volumeMode"] ?? .null, "field is immutable"))
        }
        if let affinity = before["nodeAffinity"], !sameAffinity(spec["nodeAffinity"], affinity) {
            let shown = InternalForm.value(spec["nodeAffinity"], as: "VolumeNodeAffinity")
            let text = "field is immutable, except for updating from beta label to GA"
            errors.append(.invalid("nodeAffinity", shown, text))
        }
        if before["volumeAttributesClassName"] != nil, spec["volumeAttributesClassName"] == nil {
            errors.append(
                .forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))
        }
        return errors
    }

    /// Labels of nodes that were renamed when they became stable.
    private static let renamedLabels = [
        "beta.kubernetes.io/arch": "kubernetes.io/arch", "beta.kubernetes.io/os": "kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
        "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
    ]

    private static func sameAffinity(_ new: Document?, _ old: Document) -> Bool {
        guard let new else { return false }
        if Equality.semantic(new, old) { return true }
        return Equality.semantic(renamed(new), renamed(old)) && !Equality.semantic(old, renamed(old))
    }

    private static func renamed(_ value: Document) -> Document {
        if value.isArray { return Document(value.elements.map(renamed)) }
        guard value.isObject else { return value }
        return Document(
            members: value.members.map { member in
                guard member.key == "key", let label = member.value.string, let stable = renamedLabels[label] else {
                    return (member.key, renamed(member.value))
                }
                return (member.key, Document(stable))
            })
    }

    static func warnings(_ volume: Document) -> [String] {
        var warnings: [String] = []
        let note = "volume.beta.kubernetes.io/storage-class"
        if volume.at("metadata", "annotations", note) != nil {
            warnings.append(
                "metadata.annotations[\(note)]: deprecated since v1.8; use \"storageClassName\" attribute instead")
        }
        if volume.at("metadata", "annotations", "volume.beta.kubernetes.io/mount-options") != nil {
            warnings.append(
                "metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use \"mountOptions\" "
                    + "attribute instead")
        }
        if volume.text("spec", "persistentVolumeReclaimPolicy") == "Recycle" {
            warnings.append(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
                    + "approach is to use dynamic provisioning.")
        }
        return warnings
    }
}
