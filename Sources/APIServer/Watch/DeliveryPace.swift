/// How often one watch writes to its client: a few events at once whenever they come, and under a steady stream of
/// events a hundred times a second. What comes between gathers and goes out together, because a write for every event
/// costs the server, and the kernel, several times what the event itself does.
struct DeliveryPace {
    static let burst = 8
    static let interval = Duration.milliseconds(10)

    /// Deliveries that may follow at once.
    private var credit = burst
    /// When the credit was last as it is.
    private var since = Duration.zero

    /// How long to gather before the next delivery; nil where it may go at once.
    func delay(at now: Duration) -> Duration? {
        credit > 0 || now >= since + Self.interval ? nil : since + Self.interval - now
    }

    mutating func delivered(at now: Duration) {
        let earned = Int((now - since) / Self.interval)
        if credit + earned >= Self.burst {
            credit = Self.burst
            since = now
        } else {
            credit += earned
            since += Self.interval * earned
        }
        credit -= 1
    }
}
