extension ImportedModel {
    /// What serving and teaching the model take, in bytes.
    public struct MemoryCost: Sendable {
        /// Scalars of the model.
        public let parameterCount: Int
        /// The file that is written.
        public let fileBytes: Int
        /// θ_base.
        public let baseBytes: Int
        /// θ_base + Δθ laid out for reading, for each generation that someone reads.
        public let readingBytes: Int
        /// Of each level: its scalars, and Δθ, the gathered gradient and two moments.
        public let levels: [(name: String, parameterCount: Int, bytes: Int)]
    }

    /// What the model takes, from the header of its files alone.
    public func memoryCost() throws(ConfigurationError) -> MemoryCost {
        let scalar = MemoryLayout<Float>.size
        let count = tensors.reduce(0) { $0 + $1.shape.count }
        let embedding = configuration.vocabularySize * configuration.width
        let levels = try LevelDefinition.levels(of: configuration).map {
            (name: $0.name, parameterCount: $0.parameterCount, bytes: 4 * scalar * $0.parameterCount)
        }
        return MemoryCost(
            parameterCount: count, fileBytes: tensors.reduce(0) { $0 + $1.shape.count * $1.dataType.size },
            baseBytes: scalar * count,
            // The embedding's rows are shared with the base; a tied head is laid out once more.
            readingBytes: scalar * (configuration.tiesEmbeddings ? count : count - embedding), levels: levels)
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
