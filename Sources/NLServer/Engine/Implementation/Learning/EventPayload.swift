import NLCore
import Store

/// What an event of the log needs, beside its document, to be done again: the settings of its time.
enum EventPayload {
    struct Learn: Codable {
        var settings: Acquisition.Settings
        /// Digest of the anchors that were rehearsed.
        var anchors: String
    }

    struct Consolidate: Codable {
        var settings: Consolidation.Settings
        var anchors: String
        var trigger: String
        /// Documents learned up to here are consolidated if this was adopted.
        var isAdopted: Bool
        /// The job that did it.
        var job: String?
    }

    /// For people: what is done is said by the event's target or source.
    struct Restore: Codable {
        var snapshot: String
        var name: String
    }

    struct Forget: Codable {
        /// Places of the events that are missing from the log since.
        var events: [Int64]
    }

    /// What seeds an event: its content, and its place among the events that learning depends on.
    static func seed(place: Int64, content: String) -> UInt64 {
        SeededRandom.mix(UInt64(place), JournalReader.digest(content))
    }

    /// What a consolidation has for content.
    static func content(ofConsolidation trigger: String) -> String { "consolidate \(trigger)" }
}

extension EngineConfiguration {
    /// How documents are learned (design §3).
    func acquisition(_ model: LoadedModel) -> Acquisition.Settings {
        var settings = Acquisition.Settings()
        settings.windowSize = model.windowSize
        settings.slotCapacity = model.configuration.levels.compactMap(\.slots).first?.capacity
        settings.maximumPasses = learnMaxPasses
        settings.shortTarget = learnTargetLoss
        settings.longTargetShare = learnTargetRatio
        // A share of all tokens, as a ratio to those of the document.
        settings.rehearsalRatio = rehearsalShare / max(1 - rehearsalShare, 0.01)
        if !settles { settings.settlingSteps = 0 }
        settings.precision = learnPrecision.noted
        if longestAnswered > 0 && model.configuration.conversation != nil {
            (settings.answers, settings.longestAnswered) = (true, longestAnswered)
        }
        return settings
    }

    /// How the slow level is consolidated.
    func consolidation(_ model: LoadedModel) -> Consolidation.Settings {
        var settings = Consolidation.Settings()
        settings.windowSize = model.windowSize
        settings.anchorBound = anchorBound
        settings.precision = learnPrecision.noted
        settings.targets = acquisition(model)
        return settings
    }
}
