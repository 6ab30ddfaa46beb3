import Glibc
import Testing

@testable import Schema

/// The conformance cases of the language's specification, in the folder that LAB_VECTORS names.
@Suite struct CELVectorTests {
    static let folder = getenv("LAB_VECTORS").map { String(cString: $0) }

    /// Cases that need what Kubernetes' expressions do not have.
    static func exception(_ file: String, _ section: String, _ name: String, _ test: TextProto) -> String? {
        let source = test["expr"]?.text ?? ""
        if source.contains("TestAllTypes") || source.contains("google.protobuf.") || source.contains("NestedEnum") {
            return "protocol buffer messages"
        }
        if ["cel.block", "cel.iterVar", "cel.index"].contains(where: { source.contains($0) }) {
            return "blocks made by an optimizer"
        }
        if test.all("type_env").contains(where: { $0["ident"]?["type"]?["message_type"] != nil }) { return "messages" }
        if test.all("bindings").contains(where: { Self.mentionsMessages($0) }) { return "messages" }
        return exceptions["\(file)/\(section)/\(name)"]
    }

    static let exceptions: [String: String] = [:]

    private static func mentionsMessages(_ proto: TextProto) -> Bool {
        proto.fields.contains { field in
            field.name.contains("conformance") || mentionsMessages(field.value)
        }
    }

    @Test(.enabled(if: folder != nil)) func specification() throws {
        let folder = try #require(Self.folder)
        var passed = 0
        var failures: [String] = []
        for file in [
            "basic", "bindings_ext", "block_ext", "comparisons", "conversions", "encoders_ext", "fields", "fp_math",
            "integer_math", "lists", "logic", "macros", "math_ext", "string", "string_ext", "timestamps",
        ] {
            let document = try TextProto(Self.read("\(folder)/cel/\(file).textproto"))
            for section in document.all("section") {
                for test in section.all("test") {
                    let name = test["name"]?.text ?? ""
                    let place = section["name"]?.text ?? ""
                    if Self.exception(file, place, name, test) != nil { continue }
                    if let problem = Self.run(test) {
                        failures.append("\(file)/\(place)/\(name): \(test["expr"]?.text ?? ""): \(problem)")
                    } else {
                        passed += 1
                    }
                }
            }
        }
        #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
        #expect(passed > 1000)
    }

    private static func read(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// What went wrong, nil where nothing did.
    private static func run(_ test: TextProto) -> String? {
        var environment = CEL.Environment(library: .all)
        environment.homogeneousLiterals = false
        environment.container = test["container"]?.text ?? ""
        for declared in test.all("type_env") {
            guard let name = declared["name"]?.text, let type = declared["ident"]?["type"] else { continue }
            environment.declare(name, valueType(type))
        }
        var bindings = CEL.Bindings()
        for binding in test.all("bindings") {
            guard let key = binding["key"]?.text, let proto = binding["value"]?["value"], let value = value(proto)
            else {
                return "unreadable binding"
            }
            bindings[key] = value
        }
        let isChecked = test["disable_check"]?.text != "true"
        let wantsError = test["eval_error"] != nil
        let program: CEL.Program
        do {
            program = try environment.compile(test["expr"]?.text ?? "", isChecked: isChecked)
        } catch {
            return wantsError ? nil : "does not compile: \(error)"
        }
        switch program.evaluate(bindings).result {
        case .failure(let failure): return wantsError ? nil : failure.message
        case .success(let found):
            if wantsError { return "expected an error, found \(CEL.Conversion.text(found))" }
            guard let proto = test["value"] else { return found.bool == true ? nil : "not true" }
            guard let wanted = value(proto) else { return "unreadable value" }
            if case .double(let a) = wanted, case .double(let b) = found, a.isNaN, b.isNaN { return nil }
            let isSame = wanted.equals(found) && wanted.type.runtimeName == found.type.runtimeName
            return isSame ? nil : "expected \(CEL.Conversion.text(wanted)), found \(CEL.Conversion.text(found))"
        }
    }

    private static func valueType(_ proto: TextProto) -> CEL.ValueType {
        switch proto["primitive"]?.text {
        case "BOOL": return .bool
        case "INT64": return .int
        case "UINT64": return .uint
        case "DOUBLE": return .double
        case "STRING": return .string
        case "BYTES": return .bytes
        default: break
        }
        switch proto["well_known"]?.text {
        case "TIMESTAMP": return .timestamp
        case "DURATION": return .duration
        default: break
        }
        if let map = proto["map_type"] {
            return .map(map["key_type"].map(valueType) ?? .dyn, map["value_type"].map(valueType) ?? .dyn)
        }
        if let list = proto["list_type"] { return .list(list["elem_type"].map(valueType) ?? .dyn) }
        return .dyn
    }

    private static func value(_ proto: TextProto) -> CEL.Value? {
        guard let field = proto.fields.first else { return nil }
        let text = field.value.text ?? ""
        switch field.name {
        case "null_value": return .null
        case "bool_value": return .bool(text == "true")
        case "int64_value": return integer(text).map { .int($0) }
        case "uint64_value": return UInt64(text).map { .uint($0) }
        case "double_value":
            switch text {
            case "nan", "NaN": return .double(.nan)
            case "inf", "infinity", "Infinity": return .double(.infinity)
            case "-inf", "-infinity", "-Infinity": return .double(-.infinity)
            default: return Double(text).map { .double($0) }
            }
        case "string_value": return .string(text)
        case "bytes_value": if case .string(let bytes) = field.value { return .bytes(bytes) } else { return nil }
        case "type_value":
            return .type(CEL.ValueType.named[text] ?? .opaque(text))
        case "list_value": return .list(.values(field.value.all("values").compactMap { value($0) }))
        case "map_value":
            var entries = CEL.Map.Entries()
            for entry in field.value.all("entries") {
                guard let key = entry["key"].flatMap({ value($0) }), let value = entry["value"].flatMap({ value($0) }),
                    let hashed = CEL.Key(key)
                else { return nil }
                _ = entries.insert(key, hashed, value)
            }
            return .map(.entries(entries))
        case "object_value":
            guard let inner = field.value.fields.first else { return nil }
            let seconds = integer(inner.value["seconds"]?.text ?? "0") ?? 0
            let nanos = integer(inner.value["nanos"]?.text ?? "0") ?? 0
            if inner.name.contains("Duration") { return .duration(seconds * 1_000_000_000 + nanos) }
            if inner.name.contains("Timestamp") {
                return CEL.Instant(seconds: seconds, nanos: Int32(nanos)).map { .timestamp($0) }
            }
            return nil
        default: return nil
        }
    }

    private static func integer(_ text: String) -> Int64? {
        text.hasPrefix("0x") ? Int64(text.dropFirst(2), radix: 16) : Int64(text)
    }
}
