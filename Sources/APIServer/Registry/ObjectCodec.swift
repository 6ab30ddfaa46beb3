import Document
import Kinds
import Schema
import Store

/// The stored form of objects: JSON without kind and version, which follow from the key,
/// with `metadata.resourceVersion` in it. GET, LIST and WATCH splice these bytes.
enum ObjectCodec {
    private static let mark = Array("\"resourceVersion\":\"".utf8)

    /// Encodes everything but the revision once; the result only joins three buffers.
    static func encoding(_ object: Document) -> Encoding {
        let (head, tail) = split(object)
        return { revision in
            var bytes: [UInt8] = []
            let number = String(revision).utf8
            bytes.reserveCapacity(head.count + number.count + tail.count)
            bytes += head
            bytes += number
            bytes += tail
            return bytes
        }
    }

    /// The bytes before and after the digits of the revision.
    private static func split(_ object: Document) -> (head: [UInt8], tail: [UInt8]) {
        var head: [UInt8] = [UInt8(ascii: "{")]
        head += "\"metadata\":{".utf8
        for member in object["metadata"]?.members ?? [] where member.key != "resourceVersion" {
            head += Document(member.key).json
            head.append(UInt8(ascii: ":"))
            member.value.write(to: &head)
            head.append(UInt8(ascii: ","))
        }
        head += mark
        var tail = Array("\"}".utf8)
        for member in object.members where !["metadata", "kind", "apiVersion"].contains(member.key) {
            tail.append(UInt8(ascii: ","))
            tail += Document(member.key).json
            tail.append(UInt8(ascii: ":"))
            member.value.write(to: &tail)
        }
        tail.append(UInt8(ascii: "}"))
        return (head, tail)
    }

    /// The stored form of an object that is not stored, such as a dry run's result.
    static func bytes(_ object: Document) -> [UInt8] {
        var bare = object
        bare["kind"] = nil
        bare["apiVersion"] = nil
        return bare.json
    }

    /// `{"kind":"Pod","apiVersion":"v1",`: what the stored form lacks in front.
    static func header(_ resource: ResourceInfo) -> [UInt8] {
        Array("{\"kind\":\"\(resource.kind)\",\"apiVersion\":\"\(resource.apiVersion)\",".utf8)
    }

    /// A whole object on the wire.
    static func whole(_ stored: [UInt8], _ resource: ResourceInfo) -> [UInt8] {
        if Conversion.isNeeded(resource), let object = try? Document(json: stored) {
            return splice(Conversion.shown(object, resource).json, resource)
        }
        return splice(stored, resource)
    }

    private static func splice(_ stored: [UInt8], _ resource: ResourceInfo) -> [UInt8] {
        var bytes = header(resource)
        bytes.reserveCapacity(bytes.count + stored.count)
        bytes += stored.dropFirst()
        return bytes
    }

    /// An object as an item of a list, which does without kind and version.
    static func item(_ stored: [UInt8], _ resource: ResourceInfo) -> [UInt8] {
        // What has no declared form is told apart by its kind, so it carries that everywhere.
        if resource.custom != nil { return splice(stored, resource) }
        guard Conversion.isNeeded(resource), let object = try? Document(json: stored) else { return stored }
        return Conversion.shown(object, resource).json
    }

    /// The stored form as a document with kind and version.
    static func document(_ stored: [UInt8], _ resource: ResourceInfo) throws(APIStatus) -> Document {
        do {
            return try Document(json: whole(stored, resource))
        } catch {
            throw .internalError("a stored object of \(resource.qualifiedName) cannot be read: \(error)")
        }
    }

    // MARK: Keys

    /// Resources that two API groups show share their records.
    private static func folder(_ resource: ResourceInfo) -> String {
        resource.plural == "events" ? "events" : resource.qualifiedName
    }

    static func prefix(_ resource: ResourceInfo, namespace: String = "") -> String {
        namespace.isEmpty ? "/\(folder(resource))/" : "/\(folder(resource))/\(namespace)/"
    }

    static func key(_ resource: ResourceInfo, namespace: String, name: String) -> String {
        prefix(resource, namespace: resource.namespaced ? namespace : "") + name
    }
}
