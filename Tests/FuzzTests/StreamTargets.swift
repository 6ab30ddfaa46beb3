import Wire

/// What a reader made of some bytes: its events, with pieces of data joined, and how it ended.
private struct Reading<Event: Equatable>: Equatable {
    var events: [Event] = []
    var failure: String?
}

/// How the bytes are cut is chance: it must not decide what they mean.
private func sameHoweverCut<Event>(
    _ input: [UInt8], _ read: ([UInt8], Int) throws -> Reading<Event>
) throws -> Bool {
    let whole = try read(input, max(1, input.count))
    for size in [1, 7, 100] where input.count <= 4_096 {
        let pieces = try read(input, size)
        guard pieces == whole else { throw Broken("in pieces of \(size): \(pieces)\nas a whole: \(whole)") }
    }
    return whole.failure == nil && !whole.events.isEmpty
}

private func webSocket(_ bytes: [UInt8], size: Int) throws -> Reading<WebSocketEvent> {
    var reader = WebSocketReader(.server)
    var reading = Reading<WebSocketEvent>()
    var rest = bytes[...]
    do {
        while !rest.isEmpty {
            reader.feed(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            while let event = try reader.next() {
                if case .piece(let piece) = event, !piece.isFirst, case .piece(var last)? = reading.events.last {
                    last.bytes += piece.bytes
                    last.isLast = piece.isLast
                    reading.events[reading.events.count - 1] = .piece(last)
                } else {
                    reading.events.append(event)
                }
            }
            if case .close? = reading.events.last { return reading }
            guard reader.buffered <= 140 else { throw Broken("\(reader.buffered) bytes wait in the reader") }
        }
    } catch let error as WebSocketError {
        reading.failure = error.description
    }
    return reading
}

private func spdy(_ bytes: [UInt8], size: Int) throws -> Reading<SPDYEvent> {
    var reader = SPDYReader()
    var reading = Reading<SPDYEvent>()
    var rest = bytes[...]
    do {
        while !rest.isEmpty {
            reader.feed(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            while let event = try reader.next() {
                if case .data(let id, let more, let isLast) = event,
                    case .data(id, let known, false)? = reading.events.last
                {
                    reading.events[reading.events.count - 1] = .data(id, known + more, isLast: isLast)
                } else {
                    reading.events.append(event)
                }
            }
            guard reader.buffered <= SPDYReader.longestControl + 8 else {
                throw Broken("\(reader.buffered) bytes wait in the reader")
            }
        }
    } catch let error as SPDYError {
        reading.failure = error.description
    }
    return reading
}

extension ReaderTests {
    private static let mask: [UInt8] = [1, 2, 3, 4]

    private static let spdyFrames: [[UInt8]] = {
        let writer = SPDYWriter()
        let headers = Headers([("streamtype", "stdin"), ("port", "80"), ("requestid", "1")])
        return [
            writer.bytes(.open(1, headers, isLast: false)), writer.bytes(.reply(1, Headers(), isLast: false)),
            writer.bytes(.data(1, Array("hello".utf8), isLast: true)), writer.bytes(.ping(1)),
            writer.bytes(.reset(1, status: 5)), writer.bytes(.goAway(lastStream: 1)),
            writer.bytes(.open(3, headers, isLast: true)),
        ]
    }()

    static let streams = [
        FuzzTarget(
            "websocket",
            bytes: [
                WebSocketFrame.bytes(.text, Array("hello".utf8), mask: mask)
                    + WebSocketFrame.bytes(.ping, [9], mask: mask) + WebSocketFrame.close(1000, "bye", mask: mask),
                [0x02, 0x81, 0, 0, 0, 0, 7, 0x80, 0x81, 0, 0, 0, 0, 8],
                WebSocketFrame.bytes(.binary, [UInt8](repeating: 5, count: 300), mask: mask),
            ],
            words: [
                [0x82, 0x80, 0, 0, 0, 0], [0x02, 0x81, 0, 0, 0, 0, 1], [0x80, 0x81, 0, 0, 0, 0, 1],
                [0x89, 0x80, 1, 1, 1, 1], [0x88, 0x82, 0, 0, 0, 0, 3, 0xE8], [0x81, 0xFE], [0x81, 0xFF],
                [0, 0, 0, 0, 0, 1, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x80], [0x00],
            ]
        ) { try sameHoweverCut($0, webSocket) },
        FuzzTarget(
            "spdy", bytes: [Array(spdyFrames.joined()), spdyFrames[0], spdyFrames[0] + spdyFrames[2]],
            words: spdyFrames + [
                [0x80, 3, 0, 1], [0x80, 3, 0, 2], [0x80, 3, 0, 3], [0x80, 3, 0, 9], [0, 0, 0, 1], [1, 0, 0, 5],
                [0, 0, 0, 8], [0xFF, 0xFF, 0xFF, 0xFF], [0x80, 2, 0, 1], [0x78, 0xBB, 0xE3, 0xC6, 0xA7, 0xC2],
            ]
        ) { try sameHoweverCut($0, spdy) },
    ]
}
