import TestSupport

@testable import NLCore

/// The tiny model with slots, laid out over random texts.
enum SlotCases {
    static let link = "blocks.1.levels.1"

    /// The tiny model's tokens as text: every third goes on with the word before it, the last two are no words.
    static let spelling = (0..<TinyModel.configuration.vocabularySize).map { token in
        TokenSpelling(
            token < 2 ? nil : token > 37 ? Array(" .".utf8) : Array("\(token % 3 == 0 ? "" : " ")w\(token)".utf8))
    }

    static func slotted(capacity: Int = 256) -> (HopeConfiguration, ParameterSet<Float>) {
        var configuration = TinyModel.configuration
        var layout = SlotLayout(configuration, TinyModel.parameters(), level: 1, spelling: spelling)
        for seed in UInt64(100)..<120 { layout.read(TinyModel.text(seed: seed, length: 50)) }
        configuration.levels[1].slots = .init(capacity: capacity, contextSize: 64, words: 512)
        configuration.levels[2].adapts = ["*.slots.*"]
        var parameters = layout.parameters(for: configuration, seed: 3)
        // None of 40 words is rare; here two of them are to be enough evidence.
        for name in ["tokens", "rarity"] {
            guard let table = parameters["\(link).slots.\(name)"] else { continue }
            parameters["\(link).slots.\(name)"] = Tensor(table.elements.map { $0 * 6 }, shape: table.shape)
        }
        return (configuration, parameters)
    }

    static func levels(capacity: Int = 256) throws -> SpaceLevels {
        let (configuration, parameters) = slotted(capacity: capacity)
        return try SpaceLevels(configuration, base: parameters)
    }

    static func learn(
        _ text: LearningText, into levels: SpaceLevels, _ change: (inout Acquisition.Settings) -> Void = { _ in }
    ) throws -> (levels: SpaceLevels, outcome: Acquisition.Outcome) {
        var settings = Acquisition.Settings()
        settings.windowSize = 16
        change(&settings)
        var acquisition = Acquisition(
            text, into: levels, rehearsal: Rehearsal(journal: [], anchors: [], seed: 3), settings: settings)
        while true {
            if case .finished(let outcome) = try acquisition.step() { return (acquisition.levels, outcome) }
        }
    }

    static func losses(_ texts: [LearningText], _ levels: SpaceLevels) throws -> [Double] {
        var measurement = TextMeasurement(texts, configuration: levels.configuration, windowSize: 16)
        try measurement.finish(parameters: levels.effective)
        return measurement.losses
    }
}
