import Synchronization

/// The numbers that fields have in Kubernetes' protobuf messages; everything else about a field is in the schema.
///
///     package NAME
///       MESSAGE FIELD=NUMBER FIELD=NUMBER>MESSAGE …
///         and further fields of the same message
///
/// `>MESSAGE` marks a message whose fields belong to the object around it in JSON. The texts are read when the first
/// protobuf body comes or goes.
enum FieldNumbers {
    struct Field: Sendable {
        var name: String
        /// The message whose fields are spliced in here.
        var inline: String?
    }

    typealias Message = [UInt64: Field]

    private static let table = Mutex<[String: Message]?>(nil)

    /// The fields of a message by its full name, such as `k8s.io.api.core.v1.Pod`.
    static func message(_ name: String) -> Message? {
        table.withLock { table in
            if let table { return table[name] }
            let made = read()
            table = made
            return made[name]
        }
    }

    private static func read() -> [String: Message] {
        var result: [String: Message] = [:]
        for text in [core, meta, workloads, access, infrastructure, extensions] {
            var package = ""
            var name = ""
            for line in text.description.split(separator: "\n") {
                let isContinuation = line.hasPrefix("    ")
                var words = line.split(separator: " ")[...]
                if words.first == "package" {
                    package = words.last.map(String.init) ?? ""
                    continue
                }
                if !isContinuation {
                    name = "\(package).\(words.popFirst() ?? "")"
                    result[name] = [:]
                }
                for word in words {
                    let sides = word.split(separator: "=", maxSplits: 1)
                    let ends = sides[sides.count - 1].split(separator: ">", maxSplits: 1)
                    guard let number = UInt64(ends[0]) else { continue }
                    let inline = ends.count == 2 ? "\(package).\(ends[1])" : nil
                    result[name]?[number] = Field(name: String(sides[0]), inline: inline)
                }
            }
        }
        return result
    }
}
