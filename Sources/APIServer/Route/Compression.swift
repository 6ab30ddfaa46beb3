import Wire

/// Long answers are compressed for clients that take it; short ones are not worth the time.
enum Compression {
    private static let threshold = 128 << 10

    static func applied(to response: Response, _ request: Request) -> Response {
        guard request.method == "GET", response.status == 200, response.headers["Content-Encoding"] == nil,
            accepts(request.headers["Accept-Encoding"])
        else { return response }
        let pieces: [[UInt8]]
        switch response.body {
        case .bytes(let bytes): pieces = [bytes]
        case .pieces(let all): pieces = all
        case .stream, .upgrade: return response
        }
        guard pieces.reduce(0, { $0 + $1.count }) >= threshold, let bytes = Gzip.compress(pieces) else {
            return response
        }
        var compressed = response
        compressed.body = .bytes(bytes)
        compressed.headers["Content-Encoding"] = "gzip"
        compressed.headers.add("Vary", "Accept-Encoding")
        return compressed
    }

    /// Whether one clause is gzip and is not refused by a quality of zero.
    static func accepts(_ header: String?) -> Bool {
        (header ?? "").split(separator: ",").contains { clause in
            let parts = clause.split(separator: ";").map { $0.filter { $0 != " " } }
            guard parts.first?.lowercased() == "gzip" else { return false }
            return !parts.dropFirst().contains { part in
                part.lowercased().hasPrefix("q=") && (Double(part.dropFirst(2)) ?? 1) == 0
            }
        }
    }
}
