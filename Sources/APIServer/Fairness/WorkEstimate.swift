import Basics

/// How many seats a request takes while it runs, and what its effects still take for a moment afterwards.
struct WorkEstimate: Sendable, Equatable {
    var seats = 1
    /// Seats that stay taken for `lingeringTime` after the answer: events have to reach the watchers.
    var lingering = 0
    var lingeringTime = 0.0

    /// The seats that have to be free for it to begin.
    var most: Int { max(seats, lingering) }

    static let one = WorkEstimate()
}

/// What is known of the objects of a resource without asking the store.
struct ObjectStatistics: Sendable {
    var count = 0
    var bytes = 0
}

enum WorkEstimator {
    private static let bytesPerSeat = 100_000
    /// A list that is served from memory is written piece by piece and never holds more than this.
    private static let streamedBytes = 1_000_000
    private static let mostListSeats = 100
    private static let mostWriteSeats = 10
    private static let watchersPerSeat = 10
    /// How long an event keeps the seats of its watchers, in seconds.
    private static let eventTime = 0.005

    /// The width of a list, or of a watch that begins like one.
    static func list(_ query: Query, _ objects: ObjectStatistics, single: Bool, mostSeats: Int?) -> WorkEstimate {
        let limit = Int(query["limit"] ?? "").flatMap { $0 > 0 ? $0 : nil }
        let average = objects.count > 0 ? objects.bytes / objects.count : 0
        let isSelected = !(query["labelSelector"] ?? "").isEmpty || !(query["fieldSelector"] ?? "").isEmpty
        let isFromPast = !(query["continue"] ?? "").isEmpty || query["resourceVersionMatch"] == "Exact"
        var loaded = single ? 1 : min(limit ?? objects.count, objects.count)
        if !single, isFromPast, isSelected { loaded = max(loaded, objects.count / 2) }
        var bytes = loaded * average
        if !isFromPast { bytes = min(bytes, streamedBytes) }
        let most = min(mostSeats ?? mostListSeats, mostListSeats)
        return WorkEstimate(seats: max(1, min(most, (bytes + bytesPerSeat - 1) / bytesPerSeat)))
    }

    /// A write whose event goes to `watchers`.
    static func write(watchers: Int, mostSeats: Int?) -> WorkEstimate {
        guard watchers >= watchersPerSeat else { return .one }
        let wanted = (watchers + watchersPerSeat - 1) / watchersPerSeat
        let most = max(1, min(mostSeats ?? mostWriteSeats, mostWriteSeats))
        // The same work with fewer seats takes longer.
        let seats = min(wanted, most)
        return WorkEstimate(
            lingering: seats, lingeringTime: eventTime * Double(wanted) / Double(seats))
    }
}
