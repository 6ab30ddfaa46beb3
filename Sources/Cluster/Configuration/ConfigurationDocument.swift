import Basics
import Document

/// The parts of a configuration as they are remembered: in a cluster's record, and in each node's.
/// What has its usual value is left out, so that a record of an earlier version reads as the usual.
extension NodeConfiguration {
    var document: Document {
        var document: Document = ["role": Document(role.rawValue)]
        if !labels.isEmpty {
            document["labels"] = Document(
                members: labels.sorted { $0.key < $1.key }.map { ($0.key, Document($0.value)) })
        }
        if let taints { document["taints"] = Document(taints.map(\.document)) }
        if !extraMounts.isEmpty {
            document["extraMounts"] = Document(
                extraMounts.map { mount -> Document in
                    [
                        "hostPath": Document(mount.hostPath), "containerPath": Document(mount.containerPath),
                        "readOnly": Document(mount.readOnly), "propagation": Document(mount.propagation.rawValue),
                    ]
                })
        }
        if !portMappings.isEmpty {
            document["extraPortMappings"] = Document(
                portMappings.map { port -> Document in
                    [
                        "containerPort": Document(Int(port.containerPort)), "hostPort": Document(Int(port.hostPort)),
                        "listenAddress": Document(port.listenAddress.description),
                        "protocol": Document(port.transport.rawValue),
                    ]
                })
        }
        if let cpuMillis { document["cpus"] = Document("\(cpuMillis)m") }
        if let memoryBytes { document["memory"] = Document(memoryBytes) }
        if let maxPods { document["maxPods"] = Document(maxPods) }
        return document
    }

    init?(_ document: Document) {
        guard let role = document.text("role").flatMap(Role.init(rawValue:)) else { return nil }
        self.init(role: role)
        labels = document.map("labels")
        if document["taints"] != nil {
            taints = document.list("taints").map {
                Taint(key: $0.text("key") ?? "", value: $0.text("value") ?? "", effect: $0.text("effect") ?? "")
            }
        }
        extraMounts = document.list("extraMounts").map { entry in
            var mount = ExtraMount(
                hostPath: entry.text("hostPath") ?? "", containerPath: entry.text("containerPath") ?? "")
            mount.readOnly = entry.flag("readOnly") ?? false
            mount.propagation = entry.text("propagation").flatMap(ExtraMount.Propagation.init(rawValue:)) ?? .none
            return mount
        }
        portMappings = document.list("extraPortMappings").map { entry in
            var port = PublishedPort(
                hostPort: 0, containerPort: UInt16(clamping: entry.number("containerPort") ?? 0))
            port.hostPort = UInt16(clamping: entry.number("hostPort") ?? 0)
            port.listenAddress = entry.text("listenAddress").flatMap { IPAddress($0) } ?? .any
            port.transport = entry.text("protocol").flatMap(PublishedPort.Transport.init(rawValue:)) ?? .tcp
            return port
        }
        cpuMillis = document.text("cpus").flatMap { Int64($0.dropLast()) }
        memoryBytes = document.number("memory").map { Int64($0) }
        maxPods = document.number("maxPods")
    }
}

extension NodeConfiguration.Taint {
    /// As a Node has it.
    var document: Document {
        var document: Document = ["key": Document(key), "effect": Document(effect)]
        if !value.isEmpty { document["value"] = Document(value) }
        return document
    }
}

extension Networking {
    var document: Document {
        var document: Document = [
            "apiServerAddress": Document(apiServerAddress.description), "podSubnet": Document(podSubnet.description),
            "serviceSubnet": Document(serviceSubnet.description), "disableDefaultCNI": Document(disableDefaultCNI),
            "kubeProxyMode": Document(proxyMode.rawValue),
        ]
        if let dnsSearch { document["dnsSearch"] = Document(dnsSearch) }
        return document
    }

    init(_ document: Document) {
        self.init()
        if let address = document.text("apiServerAddress").flatMap({ IPAddress($0) }) { apiServerAddress = address }
        if let subnet = document.text("podSubnet").flatMap({ CIDR($0) }) { podSubnet = subnet }
        if let subnet = document.text("serviceSubnet").flatMap({ CIDR($0) }) { serviceSubnet = subnet }
        disableDefaultCNI = document.flag("disableDefaultCNI") ?? false
        if let mode = document.text("kubeProxyMode").flatMap(ProxyMode.init(rawValue:)) { proxyMode = mode }
        if document["dnsSearch"] != nil { dnsSearch = document.list("dnsSearch").compactMap(\.string) }
    }
}

extension Components {
    var document: Document {
        var document: Document = [
            "enabledAdmission": Document(enabledAdmission), "disabledAdmission": Document(disabledAdmission),
            "certificateNames": Document(certificateNames),
        ]
        if let schedulerConfiguration { document["schedulerConfiguration"] = Document(schedulerConfiguration) }
        return document
    }

    init(_ document: Document) {
        self.init()
        enabledAdmission = document.list("enabledAdmission").compactMap(\.string)
        disabledAdmission = document.list("disabledAdmission").compactMap(\.string)
        certificateNames = document.list("certificateNames").compactMap(\.string)
        schedulerConfiguration = document.text("schedulerConfiguration")
    }
}
