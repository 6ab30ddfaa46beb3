/// The difference of two texts, line by line, with three lines around each change.
///
/// Which of several smallest differences is shown is part of what clients see, so the matching follows the well-known
/// algorithm of Ratcliff and Obershelp: the longest common run first, then the same on both sides of it.
enum UnifiedDiff {
    private static let context = 3
    /// In texts of at least this many lines, those that make up more than a hundredth are too common to begin a run.
    private static let popularity = 200

    private struct Run: Equatable {
        var a: Int
        var b: Int
        var count: Int
    }

    private struct Edit {
        var isEqual: Bool
        var a: Range<Int>
        var b: Range<Int>
    }

    static func text(_ old: [String], _ new: [String]) -> String {
        groups(edits(old, new)).map { hunk($0, old, new) }.joined()
    }

    private static func runs(_ old: [String], _ new: [String]) -> [Run] {
        var places: [String: [Int]] = [:]
        for (index, line) in new.enumerated() { places[line, default: []].append(index) }
        if new.count >= popularity {
            let most = new.count / 100 + 1
            places = places.filter { $0.value.count <= most }
        }
        var found: [Run] = []
        var pending = [(a: 0..<old.count, b: 0..<new.count)]
        while let part = pending.popLast() {
            let run = longest(old, new, part.a, part.b, places)
            guard run.count > 0 else { continue }
            found.append(run)
            pending.append((part.a.lowerBound..<run.a, part.b.lowerBound..<run.b))
            pending.append((run.a + run.count..<part.a.upperBound, run.b + run.count..<part.b.upperBound))
        }
        found.sort { ($0.a, $0.b) < ($1.a, $1.b) }
        var joined: [Run] = []
        for run in found {
            if let last = joined.last, last.a + last.count == run.a, last.b + last.count == run.b {
                joined[joined.count - 1].count += run.count
            } else {
                joined.append(run)
            }
        }
        return joined
    }

    private static func longest(
        _ old: [String], _ new: [String], _ a: Range<Int>, _ b: Range<Int>, _ places: [String: [Int]]
    ) -> Run {
        var best = Run(a: a.lowerBound, b: b.lowerBound, count: 0)
        var lengths: [Int: Int] = [:]
        for i in a {
            var next: [Int: Int] = [:]
            for j in places[old[i]] ?? [] where b.contains(j) {
                let count = (lengths[j - 1] ?? 0) + 1
                next[j] = count
                if count > best.count { best = Run(a: i - count + 1, b: j - count + 1, count: count) }
            }
            lengths = next
        }
        // Common lines begin no run, but belong to one that stands beside them.
        while best.a > a.lowerBound, best.b > b.lowerBound, old[best.a - 1] == new[best.b - 1] {
            best = Run(a: best.a - 1, b: best.b - 1, count: best.count + 1)
        }
        while best.a + best.count < a.upperBound, best.b + best.count < b.upperBound,
            old[best.a + best.count] == new[best.b + best.count]
        { best.count += 1 }
        return best
    }

    private static func edits(_ old: [String], _ new: [String]) -> [Edit] {
        var result: [Edit] = []
        var (i, j) = (0, 0)
        for run in runs(old, new) + [Run(a: old.count, b: new.count, count: 0)] {
            if i < run.a || j < run.b { result.append(Edit(isEqual: false, a: i..<run.a, b: j..<run.b)) }
            if run.count > 0 {
                result.append(Edit(isEqual: true, a: run.a..<run.a + run.count, b: run.b..<run.b + run.count))
            }
            (i, j) = (run.a + run.count, run.b + run.count)
        }
        return result
    }

    /// Cuts long equal stretches, so that each group is one hunk.
    private static func groups(_ edits: [Edit]) -> [[Edit]] {
        guard edits.contains(where: { !$0.isEqual }) else { return [] }
        func tail(_ edit: Edit) -> Edit {
            Edit(isEqual: true, a: edit.a.suffix(context), b: edit.b.suffix(context))
        }
        func head(_ edit: Edit) -> Edit {
            Edit(isEqual: true, a: edit.a.prefix(context), b: edit.b.prefix(context))
        }
        var result: [[Edit]] = []
        var group: [Edit] = []
        for (index, edit) in edits.enumerated() {
            let (isFirst, isLast) = (index == 0, index == edits.count - 1)
            if !edit.isEqual {
                group.append(edit)
            } else if isFirst {
                group.append(tail(edit))
            } else if isLast {
                group.append(head(edit))
            } else if edit.a.count > 2 * context {
                result.append(group + [head(edit)])
                group = [tail(edit)]
            } else {
                group.append(edit)
            }
        }
        return result + [group]
    }

    private static func hunk(_ group: [Edit], _ old: [String], _ new: [String]) -> String {
        guard let first = group.first, let last = group.last else { return "" }
        var text =
            "@@ -\(span(first.a.lowerBound..<last.a.upperBound)) +\(span(first.b.lowerBound..<last.b.upperBound)) @@\n"
        for edit in group {
            if edit.isEqual {
                for line in old[edit.a] { text += " \(line)\n" }
            } else {
                for line in old[edit.a] { text += "-\(line)\n" }
                for line in new[edit.b] { text += "+\(line)\n" }
            }
        }
        return text
    }

    private static func span(_ range: Range<Int>) -> String {
        if range.count == 1 { return "\(range.lowerBound + 1)" }
        return "\(range.isEmpty ? range.lowerBound : range.lowerBound + 1),\(range.count)"
    }
}
