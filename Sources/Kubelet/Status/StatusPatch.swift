import Document

/// The strategic merge patch that turns one pod status into another; nil when they are the same.
///
/// Conditions merge by their type, so that those of others stay; other lists are replaced as a whole,
/// which for `podIPs`, merged by address, takes explicit deletions.
enum StatusPatch {
    /// Conditions that are there only while they hold.
    private static let passing = ["PodResizePending", "PodResizeInProgress"]

    static func make(from old: Document, to new: Document, uid: String) -> Document? {
        var patch = Document.emptyObject
        for member in new.members where old[member.key] != member.value {
            switch member.key {
            case "conditions":
                let known = old.list("conditions").map(stripped)
                let changed = member.value.elements.filter { !known.contains(stripped($0)) }
                let wanted = Set(member.value.elements.compactMap { $0.text("type") })
                // Ours that hold no more go; those of others stay.
                let gone = passing.filter { type in
                    !wanted.contains(type) && old.list("conditions").contains { $0.text("type") == type }
                }
                let deletions = gone.map { ["type": Document($0), "$patch": "delete"] as Document }
                if !changed.isEmpty || !gone.isEmpty {
                    patch["conditions"] = Document(changed.map { replacing($0, in: old) } + deletions)
                }
            case "podIPs":
                let wanted = member.value.elements
                let gone = old.list("podIPs").filter { !wanted.contains($0) }
                patch["podIPs"] = Document(
                    wanted + gone.map { ["ip": $0["ip"] ?? "", "$patch": "delete"] as Document })
            default: patch[member.key] = member.value
            }
        }
        for member in old.members where new[member.key] == nil { patch[member.key] = .null }
        guard patch.count > 0 else { return nil }
        // The uid makes the write fail for a later pod of the same name.
        return ["metadata": ["uid": Document(uid)], "status": patch]
    }

    // MARK: What others write

    /// What only a node knows of a pod; other members are those of schedulers and controllers.
    private static let own: Set<String> = [
        "phase", "conditions", "message", "reason", "hostIP", "hostIPs", "podIP", "podIPs", "startTime", "qosClass",
        "initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses", "observedGeneration",
        "allocatedResources", "resources",
    ]

    static func ownPart(of status: Document) -> Document {
        var result = Document.emptyObject
        for member in status.members where own.contains(member.key) { result[member.key] = member.value }
        return result
    }

    /// True where the node's part of the status is not what the node has written. A pod that somebody has declared
    /// to be over stays so.
    static func isOverwritten(_ status: Document, by seen: Document) -> Bool {
        let isOver = ["Succeeded", "Failed"].contains(seen.text("phase") ?? "")
        if isOver, status.text("phase") != seen.text("phase") { return false }
        return make(from: ownPart(of: seen), to: ownPart(of: status), uid: "") != nil
    }

    /// For where servers may show other things in another form than they were written.
    static func differsInConditions(_ status: Document, _ seen: Document?) -> Bool {
        guard let seen else { return false }
        let known = seen.list("conditions").map { [$0.text("type"), $0.text("status"), $0.text("reason")] }
        return status.list("conditions").contains {
            !known.contains([$0.text("type"), $0.text("status"), $0.text("reason")])
        }
    }

    /// Elements are merged member by member, so what the old condition had and the new one has not is taken away.
    private static func replacing(_ condition: Document, in old: Document) -> Document {
        let before = old.list("conditions").first { $0.text("type") == condition.text("type") }
        var result = condition
        for member in before?.members ?? [] where result[member.key] == nil { result[member.key] = .null }
        return result
    }

    /// Servers differ in whether they show members that are null; the order of members means nothing.
    private static func stripped(_ condition: Document) -> [String: Document] {
        var result: [String: Document] = [:]
        for member in condition.members where !member.value.isNull { result[member.key] = member.value }
        return result
    }
}
