import Document
import Schema

/// Volumes that a container gets as devices instead of directories.
enum BlockDevices {
    /// What is mounted cannot be a device too.
    static func clashes(of mount: Document, _ container: Document, _ path: String) -> [FieldError] {
        let devices = container.list("volumeDevices")
        if devices.isEmpty { return [] }
        var errors: [FieldError] = []
        if let name = mount["name"], devices.contains(where: { $0["name"] == name }) {
            errors.append(.invalid(path + ".name", name, "must not already exist in volumeDevices"))
        }
        if let place = mount["mountPath"], devices.contains(where: { $0["devicePath"] == place }) {
            errors.append(.invalid(path + ".mountPath", place, "must not already exist as a path in volumeDevices"))
        }
        return errors
    }

    static func check(_ container: Document, _ path: String) -> [FieldError] {
        var errors: [FieldError] = []
        var (names, places): (Set<String>, Set<String>) = ([], [])
        let mounts = container.list("volumeMounts")
        for (index, device) in container.list("volumeDevices").enumerated() {
            let here = "\(path).volumeDevices[\(index)]"
            let (name, place) = (device.text("name") ?? "", device.text("devicePath") ?? "")
            if !name.isEmpty, !names.insert(name).inserted {
                errors.append(.invalid(here + ".name", Document(name), "must be unique"))
            }
            if mounts.contains(where: { $0.text("name") == name }) {
                errors.append(.invalid(here + ".name", Document(name), "must not already exist in volumeMounts"))
            }
            if place.isEmpty { continue }
            if !places.insert(place).inserted {
                errors.append(.invalid(here + ".devicePath", Document(place), "must be unique"))
            }
            if place.split(separator: "/").contains("..") {
                errors.append(.invalid(here + ".devicePath", Document(place), "can not contain backsteps ('..')"))
            }
            if mounts.contains(where: { $0.text("mountPath") == place }) {
                errors.append(
                    .invalid(
                        here + ".devicePath", Document(place), "must not already exist as a path in volumeMounts"))
            }
        }
        return errors
    }

    /// Only claims can be devices.
    static func sources(_ container: Document, _ path: String, volumes: [Document]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, device) in container.list("volumeDevices").enumerated() {
            let name = device.text("name") ?? ""
            guard !name.isEmpty else { continue }
            let here = "\(path).volumeDevices[\(index)].name"
            guard let volume = volumes.first(where: { $0.text("name") == name }) else {
                errors.append(.notFound(here, Document(name)))
                continue
            }
            if volume["persistentVolumeClaim"] == nil, volume["ephemeral"] == nil {
                errors.append(
                    .invalid(
                        here, Document(name),
                        "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"))
            }
        }
        return errors
    }
}

/// A container's own requests and limits, as values of variables and files.
enum ResourceReference {
    private static let names = [
        "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
        "requests.memory",
    ]
    private static let sizes = [
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ]

    static func check(_ reference: Document?, _ path: String, inVolume: Bool) -> [FieldError] {
        guard let reference, reference.isObject else { return [] }
        var errors: [FieldError] = []
        if inVolume, (reference.text("containerName") ?? "").isEmpty {
            errors.append(.required(path + ".containerName"))
            return errors
        }
        let resource = reference.text("resource") ?? ""
        // That there is none at all was said already.
        if resource.isEmpty { return [] }
        let isKnown =
            names.contains(resource) || resource.hasPrefix("limits.hugepages-")
            || resource.hasPrefix("requests.hugepages-")
        guard isKnown else { return [.notSupported(path + ".resource", Document(resource), names)] }
        let divisor = reference.text("divisor") ?? reference["divisor"]?.jsonText ?? "0"
        if divisor == "0" { return [] }
        let kind = resource.split(separator: ".", maxSplits: 1).last.map(String.init) ?? ""
        let (allowed, title) = kind == "cpu" ? (["1m", "1"], "cpu resource") : (sizes, Self.title(kind))
        if allowed.contains(divisor) { return [] }
        let list = kind == "cpu" ? "1m and 1" : sizes.joined(separator: ", ")
        return [
            .invalid(
                path + ".divisor", Document(resource),
                "only divisor's values \(list) are supported with the \(title)")
        ]
    }

    private static func title(_ kind: String) -> String {
        switch kind {
        case "memory": "memory resource"
        case "ephemeral-storage": "local ephemeral storage resource"
        default: "hugepages resource"
        }
    }
}
