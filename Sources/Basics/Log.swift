/// A line-oriented log with levels, made for reading: `15:04:05.123 W kubelet: text key=value`.
public struct Log: Sendable {
    public enum Level: Int, Sendable, Comparable, CaseIterable {
        case debug, info, warning, error

        public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
        public var letter: Character { ["D", "I", "W", "E"][rawValue] }
    }

    /// Where finished lines go; gets called from any thread.
    public typealias Sink = @Sendable (String) -> Void

    public let component: String
    public let threshold: Level
    private let clock: (any WorldClock)?
    private let sink: Sink

    public init(component: String, threshold: Level = .info, clock: (any WorldClock)?, sink: @escaping Sink) {
        self.component = component
        self.threshold = threshold
        self.clock = clock
        self.sink = sink
    }

    /// A log that keeps nothing, for tests and pure callers.
    public static let silent = Log(component: "", threshold: .error, clock: nil, sink: { _ in })

    /// The same log under another component's name.
    public func named(_ component: String) -> Log {
        Log(component: component, threshold: threshold, clock: clock, sink: sink)
    }

    public func debug(_ text: @autoclosure () -> String) { write(.debug, text) }
    public func info(_ text: @autoclosure () -> String) { write(.info, text) }
    public func warning(_ text: @autoclosure () -> String) { write(.warning, text) }
    public func error(_ text: @autoclosure () -> String) { write(.error, text) }

    private func write(_ level: Level, _ text: () -> String) {
        guard level >= threshold else { return }
        let stamp = clock.map { $0.now.rfc3339(fractionDigits: 3) + " " } ?? ""
        sink("\(stamp)\(level.letter) \(component): \(text())")
    }
}
