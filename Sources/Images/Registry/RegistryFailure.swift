import Basics
import Document
import Glibc
import Linux
import Wire

/// What a registry answered that was not what was asked for, or why it did not answer.
struct RegistryFailure: Error, Sendable, CustomStringConvertible {
    static let longestAnswer = 64 << 10

    var message: String
    /// The status of the answer; nil where there was none.
    var status: Int?
    /// How long the registry asks to be left alone.
    var retryAfter: Duration?

    var description: String { message }

    /// Reads the registry's own words out of an answer that is a refusal.
    init(refusal response: any ResponseStream, of what: String) async {
        status = response.status
        retryAfter = response.headers["Retry-After"].flatMap { Int($0) }.map { .seconds(min(max($0, 0), 30)) }
        let body = (try? await response.collect(limit: Self.longestAnswer)) ?? []
        let errors = (try? Document(json: body))?.list("errors") ?? []
        let words = errors.prefix(3).map { error in
            let code = error.text("code") ?? "UNKNOWN"
            return (error.text("message").map { "\(code): \($0)" } ?? code).prefix(300)
        }.joined(separator: "; ")
        let meaning =
            switch response.status {
            case 401, 403: "pull access denied, repository does not exist or may require authorization"
            case 404: "not found"
            case 429: "too many requests"
            default: "unexpected status \(response.status)"
            }
        message = words.isEmpty ? "\(what): \(meaning)" : "\(what): \(meaning) (\(words))"
    }

    init(_ message: String, status: Int? = nil) {
        self.message = message
        self.status = status
    }

    /// Whether asking again may help.
    static func isTransient(_ error: any Error) -> Bool {
        switch error {
        case let failure as RegistryFailure:
            guard let status = failure.status else { return false }
            return [408, 425, 429, 500, 502, 503, 504].contains(status)
        case is HTTPError, is HTTPTransport.TimedOut: return true
        case let error as SystemError:
            return [ECONNRESET, EPIPE, ECONNABORTED, ETIMEDOUT, ENETUNREACH, EHOSTUNREACH].contains(error.errno)
        case is Interrupted: return true
        default: return false
        }
    }

    /// A transfer that began and did not come to its end.
    struct Interrupted: Error, CustomStringConvertible {
        var description: String
    }
}

/// Repeats what fails for a moment: half a second later, then after twice as long each time.
struct RetryPlan: Sendable {
    var attempts = 5
    var first: Duration = .milliseconds(500)
    var longest: Duration = .seconds(8)

    /// The pause before attempt `number` (from 1), spread so that many clients do not return at once.
    func pause(before number: Int, after error: any Error, random: any Randomness) -> Duration {
        if let wait = (error as? RegistryFailure)?.retryAfter { return wait }
        var pause = first
        for _ in 1..<max(1, number) { pause = min(pause * 2, longest) }
        return pause * 3 / 4 + pause * random.below(500) / 1000
    }

    func run<T: Sendable>(
        clock: any WorldClock, random: any Randomness, _ body: @Sendable (_ attempt: Int) async throws -> T
    ) async throws -> T {
        var attempt = 0
        while true {
            do { return try await body(attempt) } catch {
                attempt += 1
                guard attempt < attempts, RegistryFailure.isTransient(error), !Task.isCancelled else { throw error }
                try await clock.sleep(for: pause(before: attempt, after: error, random: random))
            }
        }
    }
}
