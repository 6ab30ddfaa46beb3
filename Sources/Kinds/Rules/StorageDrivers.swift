import Basics
import Document
import Schema

extension KindRules {
    static let csiDriver: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { driver in
            guard driver["spec"]?.isObject == true, driver.list("spec", "volumeLifecycleModes").isEmpty else { return }
            driver.set(["Persistent"], at: "spec", "volumeLifecycleModes")
        }
        rules.prepareForUpdate = { driver, old, _ in StorageDriverRules.countGeneration(&driver, old: old) }
        rules.validateCreate = { StorageDriverRules.validate($0) }
        rules.validateUpdate = { new, old in
            [("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")].compactMap {
                member, shown in
                let (value, before) = (new.at("spec", member), old.at("spec", member))
                guard !Equality.semantic(value ?? .null, before ?? .null) else { return nil }
                return .invalid("spec." + shown, value, "field is immutable")
            }
        }
        rules.warnings = { StorageDriverRules.warnings($0, old: $1) }
        rules.cells = { StorageColumns.driver($0, now: $1) }
        return rules
    }()

    static let csiNode: KindRules = {
        var rules = KindRules()
        rules.validateCreate = { StorageDriverRules.validateNode($0) }
        rules.validateUpdate = { StorageDriverRules.validateNodeUpdate($0, old: $1) }
        rules.cells = { [Document($0.list("spec", "drivers").count), Cells.age($0, now: $1)] }
        return rules
    }()

    static let volumeAttachment: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { attachment, _ in attachment["status"] = ["attached": false] }
        rules.prepareForStatusUpdate = { new, old, _ in MetadataRules.keepForStatus(&new, old: old) }
        rules.validateCreate = { AttachmentRules.validate($0) }
        rules.validateNew = { AttachmentRules.validateNew($0) }
        rules.validateUpdate = { AttachmentRules.change($0, old: $1) }
        rules.validateStatusUpdate = { AttachmentRules.validate($0) + AttachmentRules.change($0, old: $1) }
        rules.cells = { StorageColumns.attachment($0, now: $1) }
        return rules
    }()
}

enum StorageDriverRules {
    /// A driver's name as other objects give it: letters of either case.
    static func name(_ name: String, _ path: String) -> [FieldError] {
        if name.isEmpty { return [.required(path)] }
        let long: [FieldError] = name.utf8.count > 63 ? [.tooLong(path, limit: 63)] : []
        return long + Formats.dnsSubdomain(name.lowercased()).map { .invalid(path, Document(name), $0) }
    }

    static func validate(_ driver: Document) -> [FieldError] {
        let spec = driver["spec"] ?? .emptyObject
        var errors: [FieldError] = []
        let policies = ["File", "None", "ReadWriteOnceWithFSType"]
        if let policy = spec["fsGroupPolicy"], !policies.contains(policy.string ?? "") {
            errors.append(.notSupported("spec.fsGroupPolicy", policy, policies))
        }
        errors += tokens(spec.list("tokenRequests"))
        let modes = ["Persistent", "Ephemeral"]
        for mode in spec.list("volumeLifecycleModes") where !modes.contains(mode.string ?? "") {
            errors.append(.notSupported("spec.volumeLifecycleModes", mode, modes))
        }
        if let period = spec.number("nodeAllocatableUpdatePeriodSeconds"), period < 10 {
            let text = "must be greater than or equal to 10 seconds"
            errors.append(.invalid("spec.nodeAllocatableUpdatePeriodSeconds", Document(period), text))
        }
        return errors
    }

    private static func tokens(_ requests: [Document]) -> [FieldError] {
        var errors: [FieldError] = []
        var audiences: Set<String> = []
        for (index, request) in requests.enumerated() {
            let here = "spec.tokenRequests[\(index)]"
            let audience = request.text("audience") ?? ""
            guard audiences.insert(audience).inserted else {
                errors.append(.duplicate(here + ".audience", Document(audience)))
                continue
            }
            guard let seconds = request.number("expirationSeconds") else { continue }
            func wrong(_ why: String) -> FieldError { .invalid(here + ".expirationSeconds", Document(seconds), why) }
            if seconds < 600 { errors.append(wrong("may not specify a duration less than 10 minutes")) }
            if seconds > 1 << 32 { errors.append(wrong("may not specify a duration larger than 2^32 seconds")) }
        }
        return errors
    }

    /// The generation counts from the first change on, and only what can change.
    static func countGeneration(_ driver: inout Document, old: Document) {
        let isSame = (driver["spec"]?.members ?? []).allSatisfy {
            Equality.semantic($0.value, old.at("spec", $0.key) ?? .null)
        }
        if isSame, driver["spec"]?.count == old["spec"]?.count { return }
        driver.set(Document((old.number("metadata", "generation") ?? 0) + 1), at: "metadata", "generation")
    }

    /// Tokens that are passed as attributes may end in logs. Whoever asks for tokens first is told.
    static func warnings(_ driver: Document, old: Document?) -> [String] {
        guard old?.list("spec", "tokenRequests").isEmpty != false, !driver.list("spec", "tokenRequests").isEmpty,
            driver.at("spec", "serviceAccountTokenInSecrets") == nil
        else { return [] }
        return [
            "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible "
                + "logging of tokens in volume attributes"
        ]
    }

    // MARK: Nodes

    private static let longestNodeID = 256

    static func validateNode(_ node: Document) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, driver) in node.list("spec", "drivers").enumerated() {
            let here = "spec.drivers[\(index)]"
            let name = driver.text("name") ?? ""
            errors += self.name(name, here + ".name")
            let identity = driver.text("nodeID") ?? ""
            if identity.isEmpty { errors.append(.required(here + ".nodeID")) }
            if identity.utf8.count > longestNodeID {
                let text = "must be \(longestNodeID) characters or less"
                errors.append(.invalid(here + ".nodeID", Document(identity), text))
            }
            if let count = driver.number("allocatable", "count"), count < 0 {
                errors.append(
                    .invalid(here + ".allocatable.count", Document(count), "must be greater than or equal to 0"))
            }
            if !names.insert(name).inserted { errors.append(.duplicate(here + ".name", Document(name))) }
            var keys: Set<String> = []
            for key in driver.list("topologyKeys").map({ $0.string ?? "" }) {
                if key.isEmpty { errors.append(.required(here)) }
                if !keys.insert(key).inserted { errors.append(.duplicate(here, Document(key))) }
                errors += Formats.qualifiedName(key).map { .invalid(here, Document(key), $0) }
            }
        }
        return errors
    }

    /// Drivers come and go; what one says about itself stays, but for how much the node can hold.
    static func validateNodeUpdate(_ new: Document, old: Document) -> [FieldError] {
        func fixed(_ driver: Document) -> Document {
            var driver = driver
            driver["allocatable"] = nil
            return driver
        }
        var errors: [FieldError] = []
        for before in old.list("spec", "drivers") {
            for driver in new.list("spec", "drivers") where driver.text("name") == before.text("name") {
                guard !Equality.semantic(fixed(driver), fixed(before)) else { continue }
                let shown = InternalForm.value(fixed(driver), as: "CSINodeDriver")
                errors.append(.invalid("spec.drivers", shown, "field is immutable"))
            }
        }
        return errors
    }
}

enum AttachmentRules {
    private static let metadataSize = 256 * 1024
    private static let messageSize = 1024

    static func validate(_ attachment: Document) -> [FieldError] {
        let spec = attachment["spec"] ?? .emptyObject
        var errors: [FieldError] = (spec.text("attacher") ?? "").isEmpty ? [.required("spec.attacher")] : []
        errors += source(spec["source"] ?? .emptyObject)
        let node = spec.text("nodeName") ?? ""
        errors += Formats.dnsSubdomain(node).map { .invalid("spec.nodeName", Document(node), $0) }
        return errors + status(attachment["status"] ?? .emptyObject)
    }

    private static func source(_ source: Document) -> [FieldError] {
        let path = "spec.source"
        let text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        switch (source["inlineVolumeSpec"], source.text("persistentVolumeName")) {
        case (.none, .none): return [.required(path, text)]
        case (.some, .some): return [.forbidden(path, text)]
        case (.none, .some(let name)):
            return name.isEmpty
                ? [.required(path + ".persistentVolumeName", "must specify non empty persistentVolumeName")] : []
        case (.some(let spec), .none):
            return PersistentVolumeRules.spec(spec, path + ".inlineVolumeSpec", isInline: true)
        }
    }

    private static func status(_ status: Document) -> [FieldError] {
        var errors: [FieldError] = []
        let size = (status["attachmentMetadata"]?.members ?? []).reduce(0) {
            $0 + $1.key.utf8.count + ($1.value.string?.utf8.count ?? 0)
        }
        if size > metadataSize { errors.append(.tooLong("status.attachmentMetadata", limit: metadataSize)) }
        for field in ["attachError", "detachError"] {
            guard let error = status[field] else { continue }
            if (error.text("message") ?? "").utf8.count > messageSize {
                errors.append(.tooLong("status.\(field).message", limit: metadataSize))
            }
            if let code = error.number("errorCode"), code < 0 {
                let text = "must be between 0 and 2147483647, inclusive"
                errors.append(.invalid("status.\(field).errorCode", Document(code), text))
            }
        }
        return errors
    }

    static func validateNew(_ attachment: Document) -> [FieldError] {
        var errors: [FieldError] = []
        if let name = attachment.text("spec", "attacher"), !name.isEmpty {
            errors += StorageDriverRules.name(name, "spec.attacher")
        }
        if let name = attachment.text("spec", "source", "persistentVolumeName") {
            errors += Formats.dnsSubdomain(name).map {
                .invalid("spec.source.persistentVolumeName", Document(name), $0)
            }
        }
        return errors
    }

    static func change(_ new: Document, old: Document) -> [FieldError] {
        let (spec, before) = (new["spec"] ?? .null, old["spec"] ?? .null)
        if Equality.semantic(spec, before) { return [] }
        return [.invalid("spec", InternalForm.value(spec, as: "VolumeAttachmentSpec"), "field is immutable")]
    }
}
