import Basics
import Document
import Glibc
import Linux

/// The objects that a container's environment is made of.
struct EnvironmentSources: Sendable {
    /// By name; absent ones were not found.
    var configMaps: [String: Document] = [:]
    var secrets: [String: Document] = [:]
    /// Services of the pod's namespace and `default/kubernetes`.
    var services: [Document] = []
    /// The directories of the pod's volumes, by name.
    var volumes: [String: String] = [:]
}

/// A container's variables, in the order in which they were defined.
struct Environment {
    private(set) var names: [String] = []
    private(set) var values: [String: String] = [:]

    subscript(name: String) -> String? {
        get { values[name] }
        set {
            if values[name] == nil, newValue != nil { names.append(name) }
            values[name] = newValue
        }
    }

    var list: [String] { names.compactMap { name in values[name].map { "\(name)=\($0)" } } }

    /// The image's variables, the services', `envFrom` and `env`, each able to refer to those before it.
    static func build(
        container: Document, pod: Document, imageVariables: [String], hostname: String, sources: EnvironmentSources,
        fields: DownwardFields
    ) throws -> Environment {
        var result = Environment()
        result["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        result["HOSTNAME"] = hostname
        for variable in imageVariables {
            guard let equals = variable.firstIndex(of: "=") else { continue }
            result[String(variable[..<equals])] = String(variable[variable.index(after: equals)...])
        }
        let services = serviceVariables(pod: pod, services: sources.services)
        // References see only what the pod defines, not what the image does.
        var defined: [String: String] = [:]
        for source in container.list("envFrom") {
            for (name, value) in try whole(source, sources) {
                defined[name] = value
                result[name] = value
            }
        }
        for entry in container.list("env") {
            guard let name = entry.text("name") else { continue }
            guard
                let value = try value(
                    of: entry, container: container, sources: sources, fields: fields,
                    lookup: { defined[$0] ?? services[$0] })
            else { continue }
            defined[name] = value
            result[name] = value
        }
        for (name, value) in services.sorted(by: { $0.key < $1.key }) where defined[name] == nil {
            result[name] = value
        }
        return result
    }

    private static func whole(_ source: Document, _ sources: EnvironmentSources) throws -> [(String, String)] {
        let prefix = source.text("prefix") ?? ""
        let isSecret = source["secretRef"] != nil
        guard let reference = source["configMapRef"] ?? source["secretRef"], let name = reference.text("name") else {
            return []
        }
        guard let object = isSecret ? sources.secrets[name] : sources.configMaps[name] else {
            if reference.flag("optional") == true { return [] }
            throw missing(isSecret ? "secret" : "configmap", name)
        }
        return object.map("data").sorted { $0.key < $1.key }.map { key, value in
            (prefix + key, isSecret ? decoded(value) : value)
        }
    }

    private static func value(
        of entry: Document, container: Document, sources: EnvironmentSources, fields: DownwardFields,
        lookup: (String) -> String?
    ) throws -> String? {
        guard let from = entry["valueFrom"], from.isObject else {
            return Expansion.expand(entry.text("value") ?? "", lookup)
        }
        if let path = from.text("fieldRef", "fieldPath") {
            guard let value = fields.field(path) else { throw invalid("unsupported fieldPath: \(path)") }
            return value
        }
        if let reference = from["resourceFieldRef"] {
            guard let value = fields.resource(reference, container: container) else {
                throw invalid("unsupported container resource: \(reference.text("resource") ?? "")")
            }
            return value
        }
        if let reference = from["fileKeyRef"] { return try fileValue(reference, sources) }
        for (member, kind) in [("configMapKeyRef", "configmap"), ("secretKeyRef", "secret")] {
            guard let reference = from[member], let name = reference.text("name"), let key = reference.text("key")
            else { continue }
            let isSecret = kind == "secret"
            let isOptional = reference.flag("optional") == true
            guard let object = isSecret ? sources.secrets[name] : sources.configMaps[name] else {
                if isOptional { return nil }
                throw missing(kind, name)
            }
            guard let value = object.map("data")[key] else {
                if isOptional { return nil }
                let place = "\(isSecret ? "Secret" : "ConfigMap") \(object.text("metadata", "namespace") ?? "")/\(name)"
                throw invalid("couldn't find key \(key) in \(place)")
            }
            return isSecret ? decoded(value) : value
        }
        throw invalid("environment variable \(entry.text("name") ?? ""): its source is not known")
    }

    private static func fileValue(_ reference: Document, _ sources: EnvironmentSources) throws -> String? {
        let volume = reference.text("volumeName") ?? ""
        let path = reference.text("path") ?? ""
        let key = reference.text("key") ?? ""
        let isOptional = reference.flag("optional") == true
        guard let directory = sources.volumes[volume] else {
            throw invalid("cannot find the volume \"\(volume)\" referenced by FileKeyRef")
        }
        let text: String
        do {
            let file = try SubPath.find(path, below: directory)
            text = String(decoding: try Files.read(file, limit: Self.longestFile), as: UTF8.self)
        } catch let error as SystemError where error.errno == ENOENT {
            if isOptional { return nil }
            throw invalid("file \"\(path)\" not found in volume \"\(volume)\"")
        }
        do {
            if let value = try EnvironmentFile.value(of: key, in: text) { return value }
        } catch { throw invalid("failed to parse environment variable file \"\(path)\": \(error)") }
        if isOptional { return nil }
        throw invalid("environment variable key \"\(key)\" not found in file \"\(path)\"")
    }

    private static let longestFile = 1 << 20

    private static func decoded(_ base64: String) -> String {
        String(decoding: Base64.decode(base64) ?? [], as: UTF8.self)
    }

    private static func missing(_ kind: String, _ name: String) -> StartProblem {
        invalid("\(kind) \"\(name)\" not found")
    }

    private static func invalid(_ message: String) -> StartProblem {
        StartProblem(reason: "CreateContainerConfigError", message: message)
    }

    /// Docker's link variables for each service with an address: `NAME_SERVICE_HOST`, `NAME_PORT`…
    static func serviceVariables(pod: Document, services: [Document]) -> [String: String] {
        let namespace = pod.text("metadata", "namespace")
        let wantsAll = pod.flag("spec", "enableServiceLinks") ?? true
        var result: [String: String] = [:]
        for service in services {
            let name = service.text("metadata", "name") ?? ""
            let isAPI = name == "kubernetes" && service.text("metadata", "namespace") == "default"
            guard isAPI || (wantsAll && service.text("metadata", "namespace") == namespace),
                let address = service.text("spec", "clusterIP"), !address.isEmpty, address != "None",
                let first = service.list("spec", "ports").first?.number("port")
            else { continue }
            let prefix = name.uppercased().replacing("-", with: "_")
            let shown = address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]" : address
            result["\(prefix)_SERVICE_HOST"] = address
            result["\(prefix)_SERVICE_PORT"] = String(first)
            for (index, port) in service.list("spec", "ports").enumerated() {
                guard let number = port.number("port") else { continue }
                let transport = port.text("protocol") ?? "TCP"
                let low = transport.lowercased()
                if let portName = port.text("name"), !portName.isEmpty {
                    result["\(prefix)_SERVICE_PORT_\(portName.uppercased().replacing("-", with: "_"))"] = String(number)
                }
                let url = "\(low)://\(shown):\(number)"
                if index == 0 { result["\(prefix)_PORT"] = url }
                let stem = "\(prefix)_PORT_\(number)_\(transport.uppercased())"
                result[stem] = url
                result["\(stem)_PROTO"] = low
                result["\(stem)_PORT"] = String(number)
                result["\(stem)_ADDR"] = address
            }
        }
        return result
    }
}
