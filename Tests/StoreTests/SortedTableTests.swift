import Testing

@testable import Store

@Suite struct SortedTableTests {
    private func record(_ key: String) -> Record { Record(key: key, value: [], revision: 1, created: 1) }

    /// Against a plain sorted array, through growth, splits and removal of whole chunks.
    @Test func agreesWithASortedArray() {
        var table = SortedTable()
        var model: Set<String> = []
        var seed: UInt64 = 42
        func draw(_ bound: UInt64) -> UInt64 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (seed >> 33) % bound
        }
        for step in 0..<6_000 {
            let key = "/k/\(draw(3_000))"
            if step < 4_000 || draw(4) == 0 {
                table.set(record(key))
                model.insert(key)
            } else {
                table.remove(key)
                model.remove(key)
            }
        }
        #expect(table.count == model.count)
        let sorted = model.sorted()
        #expect(table.records(prefix: "/k/", after: nil, limit: nil).records.map(\.key) == sorted)
        let middle = sorted[sorted.count / 2]
        let (page, remaining) = table.records(prefix: "/k/", after: middle, limit: 7)
        let rest = sorted.drop { $0 <= middle }
        #expect(page.map(\.key) == Array(rest.prefix(7)))
        #expect(remaining == rest.count - 7)
        #expect(
            table.records(prefix: "/k/1", after: nil, limit: nil).records.map(\.key)
                == sorted.filter { $0.hasPrefix("/k/1") })
        #expect(table.records(prefix: "/l", after: nil, limit: nil).records.isEmpty)
        #expect(table["/k/none"] == nil)
    }
}
