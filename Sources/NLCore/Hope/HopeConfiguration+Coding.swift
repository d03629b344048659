extension HopeConfiguration {
    /// Reads `config.json`; keys that are missing take their defaults, where there is one.
    public init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            vocabularySize: try c.decode(Int.self, forKey: .vocabularySize),
            width: try c.decode(Int.self, forKey: .width), layers: try c.decode(Int.self, forKey: .layers),
            heads: try c.decode(Int.self, forKey: .heads), levels: try c.decode([Level].self, forKey: .levels))
        func read<T: Decodable>(_ key: CodingKeys, into value: inout T) throws {
            if let found = try c.decodeIfPresent(T.self, forKey: key) { value = found }
        }
        modelType = try c.decode(String.self, forKey: .modelType)
        try read(.normEpsilon, into: &normEpsilon)
        try read(.mixer, into: &mixer)
        try read(.memoryHiddenMultiple, into: &memoryHiddenMultiple)
        try read(.chunkSize, into: &chunkSize)
        try read(.projectionChunkSize, into: &projectionChunkSize)
        try read(.convolutionWindow, into: &convolutionWindow)
        try read(.stepSizeMaximum, into: &stepSizeMaximum)
        try read(.memoryRadius, into: &memoryRadius)
        try read(.cmsWiring, into: &cmsWiring)
        try read(.tiesEmbeddings, into: &tiesEmbeddings)
        try read(.ablations, into: &ablations)
        try read(.bosTokenID, into: &bosTokenID)
        if let ends = try? c.decode([Int].self, forKey: .eosTokenID), let first = ends.first {
            (eosTokenID, furtherEndTokenIDs) = (first, Array(ends.dropFirst()))
        } else {
            try read(.eosTokenID, into: &eosTokenID)
        }
        try read(.storageType, into: &storageType)
        keyValueHeads = try c.decodeIfPresent(Int.self, forKey: .keyValueHeads)
        headDimension = try c.decodeIfPresent(Int.self, forKey: .headDimension)
        intermediateWidth = try c.decodeIfPresent(Int.self, forKey: .intermediateWidth)
        slidingWindow = try c.decodeIfPresent(Int.self, forKey: .slidingWindow)
        contextLength = try c.decodeIfPresent(Int.self, forKey: .contextLength)
        rotaryBase = try c.decodeIfPresent(Double.self, forKey: .rotaryBase)
        rotaryScaling = try c.decodeIfPresent(RotaryScaling.self, forKey: .rotaryScaling)
        attentionBias = try c.decodeIfPresent(AttentionBias.self, forKey: .attentionBias)
        normsQueriesAndKeys = try c.decodeIfPresent(Bool.self, forKey: .normsQueriesAndKeys)
        layerLevels = try c.decodeIfPresent([String].self, forKey: .layerLevels)
    }

    /// Writes the keys that the mixer has a use for.
    public func encode(to encoder: any Encoder) throws {
        var c = encoder.container(keyedBy: CodingKeys.self)
        try c.encode(modelType, forKey: .modelType)
        try c.encode(vocabularySize, forKey: .vocabularySize)
        try c.encode(width, forKey: .width)
        try c.encode(layers, forKey: .layers)
        try c.encode(heads, forKey: .heads)
        try c.encode(normEpsilon, forKey: .normEpsilon)
        try c.encode(mixer, forKey: .mixer)
        try c.encode(projectionChunkSize, forKey: .projectionChunkSize)
        try c.encode(cmsWiring, forKey: .cmsWiring)
        try c.encode(levels, forKey: .levels)
        try c.encode(tiesEmbeddings, forKey: .tiesEmbeddings)
        try c.encode(bosTokenID, forKey: .bosTokenID)
        if furtherEndTokenIDs.isEmpty {
            try c.encode(eosTokenID, forKey: .eosTokenID)
        } else {
            try c.encode([eosTokenID] + furtherEndTokenIDs, forKey: .eosTokenID)
        }
        try c.encode(storageType, forKey: .storageType)
        if usesAttention {
            try c.encodeIfPresent(keyValueHeads, forKey: .keyValueHeads)
            try c.encodeIfPresent(headDimension, forKey: .headDimension)
            try c.encodeIfPresent(intermediateWidth, forKey: .intermediateWidth)
            try c.encodeIfPresent(slidingWindow, forKey: .slidingWindow)
            try c.encodeIfPresent(contextLength, forKey: .contextLength)
            try c.encodeIfPresent(rotaryBase, forKey: .rotaryBase)
            try c.encodeIfPresent(rotaryScaling, forKey: .rotaryScaling)
            try c.encodeIfPresent(attentionBias, forKey: .attentionBias)
            try c.encodeIfPresent(normsQueriesAndKeys, forKey: .normsQueriesAndKeys)
            try c.encodeIfPresent(layerLevels, forKey: .layerLevels)
        } else {
            try c.encode(memoryHiddenMultiple, forKey: .memoryHiddenMultiple)
            try c.encode(chunkSize, forKey: .chunkSize)
            try c.encode(convolutionWindow, forKey: .convolutionWindow)
            try c.encode(stepSizeMaximum, forKey: .stepSizeMaximum)
            try c.encode(memoryRadius, forKey: .memoryRadius)
            try c.encode(ablations, forKey: .ablations)
        }
    }
}

extension HopeConfiguration.Level {
    /// Reads an entry of `cms_levels`; a width that is missing is 0; whether it may be is for ``validateLink(ofModel:)``.
    public init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try c.decode(String.self, forKey: .name),
            hiddenMultiple: try c.decodeIfPresent(Int.self, forKey: .hiddenMultiple) ?? 0,
            chunkSize: try c.decode(Int.self, forKey: .chunkSize),
            optimizer: try c.decodeIfPresent(String.self, forKey: .optimizer),
            learningRate: try c.decodeIfPresent(Double.self, forKey: .learningRate),
            adapts: try c.decodeIfPresent([String].self, forKey: .adapts))
        intermediateWidth = try c.decodeIfPresent(Int.self, forKey: .intermediateWidth)
        isGated = try c.decodeIfPresent(Bool.self, forKey: .isGated) ?? false
        momentum = try c.decodeIfPresent(Double.self, forKey: .momentum)
        rank = try c.decodeIfPresent(Int.self, forKey: .rank)
        slots = try c.decodeIfPresent(Slots.self, forKey: .slots)
    }

    /// Writes what was said.
    public func encode(to encoder: any Encoder) throws {
        var c = encoder.container(keyedBy: CodingKeys.self)
        try c.encode(name, forKey: .name)
        if hiddenMultiple > 0 { try c.encode(hiddenMultiple, forKey: .hiddenMultiple) }
        try c.encodeIfPresent(intermediateWidth, forKey: .intermediateWidth)
        if isGated { try c.encode(isGated, forKey: .isGated) }
        try c.encode(chunkSize, forKey: .chunkSize)
        try c.encodeIfPresent(optimizer, forKey: .optimizer)
        try c.encodeIfPresent(learningRate, forKey: .learningRate)
        try c.encodeIfPresent(momentum, forKey: .momentum)
        try c.encodeIfPresent(adapts, forKey: .adapts)
        try c.encodeIfPresent(rank, forKey: .rank)
        try c.encodeIfPresent(slots, forKey: .slots)
    }
}

extension HopeConfiguration.Level {
    /// Checks what the level says of its link.
    func validateLink(ofModel model: HopeConfiguration) throws(ConfigurationError) {
        func fail(_ message: String) throws(ConfigurationError) {
            throw ConfigurationError(
                key: HopeConfiguration.CodingKeys.levels.rawValue, message: "level \"\(name)\": \(message)")
        }
        if model.hasTransformerMLPs {
            if isGated || intermediateWidth != nil {
                try fail("the model's intermediate_size gives it gated MLPs of its own; a level adds none")
            }
            return
        }
        if let intermediateWidth {
            if hiddenMultiple != 0 { try fail("gives both hidden_multiple and intermediate_size; keep one") }
            if !(1...1 << 18).contains(intermediateWidth) {
                try fail("intermediate_size is \(intermediateWidth); 1 to 262144 is accepted")
            }
        } else if hiddenMultiple == 0 {
            try fail("gives no width; hidden_multiple (1 to 64) or intermediate_size is accepted")
        } else if !(1...64).contains(hiddenMultiple) {
            try fail("hidden_multiple is \(hiddenMultiple); 1 to 64 is accepted")
        }
    }
}
