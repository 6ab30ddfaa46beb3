import Document
import Kinds
import Schema

/// A patched object as the upstream server shows it in a refusal: objects that the patch went through have their
/// members in alphabetical order, all others in the order in which the server's own structures declare them.
struct PatchText {
    /// The objects that a patch went through.
    struct Trail {
        var members: [String: Trail] = [:]

        mutating func add(_ path: ArraySlice<String>) {
            guard let first = path.first else { return }
            members[first, default: Trail()].add(path.dropFirst())
        }

        /// Of a merge patch.
        init(merge patch: Document) {
            for member in patch.members where member.value.isObject { members[member.key] = Trail(merge: member.value) }
        }

        /// Of the pointers of a JSON patch; what they point at is no part of the trail, what holds it is.
        init(json patch: Document) {
            for operation in patch.elements {
                for field in ["path", "from"] {
                    let steps = (operation.text(field) ?? "").split(separator: "/").map(String.init)
                    add(steps.dropLast())
                }
            }
        }

        private init() {}
    }

    static func text(_ object: Document, _ type: TypeInfo, _ trail: Trail) -> String {
        ordered(object, type, trail).jsonText
    }

    private static func ordered(_ value: Document, _ type: TypeInfo?, _ trail: Trail?) -> Document {
        guard value.isObject else { return value }
        var members = value.members
        if trail != nil || type == nil {
            if trail != nil { members.sort { $0.key < $1.key } }
        } else if let type, let order = order(of: type) {
            members.sort { (order[$0.key] ?? .max) < (order[$1.key] ?? .max) }
        }
        return Document(
            members: members.map { member in
                (member.key, inner(member.value, type?.field(member.key)?.shape, trail?.members[member.key]))
            })
    }

    private static func inner(_ value: Document, _ shape: Shape?, _ trail: Trail?) -> Document {
        switch shape {
        case .object(let type): return ordered(value, type, trail)
        case .list(let element): return Document(value.elements.map { inner($0, element, nil) })
        case .map(let element):
            guard value.isObject else { return value }
            return Document(
                members: value.members.sorted { $0.key < $1.key }.map { ($0.key, inner($0.value, element, nil)) })
        default: return value
        }
    }

    /// Fields that came later and stand beside the one that they belong to: the field, and what it follows.
    private static let lateFields: [String: [(field: String, follows: String)]] = [
        "Container": [
            ("envFrom", "ports"), ("resizePolicy", "resources"), ("restartPolicy", "resizePolicy"),
            ("restartPolicyRules", "restartPolicy"), ("volumeDevices", "volumeMounts"),
            ("startupProbe", "readinessProbe"), ("terminationMessagePolicy", "terminationMessagePath"),
        ],
        "PodSpec": [
            ("initContainers", "volumes"), ("ephemeralContainers", "containers"),
            ("automountServiceAccountToken", "serviceAccount"), ("shareProcessNamespace", "hostIPC"),
        ],
    ]

    /// The order of the structures is that of the numbers of their protobuf fields, all but the late additions.
    private static func order(of type: TypeInfo) -> [String: Int]? {
        guard let plan = MessagePlan.of(type) else { return nil }
        var places: [(UInt64, String)] = plan.fields.map { ($0.number, $0.name) }
        for inline in plan.inlines { places += inline.plan.fields.map { (inline.number, $0.name) } }
        let sorted = places.enumerated().sorted { a, b in
            a.element.0 == b.element.0 ? a.offset < b.offset : a.element.0 < b.element.0
        }
        var names = sorted.map(\.element.1)
        for (field, follows) in lateFields[type.name] ?? [] {
            guard let from = names.firstIndex(of: field) else { continue }
            names.remove(at: from)
            names.insert(field, at: (names.firstIndex(of: follows) ?? names.count - 1) + 1)
        }
        var order = ["kind": -2, "apiVersion": -1]
        for (place, name) in names.enumerated() { order[name] = place }
        return order
    }
}

/// Why an object that a strategic merge made is none of its kind, in the words of Go's converter of maps to structures.
enum StructureConversion {
    static func error(in value: Document, _ shape: Shape) -> String? {
        if value.isNull { return nil }
        switch shape {
        case .object(let type):
            guard value.isObject else { return "cannot restore struct from: \(kind(value))" }
            for member in value.members {
                guard let field = type.field(member.key) else { continue }
                if let text = error(in: member.value, field.shape) { return text }
            }
        case .list(let element):
            guard value.isArray else { return "cannot restore slice from \(kind(value))" }
            for item in value.elements { if let text = error(in: item, element) { return text } }
        case .map(let element):
            guard value.isObject else { return "cannot restore map from \(kind(value))" }
            for member in value.members { if let text = error(in: member.value, element) { return text } }
        case .string:
            if value.string != nil { return nil }
            return value.int != nil ? "cannot convert int64 to string" : "unrecognized type: string"
        case .bool: return value.bool != nil ? nil : "unrecognized type: bool"
        case .int32, .int64:
            if value.int != nil { return nil }
            let name = if case .int32 = shape { "int32" } else { "int64" }
            if let number = value.double {
                return number == number.rounded() ? nil : "cannot convert float64 to \(name)"
            }
            return "unrecognized type: \(name)"
        case .double: return value.double != nil ? nil : "unrecognized type: float64"
        default: return nil
        }
        return nil
    }

    private static func kind(_ value: Document) -> String {
        switch value.kind {
        case .null: "invalid"
        case .bool: "bool"
        case .int: "int64"
        case .double: "float64"
        case .string: "string"
        case .array: "slice"
        case .object: "map"
        }
    }
}
