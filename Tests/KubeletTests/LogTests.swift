import Basics
import Glibc
import Linux
import Synchronization
import Testing
import Wire

@testable import Kubelet

@Suite struct LogTests {
    private func line(_ number: Int, _ text: String, tag: String = "F") -> String {
        "2027-01-15T08:00:\(number < 10 ? "0" : "")\(number).000000000Z stdout \(tag) \(text)\n"
    }

    private func filtered(_ query: LogQuery, _ lines: [String]) -> String {
        var filter = LogFilter(query)
        return lines.map { String(decoding: filter.output(Array($0.utf8.dropLast())[...]), as: UTF8.self) }.joined()
    }

    @Test func partsOfALineAreJoined() throws {
        let lines = [line(1, "one ", tag: "P"), line(2, "line"), line(3, "two")]
        #expect(filtered(try LogQuery([], now: start), lines) == "one line\ntwo\n")
        let stamped = try LogQuery([("timestamps", "true")], now: start)
        #expect(
            filtered(stamped, lines)
                == "2027-01-15T08:00:01.000000000Z one line\n2027-01-15T08:00:03.000000000Z two\n")
    }

    @Test func badQueriesAreRefused() {
        #expect(throws: LogQuery.Problem.self) { try LogQuery([("tailLines", "x")], now: start) }
        #expect(throws: LogQuery.Problem.self) { try LogQuery([("limitBytes", "0")], now: start) }
        #expect(throws: LogQuery.Problem.self) { try LogQuery([("sinceTime", "yesterday")], now: start) }
    }

    private func with(_ body: @Sendable (String) async throws -> Void) async throws {
        var template = Array("/tmp/kubelet-log-XXXXXX".utf8CString)
        let directory = String(cString: try #require(mkdtemp(&template)))
        defer { try? Files.removeTree(directory) }
        try await body("\(directory)/0.log")
    }

    private func reader(
        _ path: String, _ query: LogQuery, loop: EventLoop, isLive: @escaping @Sendable () -> Bool = { false }
    ) -> LogReader {
        LogReader(
            path: path, query: query, kept: 2, pool: BlockingPool(threads: 1), clock: LiveClock(loop), loop: loop,
            isLive: isLive)
    }

    @Test(arguments: [(0, ""), (1, "4\n"), (3, "2\n3\n4\n"), (99, "1\n2\n3\n4\n")])
    func tailsReachIntoRotatedFiles(count: Int, expected: String) async throws {
        try await with { path in
            try Files.write(Array((line(1, "1") + line(2, "2")).utf8), to: "\(path).1")
            try Files.write(Array((line(3, "3") + line(4, "4")).utf8), to: path)
            let query = try LogQuery([("tailLines", String(count))], now: start)
            try await EventLoop.runOnThread { loop in
                let pages = Pages()
                try await reader(path, query, loop: loop).send(to: pages)
                #expect(pages.text == expected)
            }
        }
    }

    @Test func followingSeesGrowthRotationAndTheEnd() async throws {
        try await with { path in
            try Files.write(Array(line(1, "1").utf8), to: path)
            let query = try LogQuery([("follow", "true")], now: start)
            let line2 = line(2, "2")
            let line3 = line(3, "3")
            try await EventLoop.runOnThread { loop in
                let pages = Pages()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try await self.reader(path, query, loop: loop) { pages.isOpen.withLock { $0 } }.send(to: pages)
                    }
                    group.addTask {
                        try await pages.wait(for: "1\n")
                        let file = open(path, O_WRONLY | O_APPEND)
                        try Files.writeAll(Array(line2.utf8), to: file, name: path)
                        close(file)
                        try await pages.wait(for: "1\n2\n")
                        #expect(rename(path, "\(path).1") == 0)
                        try Files.write(Array(line3.utf8), to: path)
                        try await pages.wait(for: "1\n2\n3\n")
                        pages.isOpen.withLock { $0 = false }
                    }
                    for try await _ in group {}
                }
                #expect(pages.text == "1\n2\n3\n")
            }
        }
    }
}

private final class Pages: BodyWriter {
    private let bytes = Mutex<[UInt8]>([])
    /// Whether the container that writes the log still runs.
    let isOpen = Mutex(true)
    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
    func write(_ piece: [UInt8]) async throws { bytes.withLock { $0 += piece } }

    func wait(for expected: String) async throws {
        while text != expected { try await Task.sleep(for: .milliseconds(2)) }
    }
}
