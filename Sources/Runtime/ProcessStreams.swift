import CLinux
import Glibc
import Linux
import Synchronization

/// Which of a process's standard streams are meant.
public struct StreamSet: OptionSet, Sendable, Equatable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let input = StreamSet(rawValue: UInt32(LAB_STREAM_IN))
    public static let output = StreamSet(rawValue: UInt32(LAB_STREAM_OUT))
    public static let errors = StreamSet(rawValue: UInt32(LAB_STREAM_ERR))
}

/// A file descriptor that is closed when it is forgotten, unless it was taken.
public final class Descriptor: Sendable {
    private let state: Atomic<Int32>

    public init(_ number: Int32) { state = Atomic(number) }

    deinit {
        let number = state.load(ordering: .relaxed)
        if number >= 0 { close(number) }
    }

    public var number: Int32 { state.load(ordering: .relaxed) }

    /// The number, whose closing is the caller's duty from now on.
    public func take() -> Int32 { state.exchange(-1, ordering: .relaxed) }

    public func copy() throws -> Descriptor {
        let copy = lab_duplicate(number)
        guard copy >= 0 else { throw SystemError("dup", "descriptor \(number)", errno: errno) }
        return Descriptor(copy)
    }

    /// Tells a terminal, and whoever runs in its foreground, its size.
    public func resize(to size: TerminalSize) throws {
        guard lab_terminal_resize(number, UInt32(size.columns), UInt32(size.rows)) == 0 else {
            throw SystemError("resize", "terminal", errno: errno)
        }
    }
}

/// The caller's ends of a process's standard streams; nil for those that were not asked for or that it does not have.
public final class ProcessStreams: Sendable {
    public let pid: Int32
    /// Closing it is the end of the input, where nobody else has it.
    public let input: Descriptor?
    public let output: Descriptor?
    public let errors: Descriptor?
    /// For its size.
    public let terminal: Descriptor?
    /// The supervisor's side of an attachment, which lasts as long as this is kept.
    private let session: Control?

    public init(
        pid: Int32, input: Descriptor? = nil, output: Descriptor? = nil, errors: Descriptor? = nil,
        terminal: Descriptor? = nil
    ) {
        self.pid = pid
        self.input = input
        self.output = output
        self.errors = errors
        self.terminal = terminal
        session = nil
    }

    init(pid: Int32, input: Descriptor?, output: Descriptor?, errors: Descriptor?, session: Control?) throws {
        self.pid = pid
        self.output = output
        self.errors = errors
        self.session = session
        let isTerminal = input.map { isatty($0.number) == 1 } ?? false
        terminal = isTerminal ? try input?.copy() : nil
        self.input = input
    }
}

/// Pipes between the caller and a process.
struct StreamPipes {
    /// The process's ends, in the order of its streams.
    private(set) var far: [Descriptor] = []
    private var ends: [UInt32: Descriptor] = [:]

    /// A process that opens /dev/stdin again does so as `owner`.
    init(_ streams: StreamSet, owner: User?) throws {
        for stream in [StreamSet.input, .output, .errors] where streams.contains(stream) {
            var pipe: (Int32, Int32) = (-1, -1)
            let result = withUnsafeMutableBytes(of: &pipe) {
                lab_pipe($0.baseAddress?.assumingMemoryBound(to: Int32.self))
            }
            guard result == 0 else { throw SystemError("pipe", "standard streams", errno: errno) }
            let (reader, writer) = (Descriptor(pipe.0), Descriptor(pipe.1))
            let process = stream == .input ? reader : writer
            if let owner { fchown(process.number, owner.uid, owner.gid) }
            far.append(process)
            ends[stream.rawValue] = stream == .input ? writer : reader
        }
    }

    func near(pid: Int32) -> ProcessStreams {
        ProcessStreams(
            pid: pid, input: ends[StreamSet.input.rawValue], output: ends[StreamSet.output.rawValue],
            errors: ends[StreamSet.errors.rawValue])
    }

    func near(pid: Int32, input: Descriptor?, session: Control) throws -> ProcessStreams {
        try ProcessStreams(
            pid: pid, input: input, output: ends[StreamSet.output.rawValue], errors: ends[StreamSet.errors.rawValue],
            session: session)
    }
}
