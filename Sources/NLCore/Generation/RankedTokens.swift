/// Tokens from the likeliest down, equal ones by id: a heap, so that the first few cost little more than one look at all.
struct RankedTokens {
    private let logits: UnsafeBufferPointer<Float>
    /// Built when the first token is asked for.
    private var heap: [Int32]?

    /// The logits must outlive this.
    init(_ logits: UnsafeBufferPointer<Float>) {
        self.logits = logits
    }

    /// The next likeliest token.
    mutating func next() -> Int? {
        var heap = self.heap ?? makeHeap()
        self.heap = nil  // one owner, so that taking from it copies nothing
        defer { self.heap = heap }
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            heap.withUnsafeMutableBufferPointer { sink(0, in: $0) }
        }
        return Int(first)
    }

    private func makeHeap() -> [Int32] {
        var heap = Array(0..<Int32(logits.count))
        heap.withUnsafeMutableBufferPointer { heap in
            for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(index, in: heap) }
        }
        return heap
    }

    /// Moves one token down until none below precedes it.
    private func sink(_ start: Int, in heap: UnsafeMutableBufferPointer<Int32>) {
        let token = heap[start]
        var place = start
        while 2 * place + 1 < heap.count {
            var child = 2 * place + 1
            if child + 1 < heap.count, precedes(heap[child + 1], heap[child]) { child += 1 }
            guard precedes(heap[child], token) else { break }
            heap[place] = heap[child]
            place = child
        }
        heap[place] = token
    }

    private func precedes(_ a: Int32, _ b: Int32) -> Bool {
        let (x, y) = (logits[Int(a)], logits[Int(b)])
        return x > y || x == y && a < b
    }
}
