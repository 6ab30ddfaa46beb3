import Basics

extension SuiteResult {
    /// The results as JUnit XML, which continuous-integration servers show.
    public func junit(suite: String = "lab conformance") -> String {
        func failures(_ results: [ScenarioResult]) -> Int {
            results.count { if case .failed = $0.outcome { true } else { false } }
        }
        let stopped = results.count { $0.outcome == .stopped }
        var out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        out += "<testsuites>\n  <testsuite name=\"\(Self.escape(suite))\" tests=\"\(results.count + skipped.count)\""
        out += " failures=\"\(failures(results))\" skipped=\"\(skipped.count + stopped)\""
        out += " time=\"\(Self.seconds(duration))\">\n"
        for result in results {
            out += "    <testcase classname=\"\(Self.escape(result.id))\" name=\"\(Self.escape(result.name))\""
            out += " time=\"\(Self.seconds(result.duration))\">\n"
            switch result.outcome {
            case .passed: break
            case .stopped: out += "      <skipped message=\"stopped\"/>\n"
            case .failed(let step, let problems):
                let told = result.timeline.map(\.text)
                let text = ([step] + problems + result.evidence + told).joined(separator: "\n")
                out += "      <failure message=\"\(Self.escape(problems.first ?? step))\">"
                out += "\(Self.escape(text))</failure>\n"
            }
            out += "    </testcase>\n"
        }
        for left in skipped {
            out += "    <testcase classname=\"\(Self.escape(left.id))\" name=\"\(Self.escape(left.name))\">"
            out += "<skipped message=\"\(Self.escape(left.reason))\"/></testcase>\n"
        }
        return out + "  </testsuite>\n</testsuites>\n"
    }

    private static func seconds(_ duration: Duration) -> String {
        let milliseconds = duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
        let fraction = String(milliseconds % 1000)
        return "\(milliseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }

    /// XML 1.0 knows no control characters, not even escaped.
    static func escape(_ text: String) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "&": out += "&amp;"
            case "\"": out += "&quot;"
            case "\t", "\n", "\r": out += "&#\(scalar.value);"
            case let scalar where scalar.value < 32 || scalar.value == 0xFFFE || scalar.value == 0xFFFF:
                out += "\u{FFFD}"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }
}
