import Basics
import Document

/// What pods may ask about themselves: `fieldRef` and `resourceFieldRef`.
struct DownwardFields {
    let pod: Document
    let podIPs: [IPAddress]
    let hostIPs: [IPAddress]
    let allocatableCPUMillis: Int64
    let allocatableMemory: Int64

    /// The value of a field path; nil when the path names nothing that may be asked for.
    func field(_ path: String) -> String? {
        switch path {
        case "metadata.name": return pod.text("metadata", "name")
        case "metadata.namespace": return pod.text("metadata", "namespace")
        case "metadata.uid": return pod.text("metadata", "uid")
        case "metadata.labels": return Self.lines(pod.map("metadata", "labels"))
        case "metadata.annotations": return Self.lines(pod.map("metadata", "annotations"))
        case "spec.nodeName": return pod.text("spec", "nodeName") ?? ""
        case "spec.serviceAccountName": return pod.text("spec", "serviceAccountName") ?? ""
        case "status.hostIP": return hostIPs.first?.description ?? ""
        case "status.hostIPs": return hostIPs.map(\.description).joined(separator: ",")
        case "status.podIP": return podIPs.first?.description ?? ""
        case "status.podIPs": return podIPs.map(\.description).joined(separator: ",")
        default:
            for (prefix, member) in [("metadata.labels['", "labels"), ("metadata.annotations['", "annotations")]
            where path.hasPrefix(prefix) && path.hasSuffix("']") {
                return pod.map("metadata", member)[String(path.dropFirst(prefix.count).dropLast(2))] ?? ""
            }
            return nil
        }
    }

    /// `key="value"` lines in the order of the keys, quoted as Go quotes.
    static func lines(_ map: [String: String]) -> String {
        map.sorted { $0.key < $1.key }.map { "\($0.key)=\(quoted($0.value))" }.joined(separator: "\n")
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\t": out += "\\t"
            case "\r": out += "\\r"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// A container's limit or request in units of the divisor, rounded up. A limit that is not set is the node's.
    func resource(_ reference: Document, container: Document) -> String? {
        guard let path = reference.text("resource") else { return nil }
        let parts = path.split(separator: ".", maxSplits: 1).map(String.init)
        guard parts.count == 2, parts[0] == "limits" || parts[0] == "requests" else { return nil }
        var amount = Quantity.milli(container.at("resources", parts[0], parts[1]))
        if amount == nil, parts[0] == "limits" {
            switch parts[1] {
            case "cpu": amount = allocatableCPUMillis
            case "memory": amount = allocatableMemory.multipliedReportingOverflow(by: 1000).partialValue
            default: break
            }
        }
        var divisor = Quantity.milli(reference["divisor"]) ?? 1000
        if divisor == 0 { divisor = 1000 }
        let value = amount ?? 0
        return String(value / divisor + (value % divisor > 0 ? 1 : 0))
    }
}
