import Basics
import Document
import Schema

/// What was allocated for a claim, who uses it, and what drivers say about the devices.
enum ClaimStatus {
    /// The claim's state in the words that `kubectl get` shows.
    static func state(_ claim: Document) -> String {
        var states: [String] = []
        if claim.text("metadata", "deletionTimestamp") != nil { states.append("deleted") }
        if claim.at("status", "allocation") == nil {
            if states.isEmpty { states.append("pending") }
        } else {
            states.append("allocated")
            states.append(claim.list("status", "reservedFor").isEmpty ? "" : "reserved")
        }
        return states.filter { !$0.isEmpty }.joined(separator: ",")
    }

    private static func device(_ entry: Document, shared: Bool = true) -> String {
        let base = ["driver", "pool", "device"].map { entry.text($0) ?? "" }.joined(separator: "/")
        guard shared, let share = entry.text("shareID"), !share.isEmpty else { return base }
        return base + "/" + share
    }

    /// What drivers said about devices goes with the devices.
    static func dropDeallocated(_ new: inout Document, old: Document) {
        func allocated(_ claim: Document) -> Set<String> {
            Set(claim.list("status", "allocation", "devices", "results").map { device($0, shared: false) })
        }
        let gone = allocated(old).subtracting(allocated(new))
        let devices = new.list("status", "devices")
        if gone.isEmpty || devices.isEmpty { return }
        let kept = devices.filter { !gone.contains(device($0, shared: false)) }
        new.set(kept.isEmpty ? Optional<Document>.none : Document(kept), at: "status", "devices")
    }

    static func validate(_ new: Document, old: Document) -> [FieldError] {
        let names = DeviceClaims.names(new.at("spec", "devices"))
        let (status, before) = (new["status"] ?? .emptyObject, old["status"] ?? .emptyObject)
        let allocation = status["allocation"]
        var errors = ResourceLists.set(
            status["reservedFor"], 256, "status.reservedFor", key: { $0["uid"] ?? "" }, { consumer($0, $1) })
        let allocated = Set((allocation?.list("devices", "results") ?? []).map { device($0) })
        errors += ResourceLists.set(
            status["devices"], .max, "status.devices", key: { Document(device($0)) },
            { deviceStatus($0, $1, allocated) })
        let reserved = status.list("reservedFor")
        if !reserved.isEmpty {
            if allocation == nil {
                errors.append(.forbidden("status.reservedFor", "may not be specified when `allocated` is not set"))
            } else if new.text("metadata", "deletionTimestamp") != nil,
                reserved.contains(where: { entry in !before.list("reservedFor").contains { $0.means(entry) } })
            {
                errors.append(
                    .forbidden(
                        "status.reservedFor",
                        "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"))
            }
        }
        guard let allocation else { return errors }
        if let earlier = before["allocation"] {
            if !earlier.means(allocation) {
                errors.append(.invalid("status.allocation", allocation, "field is immutable"))
            }
            return errors
        }
        return errors + result(allocation, "status.allocation", names)
    }

    private static func consumer(_ consumer: Document, _ path: String) -> [FieldError] {
        ["resource", "name", "uid"].compactMap { field in
            (consumer.text(field) ?? "").isEmpty ? .required("\(path).\(field)") : nil
        }
    }

    private static func result(_ allocation: Document, _ path: String, _ names: Set<String>) -> [FieldError] {
        let devices = allocation["devices"] ?? .emptyObject
        var errors = ResourceLists.slice(devices["results"], 32, path + ".devices.results") { result, here in
            var errors = DeviceClaims.reference(result.text("request") ?? "", here + ".request", names)
            errors += ResourceNames.driver(result.text("driver") ?? "", here + ".driver")
            errors += ResourceNames.pool(result.text("pool") ?? "", here + ".pool")
            errors += ResourceNames.label(result.text("device") ?? "", here + ".device")
            errors += DeviceBinding.validate(result, here)
            errors += DeviceTaints.tolerations(result["tolerations"], here + ".tolerations")
            if let share = result.text("shareID") { errors += ResourceNames.uid(share, here + ".shareID") }
            return errors
        }
        // A class and a claim may each bring as many as one list holds.
        errors += ResourceLists.slice(devices["config"], 64, path + ".devices.config") { config, here in
            var errors: [FieldError] = []
            let source = config.text("source") ?? ""
            if source.isEmpty {
                errors.append(.required(here + ".source"))
            } else if !["FromClaim", "FromClass"].contains(source) {
                errors.append(.notSupported(here + ".source", Document(source), ["FromClaim", "FromClass"]))
            }
            errors += DeviceClaims.references(config["requests"], here + ".requests", names)
            return errors + DeviceConfiguration.validate(config, here)
        }
        if let selector = allocation["nodeSelector"], selector.isObject {
            errors += NodeSelectors.validate(selector, path + ".nodeSelector")
        }
        return errors
    }

    private static func deviceStatus(_ status: Document, _ path: String, _ allocated: Set<String>) -> [FieldError] {
        var errors = ResourceNames.driver(status.text("driver") ?? "", path + ".driver")
        errors += ResourceNames.pool(status.text("pool") ?? "", path + ".pool")
        errors += ResourceNames.label(status.text("device") ?? "", path + ".device")
        if let share = status.text("shareID") { errors += ResourceNames.uid(share, path + ".shareID") }
        if !allocated.contains(device(status)) {
            let shown: Document = [
                "Driver": status["driver"] ?? "", "Pool": status["pool"] ?? "", "Device": status["device"] ?? "",
                "ShareID": status["shareID"] ?? "",
            ]
            errors.append(.invalid(path, shown, "must be an allocated device in the claim"))
        }
        let conditions = status.list("conditions")
        if conditions.count > 8 { errors.append(ResourceLists.tooMany(path + ".conditions", conditions.count, 8)) }
        if let data = status["data"], !data.isNull {
            errors += DeviceConfiguration.raw(data, 10 * 1024, path + ".data")
        }
        return errors + network(status["networkData"], path + ".networkData")
    }

    private static func network(_ data: Document?, _ path: String) -> [FieldError] {
        guard let data, data.isObject else { return [] }
        var errors: [FieldError] = []
        for (field, limit) in [("interfaceName", 256), ("hardwareAddress", 128)]
        where (data.text(field)?.utf8.count ?? 0) > limit {
            errors.append(.tooLong("\(path).\(field)", limit: limit))
        }
        return errors
            + ResourceLists.set(data["ips"], 16, path + ".ips", key: { $0 }) { address, here in
                let text = address.string ?? ""
                let halves = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
                guard halves.count == 2, let ip = IPAddress(halves[0]), let length = Int(halves[1]),
                    (0...(ip.isIPv6 ? 128 : 32)).contains(length)
                else {
                    return [
                        .invalid(
                            here, address,
                            "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)")
                    ]
                }
                return []
            }
    }
}

/// A node selector that stands by itself.
enum NodeSelectors {
    static func validate(_ selector: Document, _ path: String) -> [FieldError] {
        let terms = selector.list("nodeSelectorTerms")
        if terms.isEmpty {
            return [.required(path + ".nodeSelectorTerms", "must have at least one node selector term")]
        }
        return terms.enumerated().flatMap {
            PodPlacement.nodeTerm($0.element, "\(path).nodeSelectorTerms[\($0.offset)]")
        }
    }
}

/// Conditions of the binding of pods to devices.
enum DeviceBinding {
    static func validate(_ object: Document, _ path: String) -> [FieldError] {
        let (wanted, failed) = (object["bindingConditions"], object["bindingFailureConditions"])
        let (wantedPath, failedPath) = (path + ".bindingConditions", path + ".bindingFailureConditions")
        func label(_ name: Document, _ path: String) -> [FieldError] {
            Formats.qualifiedName(name.string ?? "").map { .invalid(path, name, $0) }
        }
        var errors = ResourceLists.set(wanted, 4, wantedPath, key: { $0 }, label)
        errors += ResourceLists.set(failed, 4, failedPath, key: { $0 }, label)
        for (index, name) in (failed?.elements ?? []).enumerated() where wanted?.elements.contains(name) == true {
            errors.append(
                .invalid(
                    "\(failedPath)[\(index)]", name,
                    "bindingFailureConditions must not overlap with bindingConditions"))
        }
        let (some, others) = ((wanted?.count ?? 0) > 0, (failed?.count ?? 0) > 0)
        if !some, others {
            errors.append(
                .invalid(wantedPath, wanted, "bindingConditions are required to use bindingFailureConditions"))
        }
        if some, !others {
            errors.append(
                .invalid(failedPath, failed, "bindingFailureConditions are required to use bindingConditions"))
        }
        return errors
    }
}
