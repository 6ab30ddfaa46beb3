import Basics
import Wire

/// Answers of other servers, kept for their time to live but no longer than a bound, and no more than a bound of them.
struct AnswerCache: Sendable {
    private struct Entry {
        var message: DNSMessage
        var stored: Duration
        var expires: Duration
    }

    private let capacity: Int
    private let longest: Duration
    private let longestAbsent: Duration
    private var entries: [DNSQuestion: Entry] = [:]
    /// Keys in the order in which they came; the oldest makes room.
    private var order: [DNSQuestion] = []
    private var oldest = 0

    init(capacity: Int = 4096, longest: Duration = .seconds(30), longestAbsent: Duration = .seconds(30)) {
        self.capacity = capacity
        self.longest = longest
        self.longestAbsent = longestAbsent
    }

    var count: Int { entries.count }

    /// The answer to `query` with the rest of its time to live, where a fresh one is here.
    mutating func answer(_ query: DNSMessage, now: Duration) -> DNSMessage? {
        guard let question = query.questions.first, let entry = entries[question], entry.expires > now,
            query.edns?.wantsSignatures != true
        else { return nil }
        let age = UInt32(clamping: (now - entry.stored).wholeSeconds)
        func aged(_ records: [DNSRecord]) -> [DNSRecord] {
            records.map { record in
                var record = record
                record.timeToLive = record.timeToLive > age ? record.timeToLive - age : 0
                return record
            }
        }
        var answer = DNSMessage(answering: query, code: entry.message.code)
        answer.recursionAvailable = true
        answer.answers = aged(entry.message.answers)
        answer.authorities = aged(entry.message.authorities)
        answer.additionals = aged(entry.message.additionals)
        return answer
    }

    mutating func store(_ message: DNSMessage, now: Duration) {
        guard let question = message.questions.first, let time = lifetime(message) else { return }
        if entries[question] == nil {
            while entries.count >= capacity, oldest < order.count {
                entries[order[oldest]] = nil
                oldest += 1
            }
            if oldest > capacity {
                order.removeFirst(oldest)
                oldest = 0
            }
            order.append(question)
        }
        let isAbsence = message.answers.isEmpty || message.code == .nameError
        let expires = now + min(time, isAbsence ? longestAbsent : longest)
        entries[question] = Entry(message: message, stored: now, expires: expires)
    }

    /// How long the answer may be kept; nil when not at all.
    private func lifetime(_ message: DNSMessage) -> Duration? {
        let records = message.answers + message.authorities + message.additionals
        // Types that this codec does not know may hold names compressed against the original bytes.
        for record in records { if case .other = record.data { return nil } }
        guard !message.isTruncated, message.edns?.wantsSignatures != true,
            message.code == .noError || message.code == .nameError
        else { return nil }
        if message.answers.isEmpty || message.code == .nameError {
            // RFC 2308: absence lasts as long as the SOA record beside it says.
            for record in message.authorities {
                guard case .soa(let authority) = record.data else { continue }
                let seconds = min(record.timeToLive, authority.minimum)
                return seconds > 0 ? .seconds(Int64(seconds)) : nil
            }
            return nil
        }
        let seconds = records.map(\.timeToLive).min() ?? 0
        return seconds > 0 ? .seconds(Int64(seconds)) : nil
    }
}
