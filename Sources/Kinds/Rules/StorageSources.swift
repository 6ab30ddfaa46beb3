import Document
import Schema

/// Volumes of storage systems that pods name themselves.
enum StorageSources {
    static func check(_ source: Document, _ kind: String, _ path: String) -> [FieldError] {
        switch kind {
        case "rbd":
            (source.list("monitors").isEmpty ? [.required(path + ".monitors")] : [])
                + needed(["image"], source, path)
        case "scaleIO": needed(["gateway", "system", "volumeName"], source, path)
        case "cinder": secret(source, path)
        case "storageos": storageOS(source, path)
        case "iscsi": iscsi(source, path)
        case "fc": fibreChannel(source, path)
        case "nfs": share(source, path)
        case "flocker": flocker(source, path)
        case "flexVolume": options(source, path)
        case "gcePersistentDisk", "awsElasticBlockStore": partition(source, path)
        default: []
        }
    }

    private static func needed(_ fields: [String], _ source: Document, _ path: String) -> [FieldError] {
        fields.filter { (source.text($0) ?? "").isEmpty }.map { .required("\(path).\($0)") }
    }

    private static func secret(_ source: Document, _ path: String) -> [FieldError] {
        guard let secret = source["secretRef"], secret.isObject, (secret.text("name") ?? "").isEmpty else { return [] }
        return [.required(path + ".secretRef.name")]
    }

    private static func storageOS(_ source: Document, _ path: String) -> [FieldError] {
        var errors = needed(["volumeName"], source, path)
        for field in ["volumeName", "volumeNamespace"] {
            guard let name = source.text(field), !name.isEmpty else { continue }
            errors += Formats.dnsLabel(name).map { .invalid("\(path).\(field)", Document(name), $0) }
        }
        return errors + secret(source, path)
    }

    private static func share(_ source: Document, _ path: String) -> [FieldError] {
        let place = source.text("path") ?? ""
        if place.hasPrefix("/") { return [] }
        return [.invalid(path + ".path", Document(place), "must be an absolute path")]
    }

    private static func flocker(_ source: Document, _ path: String) -> [FieldError] {
        let (name, id) = (source.text("datasetName") ?? "", source.text("datasetUUID") ?? "")
        var errors: [FieldError] = []
        if name.isEmpty, id.isEmpty { errors.append(.required(path, "one of datasetName and datasetUUID is required")) }
        if !name.isEmpty, !id.isEmpty {
            let text = "datasetName and datasetUUID can not be specified simultaneously"
            errors.append(.invalid(path, "resource", text))
        }
        if name.contains("/") {
            errors.append(.invalid(path + ".datasetName", Document(name), "must not contain '/'"))
        }
        return errors
    }

    /// Names of Kubernetes' own domains are not for users' options.
    private static func options(_ source: Document, _ path: String) -> [FieldError] {
        (source["options"]?.members ?? []).sorted { $0.key < $1.key }.compactMap { option in
            let domain = "." + (option.key.split(separator: "/", maxSplits: 1).first ?? "").lowercased()
            guard domain.hasSuffix(".kubernetes.io") || domain.hasSuffix(".k8s.io") else { return nil }
            return .invalid(
                "\(path).options[\(option.key)]", Document(option.key),
                "kubernetes.io and k8s.io namespaces are reserved")
        }
    }

    private static func partition(_ source: Document, _ path: String) -> [FieldError] {
        guard let partition = source.number("partition"), !(0...255).contains(partition) else { return [] }
        // The disk has another name here than in the object.
        let disk = path.hasSuffix(".gcePersistentDisk") ? path.dropLast(17) + "persistentDisk" : path
        return [.invalid(disk + ".partition", Document(partition), "must be between 1 and 255, inclusive")]
    }

    private static func fibreChannel(_ source: Document, _ path: String) -> [FieldError] {
        let (targets, names) = (source.list("targetWWNs"), source.list("wwids"))
        var errors: [FieldError] = []
        if targets.isEmpty, names.isEmpty {
            let text = "must specify either targetWWNs or wwids, but not both"
            errors.append(.required(path + ".targetWWNs", text))
        } else if !targets.isEmpty, !names.isEmpty {
            let text = "targetWWNs and wwids can not be specified simultaneously"
            errors.append(.invalid(path + ".targetWWNs", source["targetWWNs"], text))
        }
        if targets.isEmpty { return errors }
        guard let unit = source.number("lun") else {
            return errors + [.required(path + ".lun", "lun is required if targetWWNs is specified")]
        }
        if !(0...255).contains(unit) {
            errors.append(.invalid(path + ".lun", Document(unit), "must be between 0 and 255, inclusive"))
        }
        return errors
    }

    // MARK: iSCSI

    private static func iscsi(_ source: Document, _ path: String) -> [FieldError] {
        var errors = needed(["targetPortal", "iqn"], source, path)
        let name = source.text("iqn") ?? ""
        if !name.isEmpty { errors += qualified(name, path + ".iqn") }
        let unit = source.number("lun") ?? 0
        if !(0...255).contains(unit) {
            errors.append(.invalid(path + ".lun", Document(unit), "must be between 0 and 255, inclusive"))
        }
        if source.flag("chapAuthDiscovery") == true || source.flag("chapAuthSession") == true,
            source["secretRef"] == nil
        {
            errors.append(.required(path + ".secretRef"))
        }
        if let own = source.text("initiatorName") { errors += qualified(own, path + ".initiatorname") }
        return errors
    }

    private static let forms: [(prefix: String, pattern: CEL.Regex?)] = [
        ("iqn", try? CEL.Regex(#"iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$"#)),
        ("eui", try? CEL.Regex("^eui.[[:alnum:]]{16}$")), ("naa", try? CEL.Regex("^naa.[[:alnum:]]{32}$")),
    ]

    private static func qualified(_ name: String, _ path: String) -> [FieldError] {
        guard let form = forms.first(where: { name.hasPrefix($0.prefix) }) else {
            return [.invalid(path, Document(name), "must be valid format starting with iqn, eui, or naa")]
        }
        if form.pattern?.matches(name) != false { return [] }
        return [.invalid(path, Document(name), "must be valid format")]
    }

    /// With an initiator of its own the node makes an interface that is named after volume and portal.
    static func initiator(_ source: Document, volume: String, _ path: String) -> [FieldError] {
        guard source["initiatorName"] != nil,
            volume.utf8.count + 1 + (source.text("targetPortal") ?? "").utf8.count > 64
        else { return [] }
        let text =
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is "
            + "specified."
        return [.invalid(path + ".name", Document(volume), text)]
    }
}
