extension FastWeights where S == Float {
    /// Prepares what a session's level has learned: factors stay factors, so that a session holds no whole matrices.
    ///
    /// - Parameter precision: how the shared weights are held; factors are small, and held as they are.
    /// - Throws: ``FastWeightsError`` for a tensor that is no part of a link.
    public init(
        _ configuration: HopeConfiguration, _ level: LevelState, precision: WeightPrecision = .f32
    ) throws(FastWeightsError) {
        let factors = Dictionary(uniqueKeysWithValues: level.definition.factored.map { ($0.matrix, $0) })
        let whole = Set(level.definition.adapted.map(\.name)).subtracting(factors.keys)
        try self.init(configuration, level.contribution(to: whole), precision: precision)
        guard !factors.isEmpty else { return }
        func pair(_ name: String) -> (outer: Tensor<Float>, inner: Tensor<Float>)? {
            guard let own = factors[name], let outer = level.delta[own.outerName],
                let learned = level.delta[own.innerName]
            else { return nil }
            return (own.scaledOuter(outer), own.innerFactor(learned))
        }
        for block in 0..<configuration.layers {
            for (index, link) in configuration.links(ofBlock: block).enumerated() {
                var own = self.link(block: block, level: index)
                let parts = (link.isGated ? ["gate", "up"] : ["up"]).map { pair("\(link.name).\($0)") }
                if parts.contains(where: { $0 != nil }) {
                    own.up = Self.beside(parts, height: link.hidden, width: configuration.width)
                }
                if let down = pair("\(link.name).down") {
                    own.down = .factors(outer: PanelMatrix([down.outer]), inner: PanelMatrix([down.inner]))
                }
                set(own, block: block, level: index)
            }
        }
    }

    /// Several matrices of low rank one below the other as one: each outer factor beside the others, zeros elsewhere.
    private static func beside(
        _ parts: [(outer: Tensor<Float>, inner: Tensor<Float>)?], height: Int, width: Int
    ) -> Change {
        let ranks = parts.map { $0?.inner.shape[0] ?? 0 }
        let rank = ranks.reduce(0, +)
        let outer = Tensor<Float>.zeros([parts.count * height, rank])
        var left = 0
        for (part, own) in parts.enumerated() {
            guard let own else { continue }
            for row in 0..<height {
                (outer.pointer + (part * height + row) * rank + left)
                    .update(from: own.outer.pointer + row * ranks[part], count: ranks[part])
            }
            left += ranks[part]
        }
        return .factors(outer: PanelMatrix([outer]), inner: PanelMatrix(parts.compactMap { $0?.inner }))
    }
}
