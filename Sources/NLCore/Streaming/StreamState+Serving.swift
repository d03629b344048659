// What a server does with states and logits, beside reading on with them.

extension StreamState {
    /// Hands the state over and leaves an empty one, with which nothing can be read.
    ///
    /// Its taker is then its only owner, so that reading on with it copies nothing: a copy of the open rows for every
    /// token would cost more than the token.
    public mutating func handOver() -> StreamState {
        let state = self
        (layers, cache, logits, openTokens, position) = ([], AttentionCache(), nil, [], 0)
        return state
    }

    /// Drops what is derived of the state and the weights, half as much again as the state: a stream that rests does
    /// without, and derives it anew when it reads on, to the same bits.
    public mutating func dropDerived() {
        for index in layers.indices { layers[index].sums = nil }
    }

    /// ‖Δ‖ of all memories of all layers, after the last chunk that each was written with; 0 where there are none.
    public var deltaNorm: Double {
        @specialized(where S == Float)
        get {
            var sum = 0.0
            for layer in layers {
                for kind in MemoryKind.allCases {
                    sum += layer.delta[kind].w1.squaredNorm + layer.delta[kind].w2.squaredNorm
                }
            }
            return sum.squareRoot()
        }
    }
}

extension Tensor {
    /// A copy of some rows of a matrix: `[R, N]` → `[range.count, N]`.
    ///
    /// - Precondition: the tensor has two axes, and the rows are among its own.
    @specialized(where S == Float)
    public func rows(_ range: Range<Int>) -> Tensor {
        precondition(
            shape.rank == 2 && range.lowerBound >= 0 && range.upperBound <= shape[0],
            "rows \(range) of a tensor of shape \(shape)")
        let rows = Tensor(uninitialized: [range.count, shape[1]])
        rows.pointer.update(from: pointer + range.lowerBound * shape[1], count: rows.count)
        return rows
    }
}
