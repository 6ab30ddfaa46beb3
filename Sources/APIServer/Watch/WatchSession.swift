import Basics
import Document
import Kinds
import Schema
import Store
import Wire

/// What a watch request asks for, checked before anything is answered.
struct WatchRequest: Sendable {
    var selection: Selection
    /// Nil: begin with what exists now.
    var after: Revision?
    /// What is sent first must not be older than this.
    var oldest: Revision?
    /// Send what exists first, then go on; upstream does so for the resource versions "" and "0".
    var initialEvents: Bool
    /// Mark the end of what existed with a bookmark.
    var marksInitialEnd: Bool
    var bookmarks: Bool
    var timeout: Duration

    init(_ call: Call, random: any Randomness) throws(APIStatus) {
        let query = call.info.query
        if call.media.format == .yaml {
            // A stream of it has no form that clients agree on.
            let types = MediaType.known.filter { $0 != "application/yaml" }.map { $0 + ";stream=watch" }
            throw .failure(
                406, "NotAcceptable",
                "only the following media types are accepted: " + types.joined(separator: ", "))
        }
        selection = try Selection(query, resource: call.resource)
        if !call.name.isEmpty { selection.pin(name: call.name) }
        bookmarks = query.flag("allowWatchBookmarks")
        let revision = try Resources.revision(query["resourceVersion"])
        let match = query["resourceVersionMatch"] ?? ""
        var errors: [FieldError] = []
        if let wanted = query["sendInitialEvents"], !wanted.isEmpty {
            let wants = query.flag("sendInitialEvents")
            oldest = wants ? revision : nil
            if match != "NotOlderThan" {
                errors.append(
                    match.isEmpty
                        ? .forbidden(
                            "resourceVersionMatch",
                            "sendInitialEvents requires setting resourceVersionMatch to "
                                + "NotOlderThan")
                        : .forbidden(
                            "resourceVersionMatch",
                            "resourceVersionMatch is forbidden for watch unless "
                                + "sendInitialEvents is provided"))
            }
            initialEvents = wants
            marksInitialEnd = wants && bookmarks
            after = wants ? nil : revision
        } else {
            if !match.isEmpty {
                errors.append(
                    .forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
            }
            initialEvents = revision == nil || revision == 0
            marksInitialEnd = false
            after = initialEvents ? nil : revision
        }
        if !errors.isEmpty {
            throw .invalid(kind: "ListOptions", group: "meta.k8s.io", name: "", errors)
        }
        // Watches without a limit of their own end after half an hour to an hour, so that they spread over servers.
        let seconds = try Resources.integer(query["timeoutSeconds"]).flatMap { $0 > 0 ? $0 : nil }
        timeout = .seconds(seconds ?? 1_800 + random.below(1_800))
        if call.media.shape == .partialList {
            throw .failure(406, "NotAcceptable", "a watch answers single objects, not lists")
        }
    }
}

/// A watch that cannot begin. The request was in order, so that it is answered like any other, and the first event
/// says what is wrong: clients look for it there.
final class RefusedWatch: Watch {
    private let reason: APIStatus

    init(_ reason: APIStatus) { self.reason = reason }

    func next() async throws -> (events: [StoreEvent], revision: Revision) { throw reason }
    func requestProgress() {}
    func cancel() {}
}

/// One watch on its way to one client: the store's events, selected, translated and written line by line.
///
/// The usual line is made once for all watchers of the event (see `Derivations`); only tables and partial
/// metadata are made for each.
struct WatchSession: Sendable {
    let call: Call
    let request: WatchRequest
    let resources: Resources
    let watch: any Watch
    /// What existed at the start, and the revision it was read at.
    let initial: Page?
    let renderer: Renderer
    let clock: any WorldClock

    /// What a client that takes bookmarks hears at least once in a while, and shortly before the watch ends, so that
    /// the next one starts from there.
    private static let bookmarkInterval = Duration.seconds(60)
    private static let lastBookmark = Duration.seconds(2)

    static func open(_ call: Call, _ resources: Resources) async throws -> WatchSession {
        let request = try WatchRequest(call, random: resources.world.random)
        let prefix = ObjectCodec.prefix(call.resource, namespace: call.namespace)
        var initial: Page?
        let watch: any Watch
        do {
            let now = await resources.store.revision
            if let oldest = request.oldest, oldest > now {
                throw APIStatus.tooLarge(current: now, asked: oldest)
            }
            if request.initialEvents {
                let page = try await resources.store.list(prefix: prefix, after: nil, limit: nil, at: nil)
                initial = page
                watch = try await resources.store.watch(prefix: prefix, after: page.revision)
            } else {
                // What lies ahead of the store is waited for.
                watch = try await resources.store.watch(prefix: prefix, after: min(request.after ?? now, now))
            }
        } catch StoreError.compacted(let oldest) {
            watch = RefusedWatch(.tooOld(request.after, oldest: oldest))
        } catch let reason as APIStatus {
            watch = RefusedWatch(reason)
        }
        return WatchSession(
            call: call, request: request, resources: resources, watch: watch, initial: initial,
            renderer: Renderer(
                media: call.media, resource: call.resource, now: resources.world.clock.now,
                includeObject: call.info.query["includeObject"] ?? "Metadata"),
            clock: resources.world.clock)
    }

    var response: Response {
        Response(
            status: 200,
            headers: Headers([
                ("Content-Type", call.media.contentType + (call.media.format == .protobuf ? ";stream=watch" : "")),
                ("Cache-Control", "no-cache, private"),
            ]),
            body: .stream { writer in try await run(writer) })
    }

    /// Writes until the time is over, the client is gone, or the store cuts the watch off.
    func run(_ writer: any BodyWriter) async throws {
        let key = WatcherKey(watch: call.info)
        resources.fairness.watch(key)
        defer {
            resources.fairness.unwatch(key)
            watch.cancel()
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await write(writer) }
            group.addTask { try await keepTime() }
            // The first to end ends the watch: the time, or a writer that failed.
            _ = try await group.next()
            group.cancelAll()
        }
    }

    /// Asks for progress marks where the client wants bookmarks, and returns when the watch's time is over.
    private func keepTime() async throws {
        let end = clock.uptime + request.timeout
        while clock.uptime < end {
            let rest = end - clock.uptime
            guard request.bookmarks, rest > Self.lastBookmark else {
                try await clock.sleep(for: rest)
                continue
            }
            try await clock.sleep(for: min(Self.bookmarkInterval, rest - Self.lastBookmark))
            watch.requestProgress()
        }
    }

    private func write(_ writer: any BodyWriter) async throws {
        var lines = LineWriter(session: self)
        if let initial {
            for record in initial.records {
                let object = try ObjectCodec.document(record.value, call.resource)
                guard request.selection.isEmpty || request.selection.matches(object, resource: call.resource) else {
                    continue
                }
                try await writer.write(try lines.line("ADDED", record.value))
            }
            if request.marksInitialEnd {
                try await writer.write(try lines.bookmark(initial.revision, endsInitial: true))
            }
        }
        let floor = request.after ?? 0
        var pace = DeliveryPace()
        while true {
            if let delay = pace.delay(at: clock.uptime) { try await clock.sleep(for: delay) }
            let batch: (events: [StoreEvent], revision: Revision)
            do { batch = try await watch.next() } catch is ResourceWithdrawn {
                return
            } catch let error where error is StoreError || error is APIStatus {
                return try await writer.write(try lines.error(APIStatus.from(error, call.resource)))
            }
            var out: [UInt8] = []
            for event in batch.events where event.record.revision > floor {
                let bytes = try lines.line(event)
                // A lone event goes out as the buffer that all watchers share.
                if batch.events.count == 1, let bytes {
                    try await writer.write(bytes)
                } else if let bytes {
                    out += bytes
                }
            }
            if !out.isEmpty { try await writer.write(out) }
            if !batch.events.isEmpty { pace.delivered(at: clock.uptime) }
            if batch.events.isEmpty, request.bookmarks, batch.revision >= floor {
                try await writer.write(try lines.bookmark(batch.revision, endsInitial: false))
            }
        }
    }
}

/// Makes the lines of one watch.
struct LineWriter {
    let session: WatchSession
    /// A watch of tables tells the columns once.
    private var toldColumns = false

    private var resource: ResourceInfo { session.call.resource }

    /// What the watchers of one event share is kept under these names; another version has other lines.
    private let names: Names

    private struct Names {
        let now, nowFields, before, beforeFields: String
        let lines: [String: String]

        init(_ version: String, _ form: String) {
            now = "\(version) now"
            nowFields = "\(version) now fields"
            before = "\(version) before"
            beforeFields = "\(version) before fields"
            lines = Dictionary(
                uniqueKeysWithValues: ["ADDED", "MODIFIED", "DELETED"].map { ($0, "\(version) \($0) \(form)") })
        }
    }

    init(session: WatchSession) {
        self.session = session
        names = Names(
            session.call.resource.apiVersion, session.call.media.format == .protobuf ? "protobuf" : "json")
    }

    private var isPlain: Bool { session.call.media.shape == .whole && session.call.media.format == .json }
    /// Whether the line is the same for everybody who asked for this format.
    private var isShared: Bool { session.call.media.shape == .whole }

    /// What an event is to this watcher; nil where it does not concern it.
    mutating func line(_ event: StoreEvent) throws -> [UInt8]? {
        guard let (type, value) = try meaning(of: event) else { return nil }
        guard isShared, value == event.record.value else { return try line(type, value) }
        let resource = resource
        let name = names.lines[type] ?? type
        guard isPlain else {
            let line = self
            return try event.derived.value(name) { Result { try line.whole(type, value) } }.get()
        }
        return event.derived.value(name) { Self.plain(type, value, resource) }
    }

    /// An update may bring an object into a selection or take it out: then it is an addition or a removal.
    private func meaning(of event: StoreEvent) throws -> (type: String, value: [UInt8])? {
        let selection = session.request.selection
        guard !selection.isEmpty else {
            switch event.kind {
            case .created: return ("ADDED", event.record.value)
            case .updated: return ("MODIFIED", event.record.value)
            case .deleted: return ("DELETED", event.record.value)
            }
        }
        let resource = resource
        func matches(_ record: Record, _ name: String, _ fieldsName: String) throws -> Bool {
            let object = try event.derived.value(name) {
                Result { try ObjectCodec.document(record.value, resource) }
            }.get()
            return selection.matches(labelsOf: object) {
                event.derived.value(fieldsName) { Kinds.selectableFields(of: object, resource: resource) }
            }
        }
        let was = try event.previous.map { try matches($0, names.before, names.beforeFields) } ?? false
        func isNow() throws -> Bool { try matches(event.record, names.now, names.nowFields) }
        switch event.kind {
        case .created: return try isNow() ? ("ADDED", event.record.value) : nil
        case .deleted: return was ? ("DELETED", event.record.value) : nil
        case .updated:
            switch (was, try isNow()) {
            case (false, false): return nil
            case (false, true): return ("ADDED", event.record.value)
            case (true, true): return ("MODIFIED", event.record.value)
            case (true, false):
                // The last state that was selected, at the revision of the event that ended it.
                guard let previous = event.previous else { return nil }
                let object = try ObjectCodec.document(previous.value, resource)
                let stored = Conversion.stored(object, resource)
                return ("DELETED", ObjectCodec.encoding(stored)(event.record.revision))
            }
        }
    }

    mutating func line(_ type: String, _ value: [UInt8]) throws -> [UInt8] {
        if isPlain { return Self.plain(type, value, resource) }
        guard session.call.media.shape == .table else { return try whole(type, value) }
        let object = try ObjectCodec.document(value, resource)
        let metadata: Document = ["resourceVersion": object.at("metadata", "resourceVersion") ?? ""]
        defer { toldColumns = true }
        return try framed(type, session.renderer.table([object], metadata: metadata, columns: !toldColumns))
    }

    /// A line that does not depend on those before it.
    private func whole(_ type: String, _ value: [UInt8]) throws -> [UInt8] {
        let object = try ObjectCodec.document(value, resource)
        return try framed(type, session.call.media.shape == .whole ? object : session.renderer.partial(object))
    }

    private static func plain(_ type: String, _ value: [UInt8], _ resource: ResourceInfo) -> [UInt8] {
        var bytes = Array("{\"type\":\"\(type)\",\"object\":".utf8)
        bytes += ObjectCodec.whole(value, resource)
        bytes += [UInt8(ascii: "}"), 10]
        return bytes
    }

    /// One event as it goes over the wire: a line of JSON, or a protobuf message after its length.
    private func framed(_ type: String, _ object: Document) throws -> [UInt8] {
        let event: Document = ["type": Document(type), "object": object]
        guard session.call.media.format == .protobuf else { return event.json + [10] }
        var message: [UInt8] = []
        ProtobufWire.text(1, type, to: &message)
        let body = try ProtobufEncoder.body(object)
        ProtobufWire.message(2, to: &message) { ProtobufWire.bytes(1, body, to: &$0) }
        return withUnsafeBytes(of: UInt32(message.count).bigEndian) { Array($0) } + message
    }

    mutating func bookmark(_ revision: Revision, endsInitial: Bool) throws -> [UInt8] {
        var metadata: Document = ["resourceVersion": Document(String(revision))]
        if endsInitial { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
        var object: Document = [
            "kind": Document(resource.kind), "apiVersion": Document(resource.apiVersion), "metadata": metadata,
        ]
        switch session.call.media.shape {
        case .table:
            object = session.renderer.table(
                [object], metadata: ["resourceVersion": Document(String(revision))], columns: !toldColumns)
            toldColumns = true
        case .partial, .partialList: object = session.renderer.partial(object)
        case .whole: break
        }
        return try framed("BOOKMARK", object)
    }

    func error(_ status: APIStatus) throws -> [UInt8] { try framed("ERROR", status.wireDocument) }
}
