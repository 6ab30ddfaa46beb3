import Client
import Document
import Kinds

/// How a kind of workload marks its revisions.
struct RevisionStyle: Sendable {
    let resource: ResourceType
    /// The label of a revision that holds the hash of its name.
    let hashLabel: String

    static let statefulSet = RevisionStyle(resource: .statefulSets, hashLabel: "controller.kubernetes.io/hash")
    static let daemonSet = RevisionStyle(resource: .daemonSets, hashLabel: RevisionStyle.podLabel)

    /// The label by which a pod tells its revision.
    static let podLabel = "controller-revision-hash"
}

/// The templates that a workload has had, each kept as a ControllerRevision.
///
/// A revision's `data` is the strategic merge patch that brings its template back, for `kubectl rollout undo`:
/// `{"spec":{"template":{"$patch":"replace",…}}}`, its members sorted, so that equal templates make equal bytes.
/// `revision` counts up; the present template has the highest number, also when it is an old one come back.
struct RevisionHistory {
    private let object: Document
    private let style: RevisionStyle
    /// Those that belong to the workload and are not of the present template, oldest first.
    let others: [Document]
    /// The present template's.
    let present: Document
    /// More of the same template, which nobody needs.
    let duplicates: [Document]
    /// How many names were found taken.
    let collisions: Int
    /// Brings the history up to date; nothing that relies on it may come before.
    let actions: [Action]

    /// - Parameters:
    ///   - candidates: the revisions that the workload owns or might adopt.
    ///   - named: any revision of the namespace, by name.
    init(
        of object: Document, _ style: RevisionStyle, selector: LabelSelector, candidates: [Document],
        named: (String) -> Document?
    ) {
        self.object = object
        self.style = style
        let owner = object.controllerReference(kind: style.resource.kind, apiVersion: style.resource.apiVersion)
        let claim = Claim(candidates, of: .controllerRevisions, for: object, owner: owner, selector: selector)
        // Those that are only now being adopted count too: otherwise the present template would get a second one.
        let adopted = candidates.filter {
            $0.controllerUID == nil && !$0.isTerminating && selector.matches($0.labels)
        }
        let data = Self.data(of: object)
        let known = (claim.owned + adopted).filter { !$0.isTerminating }.sorted(by: Self.isOlder)
        let equal = known.filter { Self.data($0).isSame(as: data) }
        others = known.filter { revision in !equal.contains { $0.uid == revision.uid } }
        let number = (others.last?.revisionNumber ?? 0) + 1
        var actions = claim.actions
        var collisions = object.number("status", "collisionCount") ?? 0
        if var newest = equal.last {
            if newest.revisionNumber < number {
                newest["revision"] = Document(number)
                actions.append(Self.patch(newest, ["revision": Document(number)]))
            }
            if newest.labels[style.hashLabel] == nil {
                newest.set(Document(newest.name), at: "metadata", "labels", style.hashLabel)
                actions.append(
                    Self.patch(newest, ["metadata": ["labels": [style.hashLabel: Document(newest.name)]]]))
            }
            present = newest
            duplicates = Array(equal.dropLast())
        } else {
            duplicates = []
            let (fresh, isTaken) = Self.make(object, style, owner, data, number, &collisions, named)
            present = fresh
            if !isTaken { actions.append(.create(.controllerRevisions, fresh)) }
        }
        self.collisions = collisions
        self.actions = actions
    }

    /// The workload's own revision under a name.
    func owned(named name: String) -> Document? {
        present.name == name ? present : (others + duplicates).first { $0.name == name }
    }

    /// What pods of the present template carry as the hash.
    var hash: String { present.labels[style.hashLabel] ?? present.name }

    private static func isOlder(_ a: Document, _ b: Document) -> Bool {
        (a.revisionNumber, a.created, a.name) < (b.revisionNumber, b.created, b.name)
    }

    private static func patch(_ revision: Document, _ change: Document) -> Action {
        var change = change
        change.set(Document(revision.uid), at: "metadata", "uid")
        return .patch(.controllerRevisions, namespace: revision.namespace, name: revision.name, change)
    }
}

// MARK: Making revisions

extension RevisionHistory {
    /// The revision of the present template. Where its name is taken by another template's, the hash is counted on;
    /// one of the same template that somebody else owns does as well, and nothing is made.
    private static func make(
        _ object: Document, _ style: RevisionStyle, _ owner: Document, _ data: Document, _ number: Int,
        _ collisions: inout Int, _ named: (String) -> Document?
    ) -> (Document, isTaken: Bool) {
        let bytes = data.json
        while true {
            let hash = Self.hash(bytes, collisions)
            let name = "\(object.name.prefix(223))-\(hash)"
            if let taken = named(name), !taken.isTerminating {
                if Self.data(taken).isSame(as: data) { return (taken, true) }
                collisions += 1
                continue
            }
            var labels = object.map("spec", "template", "metadata", "labels")
            labels[style.hashLabel] = hash
            var metadata: Document = ["name": Document(name)]
            metadata["namespace"] = object.at("metadata", "namespace")
            metadata["labels"] = Document(sorted: labels)
            metadata["annotations"] = object.at("metadata", "annotations")
            metadata["ownerReferences"] = [owner]
            let revision: Document = [
                "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "data": data,
                "revision": Document(number),
            ]
            return (revision, false)
        }
    }

    /// FNV-1a of the data and the collisions so far, written in the alphabet of generated names.
    private static func hash(_ data: [UInt8], _ collisions: Int) -> String {
        let value = (data + Array(String(collisions).utf8)).reduce(UInt32(2_166_136_261)) {
            ($0 ^ UInt32($1)) &* 16_777_619
        }
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789".utf8)
        return String(decoding: String(value).utf8.map { alphabet[Int($0) % alphabet.count] }, as: UTF8.self)
    }

    private static func data(of object: Document) -> Document {
        var template = object.at("spec", "template") ?? .emptyObject
        template["$patch"] = "replace"
        return ["spec": ["template": template.withoutNulls.canonical]]
    }

    private static func data(_ revision: Document) -> Document { (revision["data"] ?? .null).withoutNulls }

    /// The template that a revision brings back.
    static func template(of revision: Document, for object: Document) -> Document {
        let present = object.at("spec", "template") ?? .emptyObject
        guard var template = revision.at("data", "spec", "template") else { return present }
        guard template.text("$patch") == "replace" else { return present.applyingMergePatch(template) }
        template["$patch"] = Document?.none
        return template
    }
}

// MARK: Forgetting

extension RevisionHistory {
    /// Deletes the oldest revisions that no pod has any more, beyond `spec.revisionHistoryLimit`.
    ///
    /// - Parameters:
    ///   - isLive: whether a revision is in use.
    ///   - countsLive: whether those in use take up the limit too.
    func surplus(countsLive: Bool, isLive: (Document) -> Bool) -> [Action] {
        let limit = object.number("spec", "revisionHistoryLimit") ?? 10
        if limit < 0 { return [] }
        let idle = others.filter { !isLive($0) }
        let count = (countsLive ? others.count : idle.count) - limit
        return idle.prefix(max(0, count)).map { .delete(.controllerRevisions, $0) }
    }

    /// Makes the pods of duplicates the present revision's, and deletes the duplicates.
    func merging(_ pods: [Document]) -> [Action] {
        var actions: [Action] = []
        for duplicate in duplicates {
            let old = duplicate.labels[style.hashLabel]
            for pod in pods where pod.labels[RevisionStyle.podLabel] == old && old != hash && !pod.isTerminating {
                let labels: Document = [RevisionStyle.podLabel: Document(hash)]
                actions.append(
                    .patch(
                        .pods, namespace: pod.namespace, name: pod.name,
                        ["metadata": ["uid": Document(pod.uid), "labels": labels]]))
            }
            actions.append(.delete(.controllerRevisions, duplicate))
        }
        return actions
    }
}

extension Document {
    fileprivate var revisionNumber: Int { number("revision") ?? 0 }

    /// Members that are null mean the same as absent ones.
    fileprivate var withoutNulls: Document {
        switch kind {
        case .object:
            Document(members: members.filter { !$0.value.isNull }.map { ($0.key, $0.value.withoutNulls) })
        case .array: Document(elements.map(\.withoutNulls))
        default: self
        }
    }
}
