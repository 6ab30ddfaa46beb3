/// The options of an overlay mount, with the layers named relative to their common directory:
/// mount(2) takes no more than a page of them, and layers lie in deep directories.
struct OverlayOptions {
    var directory: String
    var options: String
    var target: String

    init(lower: [String], upper: String, work: String) throws {
        guard !lower.isEmpty else { throw PlanCompiler.invalid(upper, "an overlay without lower directories") }
        let all = lower + [upper, work]
        for path in all where !path.hasPrefix("/") || path.split(separator: "/").contains("..") {
            throw PlanCompiler.invalid(path, "the directories of an overlay are named absolutely")
        }
        let common = Self.commonDirectory(of: all)
        func relative(_ path: String) -> String {
            let rest = Self.parts(path).dropFirst(common.count).joined(separator: "/")
            return rest.isEmpty ? "." : Self.escape(rest)
        }
        directory = "/" + common.joined(separator: "/")
        options =
            "lowerdir=\(lower.map(relative).joined(separator: ":")),upperdir=\(relative(upper)),workdir=\(relative(work))"
        // Mounted over its own upper directory, so that no extra directory is needed.
        target = upper
        guard options.utf8.count < 4096 else {
            throw PlanCompiler.invalid(upper, "\(lower.count) layers are more than one mount can name")
        }
    }

    var step: Step { .rootOverlay(directory: directory, options: options, target: target) }

    private static func parts(_ path: String) -> [Substring] { path.split(separator: "/") }

    /// Leaves every path at least its last component.
    private static func commonDirectory(of paths: [String]) -> [Substring] {
        var common = parts(paths[0]).dropLast()
        for path in paths.dropFirst() {
            let other = parts(path).dropLast()
            var length = 0
            while length < common.count, length < other.count, common[length] == other[length] { length += 1 }
            common = common.prefix(length)
        }
        return Array(common)
    }

    private static func escape(_ path: String) -> String {
        var out = ""
        for character in path {
            if character == ":" || character == "," || character == "\\" { out.append("\\") }
            out.append(character)
        }
        return out
    }
}
