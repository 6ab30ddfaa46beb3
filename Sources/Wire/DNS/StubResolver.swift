import Basics

/// Asks a few DNS servers, the next one where one fails, as programs on a machine do.
public struct StubResolver: Sendable {
    public static let attempts = 2

    private let client: DNSClient
    private let overTCPOnly: Bool

    /// - overTCPOnly: asks over TCP from the start, and not only where an answer was too long.
    public init(_ client: DNSClient, overTCPOnly: Bool = false) {
        self.client = client
        self.overTCPOnly = overTCPOnly
    }

    /// The first answer that says something about the name, be it that there is none.
    public func ask(_ servers: [Endpoint], _ question: DNSQuestion) async throws -> DNSMessage {
        var problem = "no server answered"
        for _ in 0..<Self.attempts {
            for server in servers {
                do {
                    let query = DNSMessage(query: question, id: 0)
                    let answer = try await client.ask(server, query, overStream: overTCPOnly)
                    if answer.code == .noError || answer.code == .nameError { return answer }
                    problem = "\(server) answered with code \(answer.code.rawValue)"
                } catch let error as CancellationError {
                    throw error
                } catch {
                    problem = "\(server): \(error)"
                }
            }
        }
        throw DNSClient.Failure(description: "\(question.name): \(problem)")
    }
}

extension DNSMessage {
    /// The addresses among the answers.
    public var addresses: [IPAddress] {
        answers.compactMap { record in
            if case .address(let address) = record.data { address } else { nil }
        }
    }
}
