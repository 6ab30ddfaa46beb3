import Document
import Glibc
import Linux
import Scenario

/// Where the history of runs is kept: beside the clusters, or, for who may not write there, among one's own files.
struct RunRecords: Sendable {
    private let places: [String]

    init(_ environment: Environment) {
        let variables = Variables()
        let own = variables["XDG_STATE_HOME"] ?? variables["HOME"].map { "\($0)/.local/state" }
        places =
            (environment.isRoot ? ["\(environment.host.layout.home)/conformance"] : [])
            + (own.map { ["\($0)/lab/conformance"] } ?? [])
    }

    var history: RunHistory {
        for place in places {
            guard let bytes = try? Files.read("\(place)/history.json", limit: 64 << 20) else { continue }
            return (try? Document(json: bytes)).map { RunHistory($0) } ?? RunHistory()
        }
        return RunHistory()
    }

    /// The history with this run. That it could not be written is no failure of the run.
    func add(_ result: SuiteResult) -> RunHistory {
        var history = history
        guard !result.results.isEmpty else { return history }
        history.add(result)
        for place in places {
            do {
                try Files.makeDirectories(place)
                try Files.write(history.document.json, to: "\(place)/history.json")
                break
            } catch { continue }
        }
        return history
    }
}
