import Basics
import Document
import Kinds
import Schema
import Wire

/// Brings answers into the form that the client asked for.
struct Renderer: Sendable {
    let media: MediaType
    let resource: ResourceInfo
    let now: Timestamp
    /// None, Metadata or Object: what a table's rows carry beside their cells.
    let includeObject: String

    private var metaVersion: Document { Document("meta.k8s.io/" + media.metaVersion) }

    func body(_ answer: Answer) throws(APIStatus) -> Body {
        switch answer.content {
        case .response(let response): return response.body
        case .document(let document): return .bytes(try encode(shaped(document)))
        case .object(let stored):
            switch media.shape {
            case .whole where media.format == .json && !media.pretty:
                return .bytes(ObjectCodec.whole(stored, resource) + [10])
            case .whole: return .bytes(try encode(try ObjectCodec.document(stored, resource)))
            case .partial: return .bytes(try encode(partial(try ObjectCodec.document(stored, resource))))
            case .partialList: throw Self.shape("PartialObjectMetadataList", "is not a list", resource, list: false)
            case .table:
                let object = try ObjectCodec.document(stored, resource)
                let metadata = Document(
                    members: object.text("metadata", "resourceVersion").map { [("resourceVersion", Document($0))] }
                        ?? [])
                return .bytes(try encode(table([object], metadata: metadata, columns: true)))
            }
        case .list(let items, let metadata): return try list(items, metadata)
        }
    }

    private static func shape(_ wanted: String, _ why: String, _ resource: ResourceInfo, list: Bool) -> APIStatus {
        let package =
            resource.group.isEmpty ? "core" : resource.group.split(separator: ".").first.map(String.init) ?? ""
        return .failure(
            406, "NotAcceptable",
            "you requested \(wanted), but the requested object \(why) (*\(package).\(resource.kind)\(list ? "List" : ""))"
        )
    }

    private func encode(_ document: Document) throws(APIStatus) -> [UInt8] {
        try Self.encode(document, media)
    }

    static func encode(_ document: Document, _ media: MediaType) throws(APIStatus) -> [UInt8] {
        switch media.format {
        case .json: media.pretty ? document.indentedJSON : document.json + [10]
        case .yaml: document.inKeyOrder.yaml
        case .protobuf: try ProtobufEncoder.body(document)
        }
    }

    private func list(_ items: [[UInt8]], _ metadata: Document) throws(APIStatus) -> Body {
        switch media.shape {
        case .partial: throw Self.shape("PartialObjectMetadata", "is a list", resource, list: true)
        case .whole where media.format == .json && !media.pretty:
            let metadata = listMetadata(metadata)
            var pieces: [[UInt8]] = []
            pieces.reserveCapacity(items.count * 2 + 1)
            pieces.append(
                Array(
                    "{\"kind\":\"\(resource.listKind)\",\"apiVersion\":\"\(resource.apiVersion)\",\"metadata\":".utf8)
                    + metadata.json + Array(",\"items\":[".utf8))
            let comma = [UInt8(ascii: ",")]
            for (index, item) in items.enumerated() {
                if index > 0 { pieces.append(comma) }
                pieces.append(ObjectCodec.item(item, resource))
            }
            pieces.append(Array("]}\n".utf8))
            return .pieces(pieces)
        case .whole where media.format == .protobuf: return .pieces(try protobufList(items, metadata))
        default: break
        }
        var objects: [Document] = []
        objects.reserveCapacity(items.count)
        for item in items { objects.append(try ObjectCodec.document(item, resource)) }
        switch media.shape {
        case .table: return .bytes(try encode(table(objects, metadata: metadata, columns: true)))
        case .partialList:
            return .bytes(
                try encode([
                    "kind": "PartialObjectMetadataList", "apiVersion": metaVersion, "metadata": metadata,
                    "items": Document(objects.map(partial)),
                ]))
        default:
            let bare = objects.map { object in
                if resource.custom != nil { return object }
                var object = object
                object["kind"] = nil
                object["apiVersion"] = nil
                return object
            }
            return .bytes(
                try encode([
                    "kind": Document(resource.listKind), "apiVersion": Document(resource.apiVersion),
                    "metadata": listMetadata(metadata), "items": Document(bare),
                ]))
        }
    }

    /// Lists of custom resources always say where they go on.
    private func listMetadata(_ given: Document) -> Document {
        guard resource.custom != nil, given["continue"] == nil else { return given }
        var metadata = given
        metadata["continue"] = ""
        return metadata
    }

    /// Item by item, so that a long list is never a tree as a whole, nor its items copied together.
    private func protobufList(_ items: [[UInt8]], _ metadata: Document) throws(APIStatus) -> [[UInt8]] {
        guard let listMeta = Kinds.registry.type(group: "meta", version: "v1", name: "ListMeta") else {
            throw .internalError("ListMeta is not declared")
        }
        do {
            var head: [UInt8] = []
            ProtobufWire.bytes(1, try ProtobufEncoder.message(metadata, type: listMeta.info), to: &head)
            var pieces: [[UInt8]] = []
            pieces.reserveCapacity(items.count + 2)
            pieces.append([])
            var length = head.count
            for item in items {
                let piece = try StoredMessages.item(of: item, resource)
                length += piece.count
                pieces.append(piece)
            }
            pieces[0] =
                ProtobufWire.opening(apiVersion: resource.apiVersion, kind: resource.listKind, length: length) + head
            pieces.append(ProtobufWire.closing)
            return pieces
        } catch {
            throw .internalError("a list of \(resource.qualifiedName) cannot be written as protobuf: \(error)")
        }
    }

    func partial(_ object: Document) -> Document {
        [
            "kind": "PartialObjectMetadata", "apiVersion": metaVersion,
            "metadata": Conversion.ownMetadata(object, resource),
        ]
    }

    /// A document that is none of the resource's own objects. Scales can be shown like objects, the rest only as it is.
    private func shaped(_ document: Document) -> Document {
        guard media.shape != .whole, document.text("kind") == "Scale" else { return document }
        if media.shape == .partial { return partial(document) }
        let version = document.at("metadata", "resourceVersion") ?? ""
        let cells: Document = [
            document.at("metadata", "name") ?? "", document.at("spec", "replicas") ?? 0,
            document.at("status", "replicas") ?? 0, Kinds.ageCell(of: document, now: now),
        ]
        return [
            "kind": "Table", "apiVersion": metaVersion, "metadata": ["resourceVersion": version],
            "columnDefinitions": Document(Self.scaleColumns.map(Self.definition)),
            "rows": [["cells": cells, "object": includeObject == "None" ? .null : partial(document)]],
        ]
    }

    private static let scaleColumns = [
        TableColumn(name: "Name", type: "string", description: "Name of the object."),
        TableColumn(name: "Desired", type: "integer", description: "Number of pods wanted."),
        TableColumn(name: "Available", type: "integer", description: "Number of pods there."),
        TableColumn(name: "Age", type: "string", description: "Time since it was made."),
    ]

    // MARK: Tables

    func table(_ objects: [Document], metadata: Document, columns: Bool) -> Document {
        let rows = objects.map { object -> Document in
            var row: Document = ["cells": Document(Kinds.tableCells(object, resource: resource, now: now))]
            switch includeObject {
            case "None": row["object"] = .null
            case "Object": row["object"] = object
            default: row["object"] = partial(object)
            }
            return row
        }
        return [
            "kind": "Table", "apiVersion": metaVersion, "metadata": metadata,
            "columnDefinitions": columns ? Document(columnDefinitions) : .null, "rows": Document(rows),
        ]
    }

    private var columnDefinitions: [Document] {
        var columns = resource.columns
        if columns.isEmpty {
            columns = [
                TableColumn(name: "Name", type: "string", format: "name", description: ""),
                TableColumn(name: "Created At", type: "date", description: ""),
            ]
        }
        return columns.map(Self.definition)
    }

    private static func definition(_ column: TableColumn) -> Document {
        [
            "name": Document(column.name), "type": Document(column.type), "format": Document(column.format),
            "description": Document(column.description), "priority": Document(column.priority),
        ]
    }
}
