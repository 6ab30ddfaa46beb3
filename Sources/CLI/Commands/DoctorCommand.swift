import Cluster
import Document

extension Commands {
    static let runDoctor: CommandBody = { arguments, environment in
        let findings = await Doctor(host: environment.host).examine()
        if arguments.has("json") {
            let items = findings.map { finding -> Document in
                [
                    "subject": Document(finding.subject), "verdict": Document(finding.verdict.rawValue),
                    "detail": Document(finding.detail), "remedy": Document(finding.remedy),
                ]
            }
            environment.console.out(Document(items).jsonText)
        } else {
            for finding in findings {
                let mark =
                    switch finding.verdict {
                    case .ok: "✓"
                    case .warning: "!"
                    case .problem: "✗"
                    }
                environment.console.out(" \(mark) \(finding.subject): \(finding.detail)")
                if !finding.remedy.isEmpty { environment.console.out("     → \(finding.remedy)") }
            }
        }
        let problems = findings.filter { $0.verdict == .problem }.count
        guard problems == 0 else {
            throw Failure("\(problems) \(problems == 1 ? "problem" : "problems") in the way of a cluster")
        }
    }
}
