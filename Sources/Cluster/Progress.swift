/// Tells the user what goes on: each long step begins, may say what it waits for, and ends.
public protocol Progress: Sendable {
    func begin(_ step: String)
    /// What the current step is waiting for; replaces what was said before.
    func waiting(for what: String)
    func end(succeeded: Bool)
    func note(_ text: String)
}

extension Progress {
    public func step<T: Sendable>(_ title: String, _ body: () async throws -> T) async throws -> T {
        begin(title)
        do {
            let result = try await body()
            end(succeeded: true)
            return result
        } catch {
            end(succeeded: false)
            throw error
        }
    }
}

/// For callers that nobody watches.
public struct SilentProgress: Progress {
    public init() {}
    public func begin(_ step: String) {}
    public func waiting(for what: String) {}
    public func end(succeeded: Bool) {}
    public func note(_ text: String) {}
}
