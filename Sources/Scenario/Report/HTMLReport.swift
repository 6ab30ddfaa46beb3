import Basics

/// A run as one page that needs nothing else: it may be opened from a build's artifacts, years later, without a network.
public struct HTMLReport: Sendable {
    let result: SuiteResult
    let history: RunHistory
    let behaviours: BehaviourTable?
    /// The cluster, in words.
    let title: String

    public init(_ result: SuiteResult, history: RunHistory, behaviours: BehaviourTable?, title: String) {
        self.result = result
        self.history = history
        self.behaviours = behaviours
        self.title = title
    }

    public var text: String {
        var out = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(Self.escape(headline)) · lab conformance</title>
            <style>\(Self.style)</style></head><body><main>

            """
        out += header + chart + scenarios + skipped
        if let behaviours { out += table(behaviours) }
        out += "</main><script>\(Self.script)</script></body></html>\n"
        return out
    }

    private var headline: String { result.isPassed ? "Passed" : result.failed.isEmpty ? "Not finished" : "Failed" }

    // MARK: Parts

    private var header: String {
        let passed = result.results.count { $0.isPassed }
        let stopped = result.results.count { $0.outcome == .stopped }
        let all = max(1, result.results.count + result.skipped.count)
        func part(_ count: Int, _ name: String) -> String {
            count == 0 ? "" : "<i class=\"\(name)\" style=\"width:\(Self.percent(count, all))\"></i>"
        }
        func number(_ count: Int, _ name: String) -> String {
            "<div class=\"number \(count == 0 ? "none" : name)\"><b>\(count)</b> \(name)</div>"
        }
        let bar =
            part(passed, "passed") + part(result.failed.count, "failed") + part(stopped, "stopped")
            + part(result.skipped.count, "skipped")
        let numbers = number(passed, "passed") + number(result.failed.count, "failed")
        let rest = (stopped > 0 ? number(stopped, "stopped") : "") + number(result.skipped.count, "skipped")
        let seed = result.seed.map { " · order from seed <code>\($0)</code>" } ?? ""
        return """
            <header><h1 class="\(result.isPassed ? "passed" : "failed")">\(headline)</h1>
            <p>\(Self.escape(title)) · \(result.begun.rfc3339()) · \(Self.seconds(result.duration))\(seed)</p>
            <div class="bar">\(bar)</div><div class="numbers">\(numbers)\(rest)</div></header>

            """
    }

    /// What ran when, beside what: a row for each of the places that scenarios took turns in.
    private var chart: String {
        let span = max(1, result.duration.wholeMilliseconds)
        var lanes: [Int64] = []
        var bars = ""
        for scenario in result.results.sorted(by: { $0.begin < $1.begin }) {
            let (begin, took) = (scenario.begin.wholeMilliseconds, scenario.duration.wholeMilliseconds)
            var lane = lanes.firstIndex { $0 <= begin } ?? lanes.count
            if lane == lanes.count { lanes.append(0) }
            lane = min(lane, lanes.count - 1)
            lanes[lane] = begin + took
            let style = "left:\(Self.percent(begin, span));width:\(Self.percent(max(1, took), span));top:\(lane * 22)px"
            bars += "<a class=\"\(scenario.word)\" style=\"\(style)\" href=\"#\(anchor(scenario))\""
            bars += " title=\"\(Self.escape(scenario.id)) (\(Self.seconds(scenario.duration)))\">"
            bars += "\(Self.escape(scenario.id))</a>\n"
        }
        guard !bars.isEmpty else { return "" }
        let ticks = (0...4).map { index in
            "<span style=\"left:\(index * 25)%\">\(Self.seconds(result.duration * index / 4))</span>"
        }.joined()
        return """
            <section><h2>When</h2><div class="chart" style="height:\(lanes.count * 22)px">\(bars)</div>
            <div class="ticks">\(ticks)</div></section>

            """
    }

    private var scenarios: String {
        // What failed is what somebody looks for.
        let ordered = result.failed + result.results.filter { !$0.isFailed }
        var out = "<section><h2>Scenarios</h2><p class=\"tools\"><input id=\"find\" type=\"search\" "
        out += "placeholder=\"Find in names, tags, behaviours\" aria-label=\"Find\">"
        out += "<label><input id=\"bad\" type=\"checkbox\"> only what did not pass</label></p>\n"
        for scenario in ordered { out += row(scenario) }
        return out + "</section>\n"
    }

    private func row(_ scenario: ScenarioResult) -> String {
        let words = ([scenario.id, scenario.name] + scenario.tags + scenario.behaviours).joined(separator: " ")
        var out = "<details class=\"scenario \(scenario.word)\" id=\"\(anchor(scenario))\""
        out += " data-words=\"\(Self.escape(words.lowercased()))\"\(scenario.isFailed ? " open" : "")><summary>"
        out += "<b class=\"mark\">\(Self.mark(scenario))</b><code>\(Self.escape(scenario.id))</code>"
        out += " <span class=\"name\">\(Self.escape(scenario.name))</span>"
        if scenario.attempt > 1 { out += " <em>run \(scenario.attempt)</em>" }
        for tag in scenario.tags { out += "<em>\(Self.escape(tag))</em>" }
        out += "\(past(scenario.id))<span class=\"time\">\(Self.seconds(scenario.duration))</span></summary>\n"
        if case .failed(let step, let problems) = scenario.outcome {
            out += "<div class=\"problem\"><b>\(Self.escape(step))</b>"
            out += "<pre>\(problems.map(Self.marked).joined(separator: "\n"))</pre></div>\n"
        }
        if !scenario.notes.isEmpty { out += "<pre class=\"notes\">\(Self.lines(scenario.notes))</pre>\n" }
        out += steps(of: scenario)
        if !scenario.timeline.isEmpty { out += timeline(of: scenario) }
        if !scenario.evidence.isEmpty {
            out += "<h3>Pods, events and logs</h3><pre>\(Self.lines(scenario.evidence))</pre>\n"
        }
        if !scenario.behaviours.isEmpty {
            out += "<h3>Holds</h3><ul>"
            out += scenario.behaviours.map { "<li>\(Self.escape($0))</li>" }.joined() + "</ul>\n"
        }
        return out + "</details>\n"
    }

    private func steps(of scenario: ScenarioResult) -> String {
        guard !scenario.steps.isEmpty else { return "" }
        let span = max(1, scenario.duration.wholeMilliseconds)
        var out = "<h3>Steps</h3><div class=\"steps\">\n"
        for step in scenario.steps {
            let left = Self.percent(step.begin.wholeMilliseconds, span)
            let width = Self.percent(max(1, step.duration.wholeMilliseconds), span)
            out += "<div><span>\(Self.escape(step.label))</span><span class=\"lane\">"
            out +=
                "<i class=\"\(step.isPassed ? "passed" : "failed")\" style=\"left:\(left);width:\(width)\"></i></span>"
            out += "<span class=\"time\">\(Self.seconds(step.duration))</span></div>\n"
        }
        return out + "</div>\n"
    }

    private func timeline(of scenario: ScenarioResult) -> String {
        var out = "<h3>What happened</h3><table class=\"timeline\"><thead><tr><th>when</th><th>#</th>"
        out += "<th>who</th><th>did</th><th>after</th></tr></thead><tbody>\n"
        for entry in scenario.timeline {
            let place = "\(anchor(scenario))-\(entry.number)"
            let after = entry.cause.map { "<a href=\"#\(anchor(scenario))-\($0)\">#\($0)</a>" } ?? ""
            out += "<tr id=\"\(place)\" class=\"\(entry.kind.rawValue)\"><td>+\(entry.at.components.seconds)s</td>"
            out += "<td>\(entry.number)</td><td>\(Self.escape(entry.who))</td>"
            let verb = entry.kind == .event ? "tells of" : entry.kind.rawValue
            out += "<td><b>\(verb) \(Self.escape(entry.object))</b>"
            out += entry.what.map { "<div>\(Self.marked($0))</div>" }.joined() + "</td><td>\(after)</td></tr>\n"
        }
        return out + "</tbody></table>\n"
    }

    /// A square for each of the last runs.
    private func past(_ id: String) -> String {
        let outcomes = history.outcomes(of: id).suffix(12)
        guard outcomes.count > 1 else { return "" }
        let squares = outcomes.map { outcome -> String in
            guard let outcome else { return "<i></i>" }
            let word = outcome.failed == 0 ? "passed" : outcome.passed == 0 ? "failed" : "stopped"
            return "<i class=\"\(word)\"></i>"
        }
        return "<span class=\"past\" title=\"the last runs, the oldest first\">\(squares.joined())</span>"
    }

    private var skipped: String {
        guard !result.skipped.isEmpty else { return "" }
        let rows = result.skipped.map {
            "<tr><td><code>\(Self.escape($0.id))</code></td><td>\(Self.escape($0.name))</td>"
                + "<td>\(Self.escape($0.reason))</td></tr>"
        }
        return "<section><details><summary><h2>Not run (\(result.skipped.count))</h2></summary><table><tbody>"
            + rows.joined(separator: "\n") + "</tbody></table></details></section>\n"
    }

    private func table(_ behaviours: BehaviourTable) -> String {
        let outcomes = result.outcomes
        var out = "<section><h2>Behaviours</h2><p>\(behaviours.held) of the \(behaviours.rows.count) behaviours of "
        out += "Kubernetes' conformance programme are held by scenarios.</p>\n"
        for (area, rows) in behaviours.areas {
            let verdicts = rows.map { behaviours.verdict($0, outcomes) }
            let passed = verdicts.count { $0 == "passed" }
            let failed = verdicts.count { $0 == "failed" }
            out += "<details class=\"area\"><summary><b>\(Self.escape(area))</b><div class=\"bar\">"
            out += "<i class=\"passed\" style=\"width:\(Self.percent(passed, rows.count))\"></i>"
            out += "<i class=\"failed\" style=\"width:\(Self.percent(failed, rows.count))\"></i></div>"
            out += "<span class=\"time\">\(passed) passed of \(rows.count)</span></summary><table><tbody>\n"
            for (row, verdict) in zip(rows, verdicts) {
                out += "<tr><td><em class=\"\(verdict)\">\(verdict)</em></td>"
                out += "<td>\(Self.escape(BehaviourTable.title(of: row.behaviour)))</td>"
                out +=
                    "<td>\(row.scenarios.map { "<code>\(Self.escape($0))</code>" }.joined(separator: " "))</td></tr>\n"
            }
            out += "</tbody></table></details>\n"
        }
        return out + "</section>\n"
    }

    // MARK: Texts

    private func anchor(_ scenario: ScenarioResult) -> String {
        let letters = "\(scenario.id)-\(scenario.attempt)".map { $0.isLetter || $0.isNumber ? $0 : "-" }
        return Self.escape(String(letters))
    }

    static func escape(_ text: String) -> String { SuiteResult.escape(text) }

    private static func lines(_ lines: [String]) -> String { lines.map(escape).joined(separator: "\n") }

    /// A difference's two sides in two colours: `path: expected A, found B` and `path: A → B`.
    private static func marked(_ line: String) -> String {
        for (middle, first) in [(", found ", "expected "), (" → ", ": ")] {
            guard let start = line.range(of: first), let cut = line.range(of: middle, after: start.upperBound) else {
                continue
            }
            let (before, old) = (line[..<start.upperBound], line[start.upperBound..<cut.lowerBound])
            let new = line[cut.upperBound...]
            let (left, right) = middle == " → " ? ("del", "ins") : ("ins", "del")
            return "\(escape(String(before)))<\(left)>\(escape(String(old)))</\(left)>\(middle)"
                + "<\(right)>\(escape(String(new)))</\(right)>"
        }
        return escape(line)
    }

    private static func mark(_ scenario: ScenarioResult) -> String {
        scenario.isPassed ? "✓" : scenario.isFailed ? "✗" : "–"
    }

    private static func percent(_ part: some BinaryInteger, _ all: some BinaryInteger) -> String {
        let hundredths = Int64(part) * 10_000 / Int64(max(1, all))
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)%"
    }

    static func seconds(_ duration: Duration) -> String {
        let milliseconds = duration.wholeMilliseconds
        if milliseconds < 1_000 { return "\(milliseconds) ms" }
        if milliseconds < 60_000 { return "\(milliseconds / 1_000).\(milliseconds / 100 % 10) s" }
        return "\(milliseconds / 60_000) min \(milliseconds / 1_000 % 60) s"
    }
}

extension String {
    fileprivate func range(of part: String) -> Range<Index>? { firstRange(of: part) }

    fileprivate func range(of part: String, after place: Index) -> Range<Index>? {
        self[place...].firstRange(of: part)
    }
}

extension SuiteResult {
    /// A word for each scenario file: the worst of its cases and repetitions.
    public var outcomes: [String: String] {
        var outcomes: [String: String] = [:]
        for result in results {
            let file = String(result.id.prefix { $0 != "[" })
            if outcomes[file] == nil || outcomes[file] == "passed" || result.isFailed { outcomes[file] = result.word }
        }
        return outcomes
    }
}
