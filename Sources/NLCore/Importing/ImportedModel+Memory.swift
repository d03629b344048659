extension ImportedModel {
    /// What serving and teaching the model take, in bytes.
    public struct MemoryCost: Sendable {
        /// Scalars of the model.
        public let parameterCount: Int
        /// The file that is written.
        public let fileBytes: Int
        /// θ_base, once someone learns all of it.
        public let baseBytes: Int
        /// θ_base laid out for reading, in bfloat16 what is stored so (``WeightPrecision/auto``).
        public let readingBytes: Int
        /// Of each level: its scalars, and Δθ, the gathered gradient and two moments; what slots hold is written as it
        /// is.
        public let levels: [(name: String, parameterCount: Int, bytes: Int)]
    }

    /// What the model takes, from the header of its files alone.
    public func memoryCost() throws(ConfigurationError) -> MemoryCost {
        let scalar = MemoryLayout<Float>.size
        let count = tensors.reduce(0) { $0 + $1.shape.count }
        let levels = try LevelDefinition.levels(of: configuration).map {
            let stepped = $0.trained.reduce(0) { $0 + $1.shape.count }
            return (
                name: $0.name, parameterCount: $0.parameterCount, bytes: scalar * ($0.parameterCount + 3 * stepped)
            )
        }
        return MemoryCost(
            parameterCount: count, fileBytes: tensors.reduce(0) { $0 + $1.shape.count * $1.dataType.size },
            baseBytes: scalar * count,
            readingBytes: readingBytes, levels: levels)
    }

    /// A tied head holds the embedding too; rows of one in `Float` are the base's.
    private var readingBytes: Int {
        tensors.reduce(0) { sum, source in
            if source.dataType == .bfloat16 { return sum + 2 * source.shape.count }
            let isLookedUp = source.name == "embedding" && !configuration.tiesEmbeddings
            return isLookedUp ? sum : sum + MemoryLayout<Float>.size * source.shape.count
        }
    }

    /// Bytes of a session's cache when it has read so many tokens.
    public func sessionBytes(at tokens: Int) -> Int {
        let pages = AttentionCache<Float>.largestCount(configuration)
        let page = configuration.projectionChunkSize
        let held = min((tokens + page - 1) / page, pages)
        let numbers = configuration.vocabularySize + held * AttentionPage<Float>.shape(configuration).count
        return numbers * MemoryLayout<Float>.size
    }
}
