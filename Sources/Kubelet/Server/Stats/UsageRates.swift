import Basics
import Synchronization

/// Turns counters of processor time into rates: by comparison with an earlier look, since nothing looks by itself.
/// Holds two numbers for each group that was looked at in the last minutes.
final class UsageRates: Sendable {
    private struct Sample {
        var cpu: Int64
        var time: Timestamp
        var rate: Int64?
    }

    private let samples = Mutex<[String: Sample]>([:])

    /// Looks that follow each other faster would see more noise than use; they get the last rate.
    private static let shortest = Duration.seconds(1)

    func nanoCores(_ key: String, _ cpu: Int64, _ now: Timestamp) -> Int64? {
        samples.withLock { samples in
            guard let last = samples[key], cpu >= last.cpu, now > last.time else {
                samples[key] = Sample(cpu: cpu, time: now)
                return nil
            }
            let span = now - last.time
            guard span >= Self.shortest else { return last.rate }
            let rate = Int64(Double(cpu - last.cpu) / span.inSeconds)
            samples[key] = Sample(cpu: cpu, time: now, rate: rate)
            return rate
        }
    }

    func forget(before time: Timestamp) { samples.withLock { $0 = $0.filter { $0.value.time >= time } } }
}
