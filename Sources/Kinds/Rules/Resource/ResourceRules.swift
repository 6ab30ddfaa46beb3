import Document
import Schema

extension KindRules {
    static let deviceClass: KindRules = {
        var rules = KindRules()
        rules.nameSyntax = .dnsSubdomainWhole
        rules.validateCreate = { class_ in
            let spec = class_["spec"] ?? .emptyObject
            var errors = ResourceLists.slice(spec["config"], 32, "spec.config") { DeviceConfiguration.validate($0, $1) }
            if let name = spec.text("extendedResourceName"), !ResourceNames.isExtendedResource(name) {
                errors.append(
                    .invalid("spec.extendedResourceName", Document(name), "must be a valid extended resource name"))
            }
            return errors
        }
        // What was good enough to be stored stays good.
        rules.validateNew = { DeviceSelectors.validate($0.at("spec", "selectors"), "spec.selectors") }
        rules.validateUpdate = { new, old in
            let selectors = new.at("spec", "selectors")
            return selectors == old.at("spec", "selectors")
                ? [] : DeviceSelectors.validate(selectors, "spec.selectors")
        }
        rules.cells = { [Cells.age($0, now: $1)] }
        return rules
    }()

    static let resourceClaim: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { claim in
            guard let devices = claim.at("spec", "devices") else { return }
            claim.set(DeviceClaims.complete(devices), at: "spec", "devices")
        }
        rules.prepareForCreate = { claim, _ in claim["status"] = .emptyObject }
        rules.prepareForStatusUpdate = { new, old, _ in
            MetadataRules.keepForStatus(&new, old: old)
            ClaimStatus.dropDeallocated(&new, old: old)
        }
        rules.validateNew = { DeviceClaims.validate($0.at("spec", "devices"), "spec.devices") }
        rules.validateUpdate = { new, old in
            DeviceClaims.unchanged(new["spec"], old["spec"]) {
                InternalForm.value($0, as: "ResourceClaimSpec")
            }
        }
        rules.validateStatusUpdate = { ClaimStatus.validate($0, old: $1) }
        rules.statusHasNoTable = true
        rules.cells = { [Document(ClaimStatus.state($0)), Cells.age($0, now: $1)] }
        return rules
    }()

    static let resourceClaimTemplate: KindRules = {
        var rules = KindRules()
        rules.applyDefaults = { template in
            guard let devices = template.at("spec", "spec", "devices") else { return }
            template.set(DeviceClaims.complete(devices), at: "spec", "spec", "devices")
        }
        rules.validateNew = { template in
            MetadataRules.labels(template.at("spec", "metadata", "labels"), "spec.metadata.labels")
                + MetadataRules.annotations(
                    template.at("spec", "metadata", "annotations"), "spec.metadata.annotations")
                + DeviceClaims.validate(template.at("spec", "spec", "devices"), "spec.spec.devices")
        }
        rules.validateUpdate = { new, old in
            DeviceClaims.unchanged(new["spec"], old["spec"]) { spec in
                var members = (spec["metadata"]?.members ?? []).map { ($0.key, $0.value) }
                members.append(("Spec", InternalForm.value(spec["spec"] ?? .emptyObject, as: "ResourceClaimSpec")))
                return Document(members: members)
            }
        }
        rules.cells = { [Cells.age($0, now: $1)] }
        return rules
    }()

    static let resourceSlice: KindRules = {
        var rules = KindRules()
        rules.prepareForCreate = { slice, context in ResourceSlices.stampTaints(&slice, context) }
        rules.prepareForUpdate = { slice, _, context in ResourceSlices.stampTaints(&slice, context) }
        rules.validateNew = { ResourceSlices.validate($0, old: nil) }
        rules.validateUpdate = { ResourceSlices.validate($0, old: $1) }
        rules.selectableFields = { slice in
            [
                ("spec.nodeName", slice.text("spec", "nodeName") ?? ""),
                ("spec.driver", slice.text("spec", "driver") ?? ""),
            ]
        }
        rules.cells = { slice, now in
            [
                slice.at("spec", "nodeName") ?? "", slice.at("spec", "driver") ?? "",
                slice.at("spec", "pool", "name") ?? "", Cells.age(slice, now: now),
            ]
        }
        return rules
    }()
}

/// Lists and maps with a bound; what is beyond it is not looked at any further.
enum ResourceLists {
    typealias Check = (Document, String) -> [FieldError]

    static func slice(_ list: Document?, _ limit: Int, _ path: String, _ check: Check) -> [FieldError] {
        let elements = list?.elements ?? []
        if elements.count > limit { return [tooMany(path, elements.count, limit)] }
        var errors: [FieldError] = []
        for (index, element) in elements.enumerated() { errors += check(element, "\(path)[\(index)]") }
        return errors
    }

    /// No two elements may have the same key.
    static func set(
        _ list: Document?, _ limit: Int, _ path: String, key: (Document) -> Document, _ check: Check
    ) -> [FieldError] {
        var errors = slice(list, limit, path, check)
        let elements = list?.elements ?? []
        if elements.count > limit { return errors }
        var seen: Set<String> = []
        for (index, element) in elements.enumerated() {
            let key = key(element)
            if !seen.insert(key.jsonText).inserted { errors.append(.duplicate("\(path)[\(index)]", key)) }
        }
        return errors
    }

    static func map(
        _ map: Document?, _ limit: Int?, _ path: String, key: (String, String) -> [FieldError], _ check: Check
    ) -> [FieldError] {
        let members = map?.members ?? []
        if let limit, members.count > limit { return [tooMany(path, members.count, limit)] }
        var errors: [FieldError] = []
        for member in members {
            errors += key(member.key, path)
            errors += check(member.value, "\(path)[\(member.key)]")
        }
        return errors
    }

    static func tooMany(_ path: String, _ count: Int, _ limit: Int) -> FieldError {
        FieldError(.tooMany, path, "must have at most \(limit) items", badValue: Document(count))
    }
}
