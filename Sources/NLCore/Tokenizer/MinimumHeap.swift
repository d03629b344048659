/// A binary heap: gives elements back smallest first.
struct MinimumHeap<Element: Comparable> {
    private var elements: [Element] = []

    mutating func removeAll() { elements.removeAll(keepingCapacity: true) }

    mutating func push(_ element: Element) {
        var child = elements.count
        elements.append(element)
        while child > 0 {
            let parent = (child - 1) / 2
            guard element < elements[parent] else { break }
            elements[child] = elements[parent]
            child = parent
        }
        elements[child] = element
    }

    /// Takes the smallest out; nil where there is none.
    mutating func pop() -> Element? {
        guard let top = elements.first, let moved = elements.popLast() else { return nil }
        if elements.isEmpty { return top }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < elements.count else { break }
            if child + 1 < elements.count, elements[child + 1] < elements[child] { child += 1 }
            guard elements[child] < moved else { break }
            elements[parent] = elements[child]
            parent = child
        }
        elements[parent] = moved
        return top
    }
}

extension MinimumHeap: Sendable where Element: Sendable {}
