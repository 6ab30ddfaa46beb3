import Basics
import Document

/// A `KubeletConfiguration` of `kubelet.config.k8s.io/v1beta1`: what a node's administrator may set. A field that this
/// node agent does not know is an error, so that nobody believes in a setting that does nothing.
public enum KubeletSettingsFile {
    public struct Problem: Error, Equatable, CustomStringConvertible {
        public var description: String
        init(_ description: String) { self.description = "kubelet configuration: \(description)" }
    }

    /// Where it lies on a node.
    public static let path = "/var/lib/kubelet/config.yaml"

    public static func apply(_ bytes: [UInt8], to configuration: inout KubeletConfiguration) throws {
        let file: Document
        do { file = try Document(yaml: bytes) } catch { throw Problem("\(error)") }
        guard file.isObject else { throw Problem("this is no object") }
        for (member, wanted) in [("kind", "KubeletConfiguration"), ("apiVersion", "kubelet.config.k8s.io/v1beta1")] {
            guard file.text(member) == wanted else { throw Problem("\(member) is not \(wanted)") }
        }
        var eviction = configuration.eviction
        var softGrace: [String: Duration] = [:]
        for member in file.members where member.key == "evictionSoftGracePeriod" {
            for entry in member.value.members { softGrace[entry.key] = try duration(entry.value, member.key) }
        }
        for member in file.members {
            try take(member.key, member.value, &configuration, &eviction, softGrace)
        }
        configuration.eviction = eviction
    }

    private static func take(
        _ name: String, _ value: Document, _ configuration: inout KubeletConfiguration,
        _ eviction: inout EvictionSettings, _ softGrace: [String: Duration]
    ) throws {
        switch name {
        case "kind", "apiVersion", "evictionSoftGracePeriod": break
        case "maxPods": configuration.maxPods = try number(value, name, 0...100_000)
        case "podPidsLimit":
            let limit = try number(value, name, -1...4_194_304)
            configuration.podPidsLimit = limit > 0 ? Int64(limit) : Int64?.none
        case "staticPodPath": configuration.staticPodPath = try text(value, name)
        case "staticPodURL": configuration.staticPodURL = try text(value, name)
        case "staticPodURLHeader":
            for member in value.members {
                configuration.staticPodURLHeaders[member.key] = member.value.elements.compactMap(\.string)
            }
        case "httpCheckFrequency": configuration.staticPodURLInterval = try duration(value, name)
        case "allowedUnsafeSysctls": configuration.allowedUnsafeSysctls = value.elements.compactMap(\.string)
        case "systemReserved", "kubeReserved":
            for member in value.members {
                guard let amount = Quantity.milli(member.value) else {
                    throw Problem("\(name).\(member.key) is no quantity")
                }
                let before = configuration.reserved[member.key].flatMap(Quantity.milli) ?? 0
                configuration.reserved[member.key] = "\(before + amount)m"
            }
        case "evictionHard": eviction.hard = try thresholds(value, grace: nil)
        case "evictionSoft": eviction.soft = try thresholds(value, grace: softGrace)
        case "evictionMaxPodGracePeriod":
            eviction.longestPodGrace = .seconds(try number(value, name, 0...100_000))
        case "evictionPressureTransitionPeriod": eviction.transition = try duration(value, name)
        case "containerLogMaxSize":
            guard let bytes = Quantity.value(value), bytes > 0 else { throw Problem("\(name) is no quantity") }
            configuration.maximumLogBytes = bytes
        case "containerLogMaxFiles": configuration.keptLogs = try number(value, name, 2...1000) - 1
        case "nodeStatusUpdateFrequency", "nodeStatusReportFrequency":
            configuration.statusInterval = try duration(value, name)
        case "nodeLeaseDurationSeconds": configuration.leaseSeconds = try number(value, name, 1...100_000)
        case "maxParallelImagePulls": configuration.parallelPulls = try number(value, name, 1...1000)
        case "serializeImagePulls": if value.bool == true { configuration.parallelPulls = 1 }
        case "imageGCHighThresholdPercent": configuration.imageHighThresholdPercent = try number(value, name, 0...100)
        case "imageGCLowThresholdPercent": configuration.imageLowThresholdPercent = try number(value, name, 0...100)
        case "imageMinimumGCAge": configuration.imageMinimumAge = try duration(value, name)
        case "imageMaximumGCAge":
            let age = try duration(value, name)
            configuration.imageMaximumAge = age > .zero ? age : .none
        case "clusterDomain": configuration.clusterDomain = try text(value, name)
        case "clusterDNS": configuration.clusterDNS = value.elements.compactMap { $0.string.flatMap { IPAddress($0) } }
        case "resolvConf": configuration.resolvConf = try text(value, name)
        case "registerNode": configuration.registerNode = value.bool ?? true
        case "registerWithTaints": configuration.taints = value.elements
        default: throw Problem("the field \"\(name)\" is not known to this node agent")
        }
    }

    private static func thresholds(_ value: Document, grace: [String: Duration]?) throws -> [EvictionThreshold] {
        try value.members.sorted { $0.key < $1.key }.map { member in
            var own: Duration?
            if let grace {
                guard let found = grace[member.key] else {
                    throw Problem("evictionSoft.\(member.key) has no evictionSoftGracePeriod")
                }
                own = found
            }
            return try EvictionThreshold(member.key, member.value.string ?? "", grace: own)
        }
    }

    private static func number(_ value: Document, _ name: String, _ range: ClosedRange<Int>) throws -> Int {
        guard let number = value.int, range.contains(number) else { throw Problem("\(name) is no number in \(range)") }
        return number
    }

    private static func text(_ value: Document, _ name: String) throws -> String {
        guard let text = value.string else { throw Problem("\(name) is no text") }
        return text
    }

    /// Go's form: `10s`, `1m30s`, `500ms`, `2h`.
    private static func duration(_ value: Document, _ name: String) throws -> Duration {
        var total = Duration.zero
        var rest = Substring(value.string ?? "")
        let units: [(String, Duration)] = [
            ("ms", .milliseconds(1)), ("h", .seconds(3600)), ("m", .seconds(60)), ("s", .seconds(1)),
        ]
        guard !rest.isEmpty else { throw Problem("\(name) is no duration") }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            guard let number = Double(digits), let (unit, size) = units.first(where: { rest.hasPrefix($0.0) }) else {
                throw Problem("\(name) is no duration")
            }
            total += size * number
            rest = rest.dropFirst(unit.count)
        }
        return total
    }
}
