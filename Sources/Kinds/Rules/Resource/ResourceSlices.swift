import Document
import Schema

/// The devices that a driver publishes.
enum ResourceSlices {
    /// A taint without a time was added now.
    static func stampTaints(_ slice: inout Document, _ context: RuleContext) {
        guard let devices = slice.at("spec", "devices"), devices.isArray else { return }
        guard devices.elements.contains(where: { $0["taints"]?.count ?? 0 > 0 }) else { return }
        let now = Document(context.now.description)
        slice.set(
            Document(
                devices.elements.map { device in
                    var device = device
                    guard let taints = device["taints"], taints.isArray else { return device }
                    device["taints"] = Document(
                        taints.elements.map { taint in
                            var taint = taint
                            if taint.text("timeAdded") == nil { taint["timeAdded"] = now }
                            return taint
                        })
                    return device
                }), at: "spec", "devices")
    }

    static func validate(_ slice: Document, old: Document?) -> [FieldError] {
        let spec = slice["spec"] ?? .emptyObject
        let pool = spec["pool"] ?? .emptyObject
        var errors = ResourceNames.driver(spec.text("driver") ?? "", "spec.driver")
        errors += ResourceNames.pool(pool.text("name") ?? "", "spec.pool.name")
        let count = pool.number("resourceSliceCount") ?? 0
        if count <= 0 {
            errors.append(
                .invalid("spec.pool.resourceSliceCount", Document(count), "must be greater than zero"))
        }
        let generation = pool.number("generation") ?? 0
        if generation < 0 {
            errors.append(
                .invalid("spec.pool.generation", Document(generation), "must be greater than or equal to zero"))
        }
        if let before = old?["spec"] { errors += unchanged(spec, before) }
        errors += placement(
            spec, "spec", choices: ["nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection"],
            missing: "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required",
            several: "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but "
                + "multiple fields are set", emptyName: "must be either unset or set to a non-empty string")
        if let terms = spec.at("nodeSelector", "nodeSelectorTerms"), terms.count != 1 {
            errors.append(
                .invalid("spec.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term"))
        }
        if spec["sharedCounters"] != nil, spec["devices"] != nil {
            errors.append(.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
        }
        return errors + devices(spec, old: old?["spec"]) + counterSets(spec["sharedCounters"])
    }

    private static func unchanged(_ spec: Document, _ old: Document) -> [FieldError] {
        let fields = [
            ("spec.pool.name", spec.at("pool", "name"), old.at("pool", "name")),
            ("spec.driver", spec["driver"], old["driver"]), ("spec.nodeName", spec["nodeName"], old["nodeName"]),
        ]
        return fields.compactMap { path, new, old in
            (new ?? .null) == (old ?? .null) ? nil : .invalid(path, new, "field is immutable")
        }
    }

    /// Exactly one of the ways to say which nodes have access.
    private static func placement(
        _ object: Document, _ path: String, choices: [String], missing: String, several: String, emptyName: String
    ) -> [FieldError] {
        var errors: [FieldError] = []
        var given: [String] = []
        for field in choices {
            guard let value = object[field], !value.isNull else { continue }
            let here = "\(path).\(field)"
            if let name = value.string {
                if name.isEmpty {
                    errors.append(.invalid(here, value, emptyName))
                    continue
                }
                errors += Formats.dnsSubdomain(name).map { .invalid(here, value, $0) }
            } else if value.isObject {
                errors += NodeSelectors.validate(value, here)
            } else if value.bool == false {
                errors.append(.invalid(here, value, "must be either unset or set to true"))
                continue
            }
            given.append("`\(field)`")
        }
        if given.isEmpty {
            errors.append(.required(path, missing))
        } else if given.count > 1 {
            errors.append(.invalid(path, Document("{\(given.joined(separator: ", "))}"), several))
        }
        return errors
    }

    private static func counterSets(_ list: Document?) -> [FieldError] {
        ResourceLists.set(list, 8, "spec.sharedCounters", key: { $0["name"] ?? "" }) { set, here in
            let name = set.text("name") ?? ""
            return (name.isEmpty ? [.required(here + ".name")] : ResourceNames.label(name, here + ".name"))
                + counters(set["counters"], here + ".counters")
        }
    }

    private static func counters(_ map: Document?, _ path: String) -> [FieldError] {
        if map?.count ?? 0 == 0 { return [.required(path)] }
        return ResourceLists.map(map, 32, path, key: { ResourceNames.label($0, $1) }, { _, _ in [] })
    }

    // MARK: Devices

    private static func devices(_ spec: Document, old: Document?) -> [FieldError] {
        let devices = spec.list("devices")
        let isAdvanced = devices.contains { device in
            device["taints"]?.count ?? 0 > 0 || device["consumesCounters"]?.count ?? 0 > 0
                || (device["attributes"]?.members ?? []).contains { attribute in
                    ["bools", "ints", "strings", "versions"].contains { attribute.value[$0] != nil }
                }
        }
        var before: [String: Document] = [:]
        for device in old?.list("devices") ?? [] { before[device.text("name") ?? ""] = device }
        return ResourceLists.set(
            spec["devices"], isAdvanced ? 64 : 128, "spec.devices", key: { $0["name"] ?? "" },
            {
                device(
                    $0, old: before[$0.text("name") ?? ""], $1,
                    placesItself: spec.flag("perDeviceNodeSelection") == true)
            })
    }

    private static func device(
        _ device: Document, old: Document?, _ path: String, placesItself: Bool
    ) -> [FieldError] {
        var errors = ResourceNames.label(device.text("name") ?? "", path + ".name")
        errors += size(device, path)
        errors += ResourceLists.map(
            device["attributes"], nil, path + ".attributes", key: { ResourceNames.qualified($0, $1) },
            { DeviceAttributes.validate($0, $1) })
        if old == nil || (old?["capacity"] ?? .null) != (device["capacity"] ?? .null) {
            let isShared = device.flag("allowMultipleAllocations") == true
            errors += ResourceLists.map(
                device["capacity"], nil, path + ".capacity", key: { ResourceNames.qualified($0, $1) },
                { DeviceCapacity.validate($0, $1, isShared: isShared) })
        }
        if old == nil || (old?["taints"] ?? .null) != (device["taints"] ?? .null) {
            errors += ResourceLists.slice(device["taints"], 16, path + ".taints") { DeviceTaints.taint($0, $1) }
        }
        errors += ResourceLists.set(
            device["consumesCounters"], 2, path + ".consumesCounters", key: { $0["counterSet"] ?? "" }
        ) { use, here in
            let name = use.text("counterSet") ?? ""
            return
                (name.isEmpty
                ? [.required(here + ".counterSet")] : ResourceNames.label(name, here + ".counterSet"))
                + counters(use["counters"], here + ".counters")
        }
        errors += nodes(of: device, path, placesItself: placesItself)
        errors += DeviceBinding.validate(device, path)
        return errors + mappings(device, path + ".nodeAllocatableResourceMappings")
    }

    private static func size(_ device: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        let names = (device["attributes"]?.count ?? 0) + (device["capacity"]?.count ?? 0)
        if names > 32 {
            errors.append(
                .invalid(
                    path, Document(names), "the total number of attributes and capacities must not exceed 32"))
        }
        let values = (device["attributes"]?.members ?? []).reduce(0) { sum, attribute in
            let listed = ["bools", "ints", "strings", "versions"].reduce(0) { $0 + (attribute.value[$1]?.count ?? 0) }
            return sum + max(1, listed)
        }
        if values > 48 {
            errors.append(
                .invalid(path, Document(values), "the total number of attribute values must not exceed 48"))
        }
        return errors
    }

    private static func nodes(of device: Document, _ path: String, placesItself: Bool) -> [FieldError] {
        let choices = ["nodeName", "nodeSelector", "allNodes"]
        guard placesItself else {
            let isGiven = choices.contains { device[$0] != nil }
            return isGiven
                ? [
                    .invalid(
                        path, .null,
                        "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to "
                            + "true in the ResourceSlice spec")
                ] : []
        }
        let text =
            "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set "
            + "to true in the ResourceSlice spec"
        return placement(
            device, path, choices: choices, missing: text, several: text, emptyName: "must not be empty")
    }

    private static func mappings(_ device: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        for member in device["nodeAllocatableResourceMappings"]?.members ?? [] {
            let here = "\(path)[\(member.key)]"
            let isKnown =
                ["cpu", "memory", "ephemeral-storage"].contains(member.key) || member.key.hasPrefix("hugepages-")
                || ResourceNames.isExtendedResource(member.key)
            if !isKnown {
                errors.append(.invalid(here, Document(member.key), "must be a node allocatable resource name"))
            }
            if let key = member.value.text("capacityKey") {
                if key.isEmpty {
                    errors.append(.invalid(here + ".capacityKey", "", "capacityKey must not be an empty string"))
                } else if device.at("capacity", key) == nil {
                    errors.append(.notFound(here + ".capacityKey", Document(key)))
                }
            }
            if let text = member.value.text("allocationMultiplier"), let factor = Quantity(text), factor.nano <= 0 {
                errors.append(.invalid(here + ".allocationMultiplier", Document(text), "must be positive"))
            }
        }
        return errors
    }
}

enum DeviceAttributes {
    private static let limit = 64

    static func validate(_ attribute: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var given = 0
        for field in ["bool", "int", "string", "version", "bools", "ints", "strings", "versions"] {
            guard let value = attribute[field], !value.isNull else { continue }
            given += 1
            let here = "\(path).\(field)"
            switch field {
            case "string", "version": errors += text(value, here, isVersion: field == "version")
            case "strings", "versions":
                for (index, item) in value.elements.enumerated() {
                    errors += text(item, "\(here)[\(index)]", isVersion: field == "versions")
                }
            default: break
            }
        }
        if given == 0 { errors.append(.invalid(path, "", "exactly one value must be specified")) }
        if given > 1 { errors.append(.invalid(path, attribute, "exactly one value must be specified")) }
        return errors
    }

    private static func text(_ value: Document, _ path: String, isVersion: Bool) -> [FieldError] {
        let text = value.string ?? ""
        var errors: [FieldError] = []
        if isVersion, !ResourceNames.isSemanticVersion(text) {
            errors.append(.invalid(path, value, "must be a string compatible with semver.org spec 2.0.0"))
        }
        if text.utf8.count > limit { errors.append(.tooLong(path, limit: limit)) }
        return errors
    }
}

/// A capacity of a device, and the amounts in which it is given away.
enum DeviceCapacity {
    static func validate(_ capacity: Document, _ path: String, isShared: Bool) -> [FieldError] {
        guard let policy = capacity["requestPolicy"], policy.isObject else { return [] }
        let here = path + ".requestPolicy"
        guard isShared else { return [.forbidden(here, "allowMultipleAllocations must be true")] }
        let all = amount(capacity["value"]) ?? .zero
        let values = policy.list("validValues")
        let range = policy["validRange"].flatMap { $0.isObject ? $0 : .none }
        if !values.isEmpty, range != nil {
            return [
                .forbidden(
                    here,
                    "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same "
                        + "time")
            ]
        }
        if !values.isEmpty {
            guard let standard = amount(policy["default"]) else {
                return [.required(here + ".default", "required when validValues is defined")]
            }
            return discrete(policy["validValues"], standard, all, here + ".validValues")
        }
        guard let range else { return [] }
        guard let standard = amount(policy["default"]) else {
            return [.required(here + ".default", "required when validRange is defined")]
        }
        return ranged(range, standard, all, here + ".validRange")
    }

    private static func amount(_ value: Document?) -> Quantity? {
        guard let value, !value.isNull else { return nil }
        return Quantity(value.string ?? value.jsonText)
    }

    private static func shown(_ quantity: Quantity) -> Document { Document(quantity.description) }

    private static func discrete(
        _ list: Document?, _ standard: Quantity, _ all: Quantity, _ path: String
    ) -> [FieldError] {
        let values = (list?.elements ?? []).compactMap { amount($0) }
        var errors: [FieldError] = []
        for index in values.indices.dropFirst() where values[index - 1] > values[index] {
            errors.append(
                .invalid("\(path)[\(index)]", shown(values[index]), "values must be sorted in ascending order"))
        }
        errors += ResourceLists.set(list, 10, path, key: { shown(amount($0) ?? standard) }) { value, here in
            guard let value = amount(value), value > all else { return [] }
            return [.invalid(here, shown(value), "option is larger than capacity value: \(all)")]
        }
        if !values.contains(standard) {
            errors.append(
                .invalid(path, shown(standard), "default value is not valid according to the requestPolicy"))
        }
        return errors
    }

    private static func ranged(
        _ range: Document, _ standard: Quantity, _ all: Quantity, _ path: String
    ) -> [FieldError] {
        guard let low = amount(range["min"]) else {
            return [.required(path + ".min", "required when validRange is defined")]
        }
        var errors: [FieldError] = []
        func refuse(_ field: String, _ value: Quantity, _ why: String) {
            errors.append(.invalid("\(path).\(field)", shown(value), why))
        }
        if low > all { refuse("min", low, "min is larger than capacity value: \(all)") }
        if standard < low { refuse("default", standard, "default is less than min: \(low)") }
        let high = amount(range["max"])
        if let high {
            if low > high { refuse("max", low, "min is larger than max: \(high)") }
            if high > all { refuse("max", high, "max is larger than capacity value: \(all)") }
            if standard > high { refuse("default", standard, "default is more than max: \(high)") }
        }
        guard let step = amount(range["step"]) else { return errors }
        if step.nano <= 0 {
            refuse("step", step, "must be greater than zero")
            return errors
        }
        if low + step > all {
            refuse("step", step, "one step \(low + step) is larger than capacity value: \(all)")
        }
        for value in [standard, high].compactMap({ $0 }) where (value - low).nano % step.nano != 0 {
            refuse("step", value, "value is not a multiple of a given step (\(step)) from (\(low))")
        }
        return errors
    }
}
