import Basics

/// Keeps a copy of a collection current: list, then watch, and list again when the watch's history is gone.
///
/// ```
///            listed(rv)                    ended / failed (after a pause)
///   ┌─ list ──────────▶ watch(from: rv) ─────────────▶ watch(from: newest rv)
///   │   ▲                     │
///   │   └──── expired (410) ──┘
///   └─ failed ─▶ pause ─▶ list
/// ```
///
/// A pure decision: the shell does what the last step says and reports how it went. Pauses double from
/// `shortest` to `longest`, each lengthened by up to its own length at random so that components
/// that lost the same server do not return together; one success sets them back.
public struct Reflector: Sendable {
    public enum Step: Sendable, Equatable {
        case list
        case watch(from: String)
    }

    public enum Outcome: Sendable, Equatable {
        /// The list came, as of this resource version.
        case listed(String)
        /// The watch is over, as the server may decide at any time; whether it delivered anything.
        case ended(deliveredEvents: Bool)
        /// The server no longer has the history that the watch or list asked for.
        case expired
        case failed
    }

    public static let shortestPause = Duration.milliseconds(50)
    public static let longestPause = Duration.seconds(10)

    public private(set) var step = Step.list
    private var pause = Reflector.shortestPause

    public init() {}

    /// A watch event or bookmark moved the copy on.
    public mutating func advanced(to resourceVersion: String) {
        if case .watch = step { step = .watch(from: resourceVersion) }
        pause = Self.shortestPause
    }

    /// Takes the outcome of the current step; afterwards `step` is the next one.
    /// Answers how long to wait first. `jitter` is drawn from 0..<1.
    public mutating func finished(_ outcome: Outcome, jitter: Double) -> Duration {
        switch outcome {
        case .listed(let version):
            step = .watch(from: version)
            return .zero
        case .ended(deliveredEvents: true):
            pause = Self.shortestPause
            return .zero
        case .ended(deliveredEvents: false), .failed:
            return takePause(jitter)
        case .expired:
            // The first relist is immediate; a server whose lists expire too is given time.
            if case .watch = step {
                step = .list
                return .zero
            }
            return takePause(jitter)
        }
    }

    private mutating func takePause(_ jitter: Double) -> Duration {
        let taken = pause * (1 + jitter)
        pause = min(pause * 2, Self.longestPause)
        return taken
    }
}
