import Foundation
import Logging
import NLCore

/// How the daemon runs: read once at start, validated, printed, passed down.
///
/// Defaults < configuration file < environment < command line.
struct ServerConfiguration: Sendable, Equatable {
    var host = "127.0.0.1"
    var port = 8080
    var maxBodyBytes = 8 << 20
    var maxTokensLimit = 4096
    var maxImportBytes = 256 << 20
    var shutdownGrace: Duration = .seconds(25)
    var idleTimeout: Duration = .seconds(75)
    var logLevel = Logger.Level.info
    var logFormat = StructuredLogHandler.Format.text
    var engine: EngineConfiguration

    var requestLimits: RequestLimits {
        RequestLimits(
            maxBodyBytes: maxBodyBytes, maxDocumentBytes: engine.maxDocumentBytes, maxTokens: maxTokensLimit,
            maxImportBytes: maxImportBytes)
    }

    init(engine: EngineConfiguration) {
        self.engine = engine
    }

    /// Parses and validates every value.
    ///
    /// - Throws: ``ConfigurationError`` naming the option, its source and what is accepted.
    init(_ sources: ConfigurationSources, environment: [String: String]) throws {
        let reader = OptionReader(sources: sources)
        engine = EngineConfiguration(
            modelPath: try reader.text(.model) ?? DefaultPaths.model(),
            databasePath: try reader.text(.database) ?? DefaultPaths.database(environment: environment))
        host = try reader.text(.host) ?? host
        port = try reader.integer(.port, 0...65_535)
        engine.isReadOnly = try reader.value(.readOnly, "true or false", OptionValue.boolean)
        engine.relearns = try reader.value(.relearn, "true or false", OptionValue.boolean)
        if engine.relearns && engine.isReadOnly {
            throw reader.refuse(.relearn, "false with --read-only, which learns nothing")
        }
        maxBodyBytes = try reader.bytes(.maxBodyBytes)
        engine.maxDocumentBytes = try reader.bytes(.maxDocumentBytes)
        maxTokensLimit = try reader.integer(.maxTokensLimit, 1...1_000_000)
        engine.maxQueue = try reader.integer(.maxQueue, 1...1_000_000)
        engine.maxConcurrent = try reader.integer(.maxConcurrent, 1...1024)
        engine.maxLearningQueue = try reader.integer(.maxLearningQueue, 1...10_000_000)
        engine.maxSessions = try reader.integer(.maxSessions, 1...10_000_000)
        engine.maxSpaces = try reader.integer(.maxSpaces, 1...100_000)
        maxImportBytes = try reader.bytes(.maxImportBytes)
        engine.threads = try reader.integer(.threads, 0...1024)
        engine.backend = try reader.word(.backend)
        engine.weights = try reader.word(.weights)
        engine.consolidateEvery = try reader.duration(.consolidateEvery)
        engine.consolidateAt = try reader.cron(.consolidateAt)
        engine.consolidateIdle = try reader.duration(.consolidateIdle)
        engine.consolidateFill = try reader.integer(.consolidateFill, 0...1_000_000_000)
        engine.saveProgressEvery = try reader.duration(.saveProgressEvery)
        engine.anchorBound = try reader.number(.anchorBound, 0...10)
        engine.learnTargetLoss = try reader.number(.learnTargetLoss, 0...100)
        engine.learnTargetRatio = try reader.number(.learnTargetRatio, 0...1)
        engine.learnMaxPasses = try reader.integer(.learnMaxPasses, 1...10_000)
        engine.longestAnswered = try reader.integer(.learnAnswersUpTo, 0...1_000_000)
        engine.learnPrecision = try reader.word(.learnPrecision)
        if !engine.learnPrecision.products.isUsable {
            throw reader.refuse(.learnPrecision, "f32 or auto: \(PrecisionChoice.refusal)")
        }
        engine.rehearsalShare = try reader.number(.rehearsalShare, 0...0.9)
        engine.remeasureTokens = try reader.integer(.remeasureTokens, 0...1_000_000_000)
        engine.snapshotEvery = try reader.duration(.snapshotEvery)
        engine.snapshotKeep = try reader.integer(.snapshotKeep, 1...10_000)
        engine.settles = try reader.value(.settling, "true or false", OptionValue.boolean)
        engine.recallBudgetTokens = try reader.integer(.recallBudgetTokens, 1...1_000_000)
        shutdownGrace = try reader.duration(.shutdownGrace)
        idleTimeout = try reader.duration(.idleTimeout)
        logLevel = try reader.word(.logLevel)
        logFormat = try reader.word(.logFormat)
        if idleTimeout <= .zero { throw reader.refuse(.idleTimeout, "a duration above 0, such as 75s") }
    }

    /// One line an option, as set now; there are no secrets among them.
    var description: [(option: ServerOption, value: String)] {
        let e = engine
        return ServerOption.allCases.compactMap { option in
            let value: String? =
                switch option {
                case .config: nil
                case .model: e.modelPath
                case .database: e.databasePath
                case .host: host
                case .port: "\(port)"
                case .readOnly: "\(e.isReadOnly)"
                case .relearn: "\(e.relearns)"
                case .maxBodyBytes: "\(maxBodyBytes)"
                case .maxDocumentBytes: "\(e.maxDocumentBytes)"
                case .maxTokensLimit: "\(maxTokensLimit)"
                case .maxQueue: "\(e.maxQueue)"
                case .maxConcurrent: "\(e.maxConcurrent)"
                case .maxLearningQueue: "\(e.maxLearningQueue)"
                case .maxSessions: "\(e.maxSessions)"
                case .maxSpaces: "\(e.maxSpaces)"
                case .maxImportBytes: "\(maxImportBytes)"
                case .threads: "\(e.threads)"
                case .backend: e.backend.rawValue
                case .weights: e.weights.rawValue
                case .consolidateEvery: "\(e.consolidateEvery.seconds)s"
                case .consolidateAt: e.consolidateAt?.description ?? "none"
                case .consolidateIdle: "\(e.consolidateIdle.seconds)s"
                case .consolidateFill: "\(e.consolidateFill)"
                case .saveProgressEvery: "\(e.saveProgressEvery.seconds)s"
                case .anchorBound: "\(e.anchorBound)"
                case .learnTargetLoss: "\(e.learnTargetLoss)"
                case .learnTargetRatio: "\(e.learnTargetRatio)"
                case .learnMaxPasses: "\(e.learnMaxPasses)"
                case .learnAnswersUpTo: "\(e.longestAnswered)"
                case .learnPrecision: e.learnPrecision.rawValue
                case .rehearsalShare: "\(e.rehearsalShare)"
                case .remeasureTokens: "\(e.remeasureTokens)"
                case .snapshotEvery: "\(e.snapshotEvery.seconds)s"
                case .snapshotKeep: "\(e.snapshotKeep)"
                case .settling: "\(e.settles)"
                case .recallBudgetTokens: "\(e.recallBudgetTokens)"
                case .shutdownGrace: "\(shutdownGrace.seconds)s"
                case .idleTimeout: "\(idleTimeout.seconds)s"
                case .logLevel: logLevel.rawValue
                case .logFormat: logFormat.rawValue
                }
            return value.map { (option, $0) }
        }
    }
}

/// Reads one option at a time, from its source or from its default's text.
private struct OptionReader {
    let sources: ConfigurationSources

    func text(_ option: ServerOption) throws -> String? {
        guard let value = sources.values[option] else { return nil }
        if value.text.isEmpty { throw refuse(option, "a value that is not empty") }
        return value.text
    }

    func value<T>(_ option: ServerOption, _ accepted: String, _ parse: (String) -> T?) throws -> T {
        guard let value = parse(sources.values[option]?.text ?? option.defaultText) else {
            throw refuse(option, accepted)
        }
        return value
    }

    func integer(_ option: ServerOption, _ range: ClosedRange<Int>) throws -> Int {
        try value(option, "an integer from \(range.lowerBound) to \(range.upperBound)") {
            Int($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    func number(_ option: ServerOption, _ range: ClosedRange<Double>) throws -> Double {
        try value(option, "a number from \(range.lowerBound) to \(range.upperBound)") {
            Double($0).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    func bytes(_ option: ServerOption) throws -> Int {
        try value(option, "a size from 1KiB to 1GiB, such as 8MiB") {
            OptionValue.bytes($0).flatMap { (1 << 10...1 << 30).contains($0) ? $0 : nil }
        }
    }

    func duration(_ option: ServerOption) throws -> Duration {
        try value(option, "a duration such as 500ms, 30s, 5m, 1h", OptionValue.duration)
    }

    func cron(_ option: ServerOption) throws -> CronExpression? {
        guard let text = try text(option), text != option.defaultText else { return nil }
        do {
            return try CronExpression(text)
        } catch {
            throw refuse(option, "none or five fields of cron such as \"30 3 * * *\" (\(error))")
        }
    }

    func word<T: RawRepresentable & CaseIterable>(_ option: ServerOption) throws -> T where T.RawValue == String {
        try value(option, "one of " + T.allCases.map(\.rawValue).joined(separator: ", "), T.init(rawValue:))
    }

    func refuse(_ option: ServerOption, _ accepted: String) -> ConfigurationError {
        let value = sources.values[option]
        let name = value?.source.name(option) ?? option.flag
        return ConfigurationError(description: "\(name) must be \(accepted), got '\(value?.text ?? "")'.")
    }
}
