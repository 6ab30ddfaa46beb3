import Basics
import Document
import Kinds

/// Tokens of the old kind live for ever. When each was last used stands, by the day, in a label of its Secret, so that
/// those that nobody uses can be found.
///
/// The request does not wait for the label to be written. A use that finds no room is forgotten: the next one counts
/// as well.
struct LegacyTokenUses: Sendable {
    static let label = "kubernetes.io/legacy-token-last-used"
    private static let limit = 64

    struct Use: Sendable, Equatable {
        var namespace: String
        var name: String
        var day: String
    }

    let stream: AsyncStream<Use>
    private let continuation: AsyncStream<Use>.Continuation

    init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.limit)) }

    /// Nil where the Secret knows already.
    static func use(of secret: Document, now: Timestamp) -> Use? {
        let day = String(now.description.prefix(10))
        guard secret.text("metadata", "labels", label) != day, let name = secret.text("metadata", "name"),
            let namespace = secret.text("metadata", "namespace")
        else { return nil }
        return Use(namespace: namespace, name: name, day: day)
    }

    func note(_ secret: Document, now: Timestamp) {
        if let use = Self.use(of: secret, now: now) { continuation.yield(use) }
    }
}

extension APIServer {
    /// Writes the labels until cancelled.
    func noteLegacyTokens() async throws {
        for await use in authenticator.legacyUses.stream {
            do {
                let secret = try call(
                    "PATCH",
                    [
                        "apiVersion": "v1", "kind": "Secret",
                        "metadata": ["name": Document(use.name), "namespace": Document(use.namespace)],
                    ])
                _ = try await resources.change(secret, dryRun: false) { old in
                    var new = old.withoutRevision
                    new.set(Document(use.day), at: "metadata", "labels", LegacyTokenUses.label)
                    return new
                }
            } catch let error as CancellationError {
                throw error
            } catch {
                log.info("the use of the token \(use.namespace)/\(use.name) could not be noted: \(error)")
            }
        }
        try Task.checkCancellation()
    }
}
