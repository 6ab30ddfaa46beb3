import Basics
import Cluster
import Glibc
import Linux
import Synchronization

/// The terminal: results on standard output, progress and errors on standard error.
public final class Console: Progress {
    private struct State {
        var step: String?
        var begun = Duration.zero
        var waiting = ""
    }

    private let clock: any WorldClock
    private let state = Mutex(State())
    let isTerminal: Bool
    private let colors: Bool

    public init(clock: any WorldClock) {
        self.clock = clock
        isTerminal = isatty(2) == 1
        let plain = getenv("NO_COLOR") != nil || getenv("TERM").map { String(cString: $0) == "dumb" } ?? false
        colors = isTerminal && !plain
    }

    public func out(_ text: String) { Self.write(text + "\n", to: 1) }
    public func err(_ text: String) { Self.write(text + "\n", to: 2) }

    /// As it is, to where progress goes.
    func control(_ text: String) { Self.write(text, to: 2) }

    /// Without wrapping: a line that is too long is cut by the terminal, and stays one line to go back over.
    func draw(_ text: String) { control("\u{1B}[?7l\(text)\u{1B}[?7h") }

    /// A result that ends with a newline of its own.
    func text(_ text: String) { Self.write(text, to: 1) }

    /// Somebody sees what is asked, and can answer.
    var canAsk: Bool { isTerminal && isatty(0) == 1 }

    public func error(_ message: String, remedy: String) {
        err("\(paint("error:", 31)) \(message)")
        if !remedy.isEmpty { err("       \(remedy)") }
    }

    public func begin(_ step: String) {
        state.withLock { $0 = State(step: step, begun: clock.uptime) }
        if isTerminal { draw(" \(paint("•", 36)) \(step) …") }
    }

    public func waiting(for what: String) {
        let line = state.withLock { state -> String? in
            guard let step = state.step, state.waiting != what else { return nil }
            state.waiting = what
            return step
        }
        guard let line else { return }
        if isTerminal {
            draw("\r\u{1B}[K \(paint("•", 36)) \(line): \(what)")
        } else {
            err("   \(line): waiting for \(what)")
        }
    }

    public func end(succeeded: Bool) {
        let ended = state.withLock { state -> (String, Duration)? in
            defer { state = State() }
            return state.step.map { ($0, clock.uptime - state.begun) }
        }
        guard let (step, took) = ended else { return }
        let mark = succeeded ? paint("✓", 32) : paint("✗", 31)
        let tenths = took.wholeMilliseconds / 10
        let fraction = tenths % 100
        let seconds = "\(tenths / 100).\(fraction < 10 ? "0" : "")\(fraction) s"
        Self.write("\(isTerminal ? "\r\u{1B}[K" : "") \(mark) \(step) (\(seconds))\n", to: 2)
    }

    public func note(_ text: String) { err("   \(text)") }

    func paint(_ text: String, _ color: Int) -> String { colors ? "\u{1B}[\(color)m\(text)\u{1B}[0m" : text }

    /// A closed pipe or a full disk at the other end is the reader's matter, not ours.
    static func write(_ text: String, to file: Int32) {
        try? Files.writeAll(Array(text.utf8), to: file, name: file == 1 ? "standard output" : "standard error")
    }
}

/// Columns as kubectl prints them.
public enum Table {
    public static func text(_ header: [String], _ rows: [[String]]) -> String {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 3) }
            }
            return line
        }.joined(separator: "\n")
    }
}

extension Console {
    /// For what is said before or without an event loop.
    static func line(_ text: String) { write(text + "\n", to: 1) }

    static func failure(_ message: String, remedy: String) {
        write("error: \(message)\n" + (remedy.isEmpty ? "" : "       \(remedy)\n"), to: 2)
    }
}
