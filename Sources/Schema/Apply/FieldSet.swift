/// A set of fields of an object: a tree whose edges are path elements.
///
/// An element is written as the wire writes it: `f:name` a field, `k:{"name":"x"}` the element of a list with these
/// keys, `v:"x"` the element of a set, `i:3` an element by its place. A set may hold a field, something below it, or
/// both. Nodes of one level stand in the order of their elements, and no node is without a mark in its subtree, so
/// that every operation on two sets is one walk along both.
public struct FieldSet: Sendable, Equatable {
    public struct Node: Sendable, Equatable {
        public var element: String
        /// `member`, or for a comparison what became of the field.
        public var marks: Marks
        public var children: FieldSet

        public init(_ element: String, _ marks: Marks, _ children: FieldSet = FieldSet()) {
            self.element = element
            self.marks = marks
            self.children = children
        }

        var isEmpty: Bool { marks.isEmpty && children.isEmpty }
    }

    public struct Marks: OptionSet, Sendable, Equatable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let member = Marks(rawValue: 1)
        // A comparison is a tree with these marks instead.
        public static let added = Marks(rawValue: 1)
        public static let modified = Marks(rawValue: 2)
        public static let removed = Marks(rawValue: 4)
        public static let taken: Marks = [.added, .modified]
        public static let all: Marks = [.added, .modified, .removed]
    }

    public internal(set) var nodes: [Node] = []

    public init() {}

    /// A set with one field, such as `["f:spec", "f:replicas"]`.
    public init(path: some BidirectionalCollection<String>) {
        var elements = path[...]
        guard let last = elements.popLast() else { return }
        var nodes = [Node(last, .member)]
        while let element = elements.popLast() { nodes = [Node(element, [], FieldSet(sorted: nodes))] }
        self.nodes = nodes
    }

    init(sorted nodes: [Node]) { self.nodes = nodes }

    /// Nodes as a walk over an object found them; their elements are distinct.
    init(found nodes: [Node]) {
        self.nodes = nodes
        var index = 1
        while index < nodes.count {
            if nodes[index - 1].element > nodes[index].element {
                self.nodes.sort { $0.element < $1.element }
                return
            }
            index += 1
        }
    }

    public var isEmpty: Bool { nodes.isEmpty }

    func node(_ element: String) -> Node? {
        var low = 0
        var high = nodes.count
        while low < high {
            let middle = (low + high) / 2
            if nodes[middle].element == element { return nodes[middle] }
            if nodes[middle].element < element { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    /// What lies below one element.
    func below(_ element: String) -> FieldSet { node(element)?.children ?? FieldSet() }

    public func contains(_ path: some Collection<String>) -> Bool {
        var here = self
        var marks: Marks = []
        for element in path {
            guard let node = here.node(element) else { return false }
            marks = node.marks
            here = node.children
        }
        return !marks.isEmpty
    }

    // MARK: Operations

    /// The fields of both; of `other` those that carry one of `marks`.
    public func union(_ other: FieldSet, having marks: Marks = .member) -> FieldSet {
        if other.isEmpty { return self }
        var result: [Node] = []
        result.reserveCapacity(nodes.count + other.nodes.count)
        var index = 0
        for theirs in other.nodes {
            while index < nodes.count, nodes[index].element < theirs.element {
                result.append(nodes[index])
                index += 1
            }
            let takes = !theirs.marks.isDisjoint(with: marks)
            if index < nodes.count, nodes[index].element == theirs.element {
                var node = nodes[index]
                if takes { node.marks = .member }
                node.children = node.children.union(theirs.children, having: marks)
                result.append(node)
                index += 1
            } else {
                let node = Node(
                    theirs.element, takes ? .member : [], FieldSet().union(theirs.children, having: marks))
                if !node.isEmpty { result.append(node) }
            }
        }
        result += nodes[index...]
        return FieldSet(sorted: result)
    }

    /// The fields that are not in `other` with one of `marks`.
    public func subtracting(_ other: FieldSet, having marks: Marks = .member) -> FieldSet {
        combined(other) { mine, theirs in
            var node = mine
            if !theirs.marks.isDisjoint(with: marks) { node.marks = [] }
            node.children = mine.children.subtracting(theirs.children, having: marks)
            return node
        }
    }

    /// The fields that neither are in `other` nor lie below one that is.
    public func subtractingRecursively(_ other: FieldSet) -> FieldSet {
        combined(other) { mine, theirs in
            guard theirs.marks.isEmpty else { return Node(mine.element, []) }
            var node = mine
            node.children = mine.children.subtractingRecursively(theirs.children)
            return node
        }
    }

    /// The fields that are also in `other` with one of `marks`.
    public func intersection(_ other: FieldSet, having marks: Marks = .member) -> FieldSet {
        var result: [Node] = []
        var index = 0
        for mine in nodes {
            while index < other.nodes.count, other.nodes[index].element < mine.element { index += 1 }
            guard index < other.nodes.count, other.nodes[index].element == mine.element else { continue }
            let theirs = other.nodes[index]
            let node = Node(
                mine.element, theirs.marks.isDisjoint(with: marks) ? [] : mine.marks,
                mine.children.intersection(theirs.children, having: marks))
            if !node.isEmpty { result.append(node) }
        }
        return FieldSet(sorted: result)
    }

    private func combined(_ other: FieldSet, _ body: (Node, Node) -> Node) -> FieldSet {
        if other.isEmpty || isEmpty { return self }
        var result: [Node] = []
        result.reserveCapacity(nodes.count)
        var index = 0
        for mine in nodes {
            while index < other.nodes.count, other.nodes[index].element < mine.element { index += 1 }
            guard index < other.nodes.count, other.nodes[index].element == mine.element else {
                result.append(mine)
                continue
            }
            let node = body(mine, other.nodes[index])
            if !node.isEmpty { result.append(node) }
        }
        return FieldSet(sorted: result)
    }

    // MARK: Paths

    /// Every field: those of a level before what lies below them.
    public func paths() -> [[String]] {
        var found: [[String]] = []
        collect([], into: &found)
        return found
    }

    private func collect(_ prefix: [String], into found: inout [[String]]) {
        for node in nodes where !node.marks.isEmpty { found.append(prefix + [node.element]) }
        for node in nodes where !node.children.isEmpty { node.children.collect(prefix + [node.element], into: &found) }
    }
}
