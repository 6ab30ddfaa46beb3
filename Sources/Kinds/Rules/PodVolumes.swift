import Document
import Schema

/// What a pod's volumes must satisfy.
enum PodVolumes {
    /// - returns: the names of the volumes that can be mounted: those with which nothing is wrong.
    static func check(
        _ list: [Document], _ path: String, isTemplate: Bool, _ errors: inout [FieldError]
    ) -> Set<String> {
        var names: Set<String> = []
        for (index, volume) in list.enumerated() {
            let here = "\(path)[\(index)]"
            let name = volume.text("name") ?? ""
            let before = errors.count
            defer { if !name.isEmpty, errors.count == before { names.insert(name) } }
            if !name.isEmpty {
                errors += Formats.dnsLabel(name).map { .invalid(here + ".name", Document(name), $0) }
            }
            let sources = volume.members.filter { $0.key != "name" && $0.value.isObject }
            if let second = sources.dropFirst().first {
                errors.append(.forbidden("\(here).\(second.key)", "may not specify more than 1 volume type"))
            }
            for source in sources.prefix(1) {
                let place = "\(here).\(source.key)"
                errors += self.source(source.value, source.key, place, isTemplate: isTemplate)
                if source.key == "iscsi" { errors += StorageSources.initiator(source.value, volume: name, here) }
            }
        }
        return names
    }

    private static func source(
        _ source: Document, _ kind: String, _ path: String, isTemplate: Bool
    ) -> [FieldError] {
        switch kind {
        case "configMap", "secret": mode(source, "defaultMode", path) + items(source.list("items"), path)
        case "downwardAPI":
            mode(source, "defaultMode", path) + source.list("items").flatMap { facts($0, path) }
        case "projected": mode(source, "defaultMode", path) + projections(source.list("sources"), path)
        case "hostPath": host(source, path)
        case "gitRepo": relative(source["directory"], path + ".directory")
        case "csi": driver(source, path)
        case "ephemeral": claim(source["volumeClaimTemplate"], path + ".volumeClaimTemplate")
        case "image": image(source, path, isTemplate: isTemplate)
        case "emptyDir":
            if let limit = source.text("sizeLimit").flatMap({ Quantity($0) }), limit < .zero {
                [.forbidden(path + ".sizeLimit", "SizeLimit field must be a valid resource quantity")]
            } else {
                []
            }
        default: StorageSources.check(source, kind, path)
        }
    }

    // MARK: Files

    private static func mode(_ source: Document, _ field: String, _ path: String) -> [FieldError] {
        guard let mode = source.number(field), !(0...0o777).contains(mode) else { return [] }
        let text = "must be a number between 0 and 0777 (octal), both inclusive"
        return [.invalid("\(path).\(field)", Document(mode), text)]
    }

    private static func items(_ items: [Document], _ path: String) -> [FieldError] {
        items.enumerated().flatMap { index, item in
            let here = "\(path).items[\(index)]"
            return file(item["path"], here + ".path") + mode(item, "mode", here)
        }
    }

    private static let fieldPaths = [
        "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
    ]

    /// A file with facts about the pod. Which of the files is wrong is not told.
    private static func facts(_ item: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if (item.text("path") ?? "").isEmpty { errors.append(.required(path + ".path")) }
        errors += file(item["path"], path + ".path")
        if let field = item["fieldRef"], field.isObject {
            errors += ContainerValidation.fieldReference(field, path + ".fieldRef", supported: fieldPaths)
            if item["resourceFieldRef"] != nil {
                let text = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.append(.invalid(path, "resource", text))
            }
        } else if let resource = item["resourceFieldRef"], resource.isObject {
            errors += ResourceReference.check(resource, path + ".resourceFieldRef", inVolume: true)
        } else {
            errors.append(.required(path, "one of fieldRef and resourceFieldRef is required"))
        }
        return errors + mode(item, "mode", path)
    }

    private static func projections(_ sources: [Document], _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var files: Set<String> = []
        /// What is wrong where a file has been there already; `shown` stands for who wants it again.
        func taken(_ item: Document, _ shown: Document) -> [FieldError] {
            guard let file = item.text("path"), !file.isEmpty, !files.insert(file).inserted else { return [] }
            return [.invalid(path, shown, "conflicting duplicate paths")]
        }
        for (index, source) in sources.enumerated() {
            let here = "\(path).sources[\(index)]"
            let given = source.members.filter { $0.value.isObject }
            for member in given {
                let place = "\(here).\(member.key)"
                let list = member.value.list("items")
                switch member.key {
                case "secret", "configMap":
                    errors += items(list, place)
                    for item in list { errors += taken(item, member.value["name"] ?? "") }
                case "downwardAPI":
                    for item in list { errors += facts(item, place) + taken(item, item["path"] ?? "") }
                case "serviceAccountToken": errors += token(member.value, place, volume: path)
                default: break
                }
            }
            if given.count > 1 {
                errors.append(.forbidden(here, "may not specify more than 1 volume type per source"))
            }
        }
        return errors
    }

    private static func token(_ token: Document, _ path: String, volume: String) -> [FieldError] {
        var errors: [FieldError] = []
        let seconds = token.number("expirationSeconds") ?? 3_600
        if seconds < 600 {
            let text = "may not specify a duration less than 10 minutes"
            errors.append(.invalid(path + ".expirationSeconds", Document(seconds), text))
        } else if seconds > 1 << 32 {
            let text = "may not specify a duration larger than 2^32 seconds"
            errors.append(.invalid(path + ".expirationSeconds", Document(seconds), text))
        }
        // The path is told as if it were the volume's own.
        if (token.text("path") ?? "").isEmpty { return errors + [.required(volume + ".path")] }
        return errors + file(token["path"], volume + ".path")
    }

    /// A path inside a volume.
    static func relative(_ value: Document?, _ path: String) -> [FieldError] {
        guard let text = value?.string else { return [] }
        var errors: [FieldError] = []
        if text.hasPrefix("/") { errors.append(.invalid(path, value, "must be a relative path")) }
        if hasBackstep(text) { errors.append(.invalid(path, value, "must not contain '..'")) }
        return errors
    }

    /// A path of a file that is written beside those by which the kubelet exchanges all files at once.
    private static func file(_ value: Document?, _ path: String) -> [FieldError] {
        guard let text = value?.string else { return [] }
        var errors = relative(value, path)
        if text.hasPrefix(".."), !text.hasPrefix("../") {
            errors.append(.invalid(path, value, "must not start with '..'"))
        }
        return errors
    }

    private static func hasBackstep(_ path: String) -> Bool { path.split(separator: "/").contains("..") }

    // MARK: Others

    private static let hostTypes = [
        "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
    ]

    private static func host(_ source: Document, _ path: String) -> [FieldError] {
        guard let place = source.text("path"), !place.isEmpty else { return [] }
        var errors: [FieldError] = []
        if hasBackstep(place) { errors.append(.invalid(path + ".path", Document(place), "must not contain '..'")) }
        if let type = source.text("type"), !hostTypes.contains(type) {
            errors.append(.notSupported(path + ".type", Document(type), hostTypes))
        }
        return errors
    }

    private static func driver(_ source: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        if let name = source.text("driver"), !name.isEmpty {
            errors += StorageDriverRules.name(name, path + ".driver")
        }
        if let secret = source["nodePublishSecretRef"], secret.isObject {
            let name = secret.text("name") ?? ""
            errors +=
                name.isEmpty
                ? [.required(path + ".nodePublishSecretRef.name")]
                : Formats.dnsSubdomain(name).map { .invalid(path + ".name", Document(name), $0) }
        }
        return errors
    }

    private static let serverFields = [
        "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
        "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers", "managedFields",
    ]

    /// The claim that is made for a pod is named and kept by the server.
    private static func claim(_ template: Document?, _ path: String) -> [FieldError] {
        guard let template, template.isObject else { return [.required(path)] }
        let metadata = template["metadata"] ?? .emptyObject
        var errors = MetadataRules.annotations(metadata["annotations"], path + ".metadata.annotations")
        errors += MetadataRules.labels(metadata["labels"], path + ".metadata.labels")
        for field in serverFields {
            guard let value = metadata[field], !value.isNull, value.string != "", value.int != 0,
                value.isObject || value.isArray ? value.count > 0 : true
            else { continue }
            errors.append(.forbidden("\(path).metadata.\(field == "uid" ? "uID" : field)", "cannot be set"))
        }
        return errors + PersistentVolumeClaimRules.spec(template["spec"] ?? .emptyObject, path + ".spec")
    }

    /// Templates may leave the image to those who complete them.
    private static func image(_ source: Document, _ path: String, isTemplate: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        if !isTemplate, (source.text("reference") ?? "").isEmpty { errors.append(.required(path + ".reference")) }
        let policies = ["Always", "IfNotPresent", "Never"]
        let policy = source.text("pullPolicy") ?? ""
        if policy.isEmpty {
            errors.append(.required(path + ".pullPolicy"))
        } else if !policies.contains(policy) {
            errors.append(.notSupported(path + ".pullPolicy", Document(policy), policies))
        }
        return errors
    }
}
