import Document
import Kinds
import Schema
import Store

extension Resources {
    func get(_ call: Call) async throws -> Answer {
        let text = call.info.query["resourceVersion"] ?? ""
        guard text.isEmpty || Revision(text).map({ $0 >= 0 }) == true else {
            throw APIStatus.failure(
                500, "",
                "resourceVersion: Invalid value: \"\(text)\": strconv.ParseUint: parsing \"\(text)\": invalid syntax")
        }
        if let asked = Revision(text), asked > 0 {
            let current = await store.revision
            if asked > current { throw APIStatus.tooLarge(current: current, asked: asked) }
        }
        guard let record = try await record(call.resource, namespace: call.namespace, name: call.name) else {
            throw APIStatus.notFound(call.resource, call.name)
        }
        return .object(record.value)
    }

    /// A query's resource version; nil where absent.
    static func revision(_ text: String?) throws(APIStatus) -> Revision? {
        guard let text, !text.isEmpty else { return nil }
        guard text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let value = Revision(text) else {
            throw .badRequest(
                "invalid resource version: resourceVersion: Invalid value: \"\(text)\": strconv.ParseUint: parsing "
                    + "\"\(text)\": invalid syntax")
        }
        return value
    }

    static func integer(_ text: String?) throws(APIStatus) -> Int? {
        guard let text, !text.isEmpty else { return nil }
        guard let value = Int(text) else {
            throw .badRequest("strconv.ParseInt: parsing \"\(text)\": invalid syntax")
        }
        return value
    }

    func list(_ call: Call) async throws -> Answer {
        let query = call.info.query
        let selection = try Selection(query, resource: call.resource)
        var limit = try Self.integer(query["limit"]).flatMap { $0 > 0 ? $0 : nil }
        // Version 0 means "whatever is at hand", and upstream's cache answers that whole.
        if query["resourceVersion"] == "0" { limit = nil }
        _ = try Self.integer(query["timeoutSeconds"])
        let asked = try listRevision(query)
        let prefix = ObjectCodec.prefix(call.resource, namespace: call.namespace)
        var after: String?
        var revision: Revision?
        if let token = query["continue"], !token.isEmpty {
            guard (query["resourceVersion"] ?? "").isEmpty || query["resourceVersion"] == "0" else {
                throw APIStatus.badRequest("specifying resource version is not allowed when using continue")
            }
            let start = try ContinueToken(token)
            after = prefix + start.name
            revision = start.revision < 0 ? nil : start.revision
        } else if let asked {
            let current = await store.revision
            if asked.revision > current { throw APIStatus.tooLarge(current: current, asked: asked.revision) }
            // Only an exact match looks into the past; everything newer satisfies the rest. A page of a list that
            // names its revision is of that revision, as the following pages have to be.
            if asked.exact || (limit != nil && !asked.lenient && asked.revision > 0) { revision = asked.revision }
        }
        let page: Page
        do {
            page = try await self.page(call, prefix, after, limit, revision, selection)
        } catch StoreError.compacted {
            guard let after else { throw APIStatus.expired("The resourceVersion for the provided list is too old.") }
            var status = APIStatus.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                    + "list without the continue parameter, or use the continue token in this response to retrieve the "
                    + "remainder of the results. Continuing with the provided token results in an inconsistent list - "
                    + "objects that were created, modified, or deleted between the time the first chunk was returned and "
                    + "now may show up in the list.")
            status.continue =
                ContinueToken(revision: ContinueToken.newest, name: String(after.dropFirst(prefix.count))).text
            throw status
        }
        return .init(
            content: .list(
                page.records.map(\.value),
                metadata: Self.listMetadata(page, limit: limit, prefix: prefix, counted: selection.isEmpty)))
    }

    private func listRevision(
        _ query: Query
    ) throws(APIStatus) -> (revision: Revision, exact: Bool, lenient: Bool)? {
        let text = query["resourceVersion"] ?? ""
        let match = query["resourceVersionMatch"] ?? ""
        var errors: [FieldError] = []
        if !match.isEmpty {
            if text.isEmpty {
                errors.append(
                    .forbidden(
                        "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"))
            }
            if !(query["continue"] ?? "").isEmpty {
                errors.append(
                    .forbidden(
                        "resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
            }
            if match != "Exact", match != "NotOlderThan" {
                errors.append(
                    .notSupported("resourceVersionMatch", Document(match), ["Exact", "NotOlderThan", ""]))
            }
            if match == "Exact", text == "0" {
                errors.append(
                    .forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""))
            }
        }
        if query["sendInitialEvents"] != nil {
            errors.append(.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
        }
        if !errors.isEmpty { throw .invalid(kind: "ListOptions", group: "meta.k8s.io", name: "", errors) }
        guard let revision = try Self.revision(text) else { return nil }
        return (revision, match == "Exact", match == "NotOlderThan")
    }

    /// A page of matching records. Where a selector thins them out, more is read until the page is full.
    private func page(
        _ call: Call, _ prefix: String, _ start: String?, _ limit: Int?, _ revision: Revision?,
        _ selection: Selection
    ) async throws -> Page {
        if selection.isEmpty {
            return try await store.list(prefix: prefix, after: start, limit: limit, at: revision)
        }
        if let name = selection.name, !call.namespace.isEmpty || !call.resource.namespaced, revision == nil {
            let now = await store.revision
            let found = try await record(call.resource, namespace: call.namespace, name: name)
            let matching = try found.map { try matches($0, selection, call.resource) ? [$0] : [] } ?? []
            return Page(records: matching, revision: now, remaining: 0)
        }
        let page = try await store.list(prefix: prefix, after: start, limit: nil, at: revision)
        var found: [Record] = []
        var remaining = 0
        for record in page.records where try matches(record, selection, call.resource) {
            if let limit, found.count >= limit {
                remaining = 1
                break
            }
            found.append(record)
        }
        return Page(records: found, revision: page.revision, remaining: remaining)
    }

    private func matches(_ record: Record, _ selection: Selection, _ resource: ResourceInfo) throws -> Bool {
        selection.matches(try ObjectCodec.document(record.value, resource), resource: resource)
    }

    static func listMetadata(_ page: Page, limit: Int?, prefix: String, counted: Bool) -> Document {
        var metadata: Document = ["resourceVersion": Document(String(page.revision))]
        if limit != nil, page.remaining > 0, let last = page.records.last {
            let name = String(last.key.dropFirst(prefix.count))
            metadata["continue"] = Document(ContinueToken(revision: page.revision, name: name).text)
            if counted { metadata["remainingItemCount"] = Document(page.remaining) }
        }
        return metadata
    }
}
