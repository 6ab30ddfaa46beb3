/// A binary heap: the element that precedes all others is at hand.
struct Heap<Element> {
    private var elements: [Element] = []
    private let precedes: (Element, Element) -> Bool

    init(_ precedes: @escaping (Element, Element) -> Bool) { self.precedes = precedes }

    var count: Int { elements.count }
    var first: Element? { elements.first }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            if !precedes(elements[child], elements[parent]) { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    mutating func popFirst() -> Element? {
        if elements.isEmpty { return nil }
        elements.swapAt(0, elements.count - 1)
        let first = elements.removeLast()
        var parent = 0
        while true {
            var best = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count {
                if precedes(elements[child], elements[best]) { best = child }
            }
            if best == parent { return first }
            elements.swapAt(parent, best)
            parent = best
        }
    }

    mutating func keep(_ isWanted: (Element) -> Bool) {
        let kept = elements.filter(isWanted)
        elements = []
        for element in kept { insert(element) }
    }
}
