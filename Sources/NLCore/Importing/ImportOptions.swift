/// What an import may be told beside the files: how the MLPs become levels (NL §7.3).
public struct ImportOptions: Sendable {
    /// The level of each layer's MLP, or `base`; nil for the default map.
    public var layerLevels: [String]?
    /// An associative memory for the level that documents are learned into, in place of layers of its own; nil for none.
    public var slots: HopeConfiguration.Level.Slots?
    /// r of the Δθ of levels that adapt layers; nil learns whole matrices.
    public var rank: Int?
    /// Positions the cache holds at most; nil takes the model's context, up to 8,192.
    public var contextLength: Int?

    /// The defaults.
    public init() {}

    /// The level that learns while documents are ingested.
    public static let acquisitionLevel = 1

    /// The levels, fastest first.
    ///
    /// [choice] Steps of AdamW move every weight by about the learning rate; a trained weight is about 1/√D long, and
    /// wide layers have more of them: rates fall as 1/D, and are never bolder than those of a Hope model.
    static func levels(width: Int) -> [HopeConfiguration.Level] {
        func rate(_ most: Double) -> Double { most * min(1, 128 / Double(width)) }
        return [
            .init(name: "fast", chunkSize: 64, learningRate: rate(1e-3)),
            .init(name: "medium", chunkSize: 512, learningRate: rate(4e-3)),
            .init(name: "slow", chunkSize: 8192, learningRate: rate(2e-3)),
        ]
    }
}
