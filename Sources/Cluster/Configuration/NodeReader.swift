import Basics
import Document
import Kinds
import Schema

/// Reads what kind's files and ours say alike: nodes, mounts, ports and networking.
enum NodeReader {
    static let kindFields = [
        "role", "image", "labels", "extraMounts", "extraPortMappings", "kubeadmConfigPatches",
        "kubeadmConfigPatchesJSON6902", "gpus",
    ]
    static let ownFields = [
        "role", "count", "labels", "taints", "extraMounts", "extraPortMappings", "cpus", "memory", "maxPods",
    ]

    /// The members that both formats have; answers whether `key` is one of them.
    static func readCommon(
        _ key: String, _ field: ConfigurationField, into node: inout NodeConfiguration
    ) throws(UsageError) -> Bool {
        switch key {
        case "role": break
        case "labels": node.labels.merge(try labels(field)) { $1 }
        case "extraMounts":
            for element in try field.elements() { node.extraMounts.append(try mount(element)) }
        case "extraPortMappings":
            node.portMappings += try portMappings(field)
        default: return false
        }
        return true
    }

    /// Without one it is a control plane, as kind has it.
    static func role(_ node: ConfigurationField) throws(UsageError) -> NodeConfiguration.Role {
        for (key, field) in try node.members() where key == "role" {
            return try field.choice(NodeConfiguration.Role.self)
        }
        return .controlPlane
    }

    static func labels(_ field: ConfigurationField) throws(UsageError) -> [String: String] {
        var labels: [String: String] = [:]
        for (key, value) in try field.members() {
            labels[key] = try value.word()
            try check(label: key, labels[key] ?? "", value)
        }
        return labels
    }

    static func check(label key: String, _ value: String, _ field: ConfigurationField) throws(UsageError) {
        if let problem = (Formats.qualifiedName(key) + Formats.labelValue(value)).first {
            throw field.refuse("label '\(key)=\(value)' is not valid", allowed: problem)
        }
    }

    static func taints(_ field: ConfigurationField) throws(UsageError) -> [NodeConfiguration.Taint] {
        var taints: [NodeConfiguration.Taint] = []
        for element in try field.elements() {
            var taint = NodeConfiguration.Taint(key: "", effect: "")
            for (key, value) in try element.members(["key", "value", "effect"]) {
                switch key {
                case "key": taint.key = try value.string()
                case "value": taint.value = try value.word()
                default: taint.effect = try value.string()
                }
            }
            try check(taint, element)
            taints.append(taint)
        }
        return taints
    }

    static func check(_ taint: NodeConfiguration.Taint, _ field: ConfigurationField) throws(UsageError) {
        if let problem = (Formats.qualifiedName(taint.key) + Formats.labelValue(taint.value)).first {
            throw field.refuse("the taint '\(taint.key)=\(taint.value)' is not valid", allowed: problem)
        }
        guard NodeConfiguration.Taint.effects.contains(taint.effect) else {
            throw field.refuse(
                "the taint '\(taint.key)' has the effect '\(taint.effect)'",
                allowed: "use one of \(NodeConfiguration.Taint.effects.joined(separator: ", "))")
        }
    }

    private static func mount(_ field: ConfigurationField) throws(UsageError) -> NodeConfiguration.ExtraMount {
        var mount = NodeConfiguration.ExtraMount(hostPath: "", containerPath: "")
        for (key, value) in try field.members(
            ["hostPath", "containerPath", "readOnly", "selinuxRelabel", "propagation"])
        {
            switch key {
            case "hostPath": mount.hostPath = try value.string()
            case "containerPath": mount.containerPath = try value.string()
            case "readOnly": mount.readOnly = try value.bool()
            case "propagation": mount.propagation = try value.choice(NodeConfiguration.ExtraMount.Propagation.self)
            default:
                if try value.bool() {
                    throw value.refuse(
                        "selinuxRelabel is not supported",
                        allowed: "label the host's files with chcon, and leave it out")
                }
            }
        }
        guard !mount.hostPath.isEmpty else {
            throw field.refuse("an extra mount needs a hostPath", allowed: "name a file or directory of the host")
        }
        try check(containerPath: mount.containerPath, field)
        return mount
    }

    /// What a node itself consists of is no place for a mount.
    private static func check(containerPath path: String, _ field: ConfigurationField) throws(UsageError) {
        let parts = path.split(separator: "/")
        guard path.hasPrefix("/"), !parts.isEmpty, !parts.contains(".."), !parts.contains(".") else {
            throw field.refuse(
                "containerPath '\(path)' is no absolute path", allowed: "write it like '/data', without '..'")
        }
        let clean = "/" + parts.joined(separator: "/")
        let own = ["/proc", "/sys", "/dev", "/bin/lab", "/etc/lab", "/run/lab", "/var/lib/lab-images"]
        if let taken = own.first(where: { clean == $0 || clean.hasPrefix($0 + "/") })
            ?? ["/var", "/run", "/tmp", "/etc", "/bin"].first(where: { clean == $0 })
        {
            throw field.refuse(
                "containerPath '\(path)' would cover the node's own \(taken)", allowed: "choose another, such as /data")
        }
    }

    static func portMappings(_ field: ConfigurationField) throws(UsageError) -> [PublishedPort] {
        var mappings: [PublishedPort] = []
        for element in try field.elements() { mappings.append(try portMapping(element)) }
        return mappings
    }

    private static func portMapping(_ field: ConfigurationField) throws(UsageError) -> PublishedPort {
        var mapping = PublishedPort(hostPort: 0, containerPort: 0)
        for (key, value) in try field.members(["containerPort", "hostPort", "listenAddress", "protocol"]) {
            switch key {
            case "containerPort": mapping.containerPort = try value.port()
            // kind leaves -1 to Docker, which takes a free port as 0 does.
            case "hostPort": mapping.hostPort = UInt16(max(0, try value.number(-1...65_535)))
            case "listenAddress": mapping.listenAddress = try address(value)
            default:
                guard let transport = PublishedPort.Transport(rawValue: try value.string()) else {
                    throw value.refuse(
                        "protocol \(value.value.jsonText) is not carried", allowed: "use 'TCP' or 'UDP'")
                }
                mapping.transport = transport
            }
        }
        guard mapping.containerPort > 0 else {
            throw field.refuse("a port mapping needs a containerPort", allowed: "use a number from 1 to 65535")
        }
        return mapping
    }

    static func address(_ field: ConfigurationField) throws(UsageError) -> IPAddress {
        let text = try field.string()
        guard let address = IPAddress(text) else {
            throw field.refuse("'\(text)' is no address", allowed: "write it like 127.0.0.1")
        }
        return address
    }

    // MARK: Amounts

    static func quantity(_ field: ConfigurationField) throws(UsageError) -> Quantity {
        guard let quantity = Quantity(try field.word()) else {
            throw field.refuse(
                "'\(field.value.jsonText)' is no quantity", allowed: "write it like 2, 500m, 512Mi or 2Gi")
        }
        return quantity
    }
}
