import COpenSSL

/// What OpenSSL had to say about a call that failed.
public struct OpenSSLError: Error, Sendable, Equatable, CustomStringConvertible {
    public let operation: String
    public let detail: String

    public init(_ operation: String, detail: String) {
        self.operation = operation
        self.detail = detail
    }

    /// Takes the thread's error queue.
    init(_ operation: String) {
        self.operation = operation
        var details: [String] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { break }
            details.append(ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)")
        }
        detail = details.isEmpty ? "no reason given" : details.joined(separator: "; ")
    }

    public var description: String { "\(operation): \(detail)" }
}
