import Basics
import Scenario
import Synchronization

/// How a run looks while it goes on: on a terminal what runs now stands at the bottom and what has ended scrolls away
/// above it; elsewhere there is a line for each thing that happens.
final class ConformanceView: Sendable {
    private struct State {
        var running: [(id: String, step: String, begun: Duration)] = []
        var all = 0
        var done = 0
        var failed = 0
        /// Lines at the bottom that are to be written anew.
        var drawn = 0
        /// Told already, before somebody was asked.
        var told: Set<String> = []
        var isAsking = false
    }

    private static let mostLines = 12
    private static let pace: Duration = .milliseconds(500)

    private let console: Console
    private let clock: any WorldClock
    private let isLive: Bool
    private let isQuiet: Bool
    private let state = Mutex(State())

    init(_ console: Console, clock: any WorldClock, isQuiet: Bool) {
        self.console = console
        self.clock = clock
        self.isQuiet = isQuiet
        isLive = console.isTerminal && !isQuiet
    }

    func begin(_ count: Int, seed: UInt64?) {
        state.withLock { $0.all = count }
        guard !isQuiet else { return }
        console.err(
            "Running \(count) scenario\(count == 1 ? "" : "s")" + (seed.map { ", in the order of seed \($0)" } ?? ""))
    }

    /// Times go on while nothing happens.
    func keepUp() async {
        guard isLive else { return }
        while (try? await clock.sleep(for: Self.pace)) != nil { state.withLock { draw(&$0, above: []) } }
    }

    func tell(_ event: ScenarioEvent) {
        guard !isQuiet else { return }
        state.withLock { state in
            switch event {
            case .started(let scenario):
                state.running.append((scenario.id, "", clock.uptime))
                draw(&state, above: isLive ? [] : [" • \(scenario.id): \(scenario.name)"])
            case .step(let scenario, let step):
                if let place = state.running.firstIndex(where: { $0.id == scenario.id }) {
                    state.running[place].step = step
                }
                draw(&state, above: isLive ? [] : ["   \(scenario.id): \(step)"])
            case .finished(let result):
                if let place = state.running.firstIndex(where: { $0.id == result.id }) {
                    state.running.remove(at: place)
                }
                state.done += 1
                if result.isFailed { state.failed += 1 }
                let isTold = state.told.remove(Self.key(result)) != nil
                draw(&state, above: isTold ? result.notes.map { "     \($0)" } : lines(of: result))
            }
        }
    }

    private static func key(_ result: ScenarioResult) -> String { "\(result.id)#\(result.attempt)" }

    /// Tells a failure before its scenario has ended, and lets somebody look at it.
    func ask(_ question: String, about result: ScenarioResult) {
        state.withLock { state in
            draw(&state, above: lines(of: result))
            state.told.insert(Self.key(result))
            erase(&state)
            state.isAsking = true
            console.err(question)
        }
        _ = readLine()
        state.withLock { $0.isAsking = false }
    }

    func end() { state.withLock { erase(&$0) } }

    func summary(of result: SuiteResult, _ history: RunHistory) {
        for scenario in result.failed { console.out("failed: \(scenario.id)") }
        let flaky = Set(result.results.map(\.id))
        for entry in history.flaky where flaky.contains(entry.id) {
            console.out("flaky: \(entry.id) failed \(entry.failed) of \(entry.all) times")
        }
        console.out("\(result.summary) in \(Self.seconds(result.duration))")
    }

    // MARK: Drawing

    /// Moves to where the bottom lines began and wipes them.
    private func erase(_ state: inout State) {
        if state.drawn > 0 { console.control("\u{1B}[\(state.drawn)A\r\u{1B}[J") }
        state.drawn = 0
    }

    private func draw(_ state: inout State, above: [String]) {
        guard !state.isAsking else { return }
        guard isLive else { return above.forEach { console.err($0) } }
        erase(&state)
        for line in above { console.err(line) }
        var lines = state.running.prefix(Self.mostLines - 2).map { entry in
            " \(console.paint("•", 36)) \(entry.id) \(console.paint(Self.seconds(clock.uptime - entry.begun), 2)) \(entry.step)"
        }
        let more = state.running.count - lines.count
        if more > 0 { lines.append("   and \(more) more") }
        let failed = state.failed > 0 ? ", \(console.paint("\(state.failed) failed", 31))" : ""
        lines.append(" \(bar(state.done, state.all)) \(state.done) of \(state.all)\(failed)")
        console.draw(lines.joined(separator: "\n") + "\n")
        state.drawn = lines.count
    }

    private func bar(_ done: Int, _ all: Int) -> String {
        let width = 30
        let full = min(width, done * width / max(1, all))
        return console.paint(String(repeating: "━", count: full), 32)
            + console.paint(String(repeating: "━", count: width - full), 2)
    }

    private func lines(of result: ScenarioResult) -> [String] {
        let took = Self.seconds(result.duration)
        let name = "\(result.id): \(result.name)" + (result.attempt > 1 ? " (run \(result.attempt))" : "")
        var lines: [String]
        switch result.outcome {
        case .passed: lines = [" \(console.paint("✓", 32)) \(name) (\(took))"]
        case .stopped: lines = [" - \(name) (stopped after \(took))"]
        case .failed(let step, let problems):
            lines = [" \(console.paint("✗", 31)) \(name) (\(took))", "     step: \(step)"]
            lines += problems.map { "     \($0)" }
            if !result.timeline.isEmpty {
                lines += ["     what happened:"] + result.timeline.suffix(60).map { "       \($0.text)" }
            }
            lines += result.evidence.map { "       \($0)" }
        }
        return lines + result.notes.map { "     \($0)" }
    }

    static func seconds(_ duration: Duration) -> String {
        let tenths = duration.wholeMilliseconds / 100
        return "\(tenths / 10).\(tenths % 10) s"
    }
}
