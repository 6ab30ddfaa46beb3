import Synchronization

/// A bounded one-way stream of bytes between two tasks.
final class MemoryPipe: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var finished = false
        var readerClosed = false
        var writerClosed = false
        var reader: UnsafeContinuation<Void, any Error>?
        var writer: UnsafeContinuation<Void, any Error>?
    }

    private let capacity: Int
    private let state = Mutex(State())

    init(_ capacity: Int) { self.capacity = capacity }

    func read(atMost limit: Int) async throws -> [UInt8] {
        while true {
            try Task.checkCancellation()
            let (result, writer) = try state.withLock { state in
                if state.readerClosed { throw MemoryConnection.Closed() }
                guard !state.bytes.isEmpty || state.finished else {
                    return ([UInt8]?.none, UnsafeContinuation<Void, any Error>?.none)
                }
                let piece = Array(state.bytes.prefix(limit))
                state.bytes.removeFirst(piece.count)
                defer { state.writer = nil }
                return (piece, state.writer)
            }
            writer?.resume()
            if let result { return result }
            try await wait(\.reader) { $0.bytes.isEmpty && !$0.finished && !$0.readerClosed }
        }
    }

    func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            try Task.checkCancellation()
            let (count, reader) = try state.withLock { state in
                if state.finished || state.readerClosed || state.writerClosed { throw MemoryConnection.Closed() }
                let count = min(rest.count, capacity - state.bytes.count)
                guard count > 0 else { return (0, UnsafeContinuation<Void, any Error>?.none) }
                state.bytes += rest.prefix(count)
                defer { state.reader = nil }
                return (count, state.reader)
            }
            reader?.resume()
            rest = rest.dropFirst(count)
            if count == 0 {
                try await wait(\.writer) { [capacity] in
                    $0.bytes.count >= capacity && !$0.readerClosed && !$0.writerClosed
                }
            }
        }
    }

    /// No more bytes come; what is there can still be read.
    func finish() { wake { $0.finished = true } }

    /// One side has closed: nothing more passes through its end.
    func breakOff(writer: Bool = false) {
        wake {
            if writer {
                $0.writerClosed = true
            } else {
                $0.readerClosed = true
                $0.bytes = []
            }
        }
    }

    private func wake(_ change: (inout State) -> Void) {
        let (reader, writer) = state.withLock { state in
            change(&state)
            defer { (state.reader, state.writer) = (nil, nil) }
            return (state.reader, state.writer)
        }
        reader?.resume()
        writer?.resume()
    }

    private func wait(
        _ place: any WritableKeyPath<State, UnsafeContinuation<Void, any Error>?> & Sendable,
        while blocked: @Sendable (State) -> Bool
    ) async throws {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                let parked = state.withLock { state in
                    guard blocked(state), !Task.isCancelled else { return false }
                    state[keyPath: place] = continuation
                    return true
                }
                // The caller looks again, and finds bytes, room, the end or its cancellation.
                if !parked { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state[keyPath: place] = nil }
                return state[keyPath: place]
            }
            waiter?.resume(throwing: CancellationError())
        }
    }
}

/// A bounded queue with one consumer.
final class MemoryChannel<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var closed = false
        var waiter: UnsafeContinuation<Void, any Error>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// False when the queue is full or closed.
    func offer(_ element: Element) -> Bool {
        let (taken, waiter) = state.withLock { state in
            guard !state.closed, state.elements.count < limit else {
                return (false, UnsafeContinuation<Void, any Error>?.none)
            }
            state.elements.append(element)
            defer { state.waiter = nil }
            return (true, state.waiter)
        }
        waiter?.resume()
        return taken
    }

    /// The next element; nil once the queue is closed.
    func take() async throws -> Element? {
        while true {
            try Task.checkCancellation()
            let (element, closed) = state.withLock { state in
                (state.elements.isEmpty || state.closed ? nil : state.elements.removeFirst(), state.closed)
            }
            if element != nil || closed { return element }
            try await withTaskCancellationHandler {
                try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                    let parked = state.withLock { state in
                        guard state.elements.isEmpty, !state.closed, !Task.isCancelled else { return false }
                        state.waiter = continuation
                        return true
                    }
                    if !parked { continuation.resume() }
                }
            } onCancel: {
                let waiter = state.withLock { state in
                    defer { state.waiter = nil }
                    return state.waiter
                }
                waiter?.resume(throwing: CancellationError())
            }
        }
    }

    func close() {
        let waiter = state.withLock { state in
            state.closed = true
            state.elements = []
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
