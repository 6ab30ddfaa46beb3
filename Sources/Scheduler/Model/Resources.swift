import Document
import Kinds

/// Amounts of what nodes have: CPU in thousandths, everything else in its own unit.
struct Resources: Sendable, Equatable {
    var cpu = 0
    var memory = 0
    var storage = 0
    /// Huge pages and extended resources.
    var other: [String: Int] = [:]

    init() {}

    /// The resource list at `path`, such as a container's requests.
    init(_ object: Document, _ path: String...) {
        for member in object.at(path: path)?.members ?? [] { self[member.key] = Self.amount(member) }
    }

    subscript(name: String) -> Int {
        get {
            switch name {
            case "cpu": cpu
            case "memory": memory
            case "ephemeral-storage": storage
            default: other[name] ?? 0
            }
        }
        set {
            switch name {
            case "cpu": cpu = newValue
            case "memory": memory = newValue
            case "ephemeral-storage": storage = newValue
            default: other[name] = newValue == 0 ? nil : newValue
            }
        }
    }

    var isEmpty: Bool { cpu == 0 && memory == 0 && storage == 0 && other.isEmpty }

    static func += (a: inout Resources, b: Resources) {
        a.cpu += b.cpu
        a.memory += b.memory
        a.storage += b.storage
        if !b.other.isEmpty { for (name, amount) in b.other { a[name] += amount } }
    }

    static func -= (a: inout Resources, b: Resources) {
        a.cpu -= b.cpu
        a.memory -= b.memory
        a.storage -= b.storage
        if !b.other.isEmpty { for (name, amount) in b.other { a[name] -= amount } }
    }

    mutating func raise(to other: Resources) {
        cpu = max(cpu, other.cpu)
        memory = max(memory, other.memory)
        storage = max(storage, other.storage)
        for (name, amount) in other.other { self[name] = max(self[name], amount) }
    }

    private static func amount(_ member: Document.Member) -> Int {
        let isCPU = member.key == "cpu"
        if let text = member.value.string {
            if let plain = plainAmount(text, isCPU: isCPU) { return plain }
            return Quantity(text).map { isCPU ? $0.milliValue : $0.value } ?? 0
        }
        return (member.value.int ?? 0) * (isCPU ? 1_000 : 1)
    }

    /// The spellings that nearly every pod uses, read without building a quantity: digits, then nothing, `m` (of
    /// CPU), `Ki`, `Mi` or `Gi`.
    private static func plainAmount(_ text: String, isCPU: Bool) -> Int? {
        var value = 0
        var digits = 0
        var suffix = 0
        for byte in text.utf8 {
            if (48...57).contains(byte), suffix == 0 {
                digits += 1
                if digits > 12 { return nil }
                value = value * 10 + Int(byte - 48)
            } else {
                suffix = suffix << 8 | Int(byte)
                if suffix > 0xFFFF { return nil }
            }
        }
        if digits == 0 { return nil }
        switch suffix {
        case 0: return isCPU ? value * 1_000 : value
        case 0x6D where isCPU: return value
        case 0x4B69 where !isCPU: return value << 10
        case 0x4D69 where !isCPU: return value << 20
        case 0x4769 where !isCPU && digits < 9: return value << 30
        default: return nil
        }
    }
}

/// What a pod needs at the same time at its worst moment.
///
/// Init containers run one after the other, beside the sidecars started before them; then the containers run beside
/// all sidecars. What the pod as a whole asks for takes the place of its containers' sum. While a resize is under way
/// the larger of what is asked for and what was granted counts.
struct PodRequests: Sendable, Equatable {
    var exact = Resources()
    /// CPU and memory with a small default for containers that ask for none, so that scores see them too.
    var scored = Resources()

    private static let defaultCPU = 100
    private static let defaultMemory = 200 << 20

    init(_ pod: Document) {
        let granted = Self.granted(pod)
        exact = Self.total(pod, granted, defaults: false)
        scored = Self.total(pod, granted, defaults: true)
    }

    private static func total(_ pod: Document, _ granted: [String: Resources], defaults: Bool) -> Resources {
        func needs(_ container: Document) -> Resources {
            var resources = Resources(container, "resources", "requests")
            if !granted.isEmpty, let given = granted[container.text("name") ?? ""] { resources.raise(to: given) }
            if defaults {
                if resources.cpu == 0, container.at("resources", "requests", "cpu") == nil {
                    resources.cpu = defaultCPU
                }
                if resources.memory == 0, container.at("resources", "requests", "memory") == nil {
                    resources.memory = defaultMemory
                }
            }
            return resources
        }
        var running = Resources()
        for container in pod.list("spec", "containers") { running += needs(container) }
        var sidecars = Resources()
        var starting = Resources()
        for container in pod.list("spec", "initContainers") {
            var moment = needs(container)
            if container.text("restartPolicy") == "Always" {
                sidecars += moment
                starting.raise(to: sidecars)
            } else {
                moment += sidecars
                starting.raise(to: moment)
            }
        }
        running += sidecars
        running.raise(to: starting)
        if let whole = pod.at("spec", "resources", "requests") {
            let requests = Resources(whole)
            for member in whole.members { running[member.key] = requests[member.key] }
        }
        if pod.at("spec", "overhead") != nil { running += Resources(pod, "spec", "overhead") }
        return running
    }

    /// By container, what the node has granted.
    private static func granted(_ pod: Document) -> [String: Resources] {
        var granted: [String: Resources] = [:]
        for list in ["containerStatuses", "initContainerStatuses"] {
            for status in pod.list("status", list) {
                guard let name = status.text("name") else { continue }
                var resources = Resources(status, "allocatedResources")
                resources.raise(to: Resources(status, "resources", "requests"))
                if !resources.isEmpty { granted[name] = resources }
            }
        }
        return granted
    }
}
