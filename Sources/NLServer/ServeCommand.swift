import ArgumentParser
import Foundation
import Logging

/// `nlserver serve`: the daemon.
///
/// Every option is a `String?` here: values are parsed in one place, ``ServerConfiguration``, wherever they come from.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the daemon: a language model that keeps learning, behind HTTP.",
        discussion: """
            Each option is also an environment variable (--max-queue is NLSERVER_MAX_QUEUE) and a key of the \
            configuration file (maxQueue). The command line beats the environment, the environment beats the file.
            """)

    @Option(help: Self.help(.config)) var config: String?
    @Option(help: Self.help(.model)) var model: String?
    @Option(help: Self.help(.database)) var database: String?
    @Option(help: Self.help(.host)) var host: String?
    @Option(help: Self.help(.port)) var port: String?
    @Flag(help: Self.help(.readOnly)) var readOnly = false
    @Flag(help: Self.help(.relearn)) var relearn = false
    @Option(help: Self.help(.maxBodyBytes)) var maxBodyBytes: String?
    @Option(help: Self.help(.maxDocumentBytes)) var maxDocumentBytes: String?
    @Option(help: Self.help(.maxTokensLimit)) var maxTokensLimit: String?
    @Option(help: Self.help(.maxQueue)) var maxQueue: String?
    @Option(help: Self.help(.maxConcurrent)) var maxConcurrent: String?
    @Option(help: Self.help(.maxLearningQueue)) var maxLearningQueue: String?
    @Option(help: Self.help(.maxSessions)) var maxSessions: String?
    @Option(help: Self.help(.maxSpaces)) var maxSpaces: String?
    @Option(help: Self.help(.maxImportBytes)) var maxImportBytes: String?
    @Option(help: Self.help(.threads)) var threads: String?
    @Option(help: Self.help(.backend)) var backend: String?
    @Option(help: Self.help(.weights)) var weights: String?
    @Option(help: Self.help(.consolidateEvery)) var consolidateEvery: String?
    @Option(help: Self.help(.consolidateAt)) var consolidateAt: String?
    @Option(help: Self.help(.consolidateIdle)) var consolidateIdle: String?
    @Option(help: Self.help(.consolidateFill)) var consolidateFill: String?
    @Option(help: Self.help(.saveProgressEvery)) var saveProgressEvery: String?
    @Option(help: Self.help(.anchorBound)) var anchorBound: String?
    @Option(help: Self.help(.learnTargetLoss)) var learnTargetLoss: String?
    @Option(help: Self.help(.learnTargetRatio)) var learnTargetRatio: String?
    @Option(help: Self.help(.learnMaxPasses)) var learnMaxPasses: String?
    @Option(help: Self.help(.learnAnswersUpTo)) var learnAnswersUpTo: String?
    @Option(help: Self.help(.learnPrecision)) var learnPrecision: String?
    @Option(help: Self.help(.rehearsalShare)) var rehearsalShare: String?
    @Option(help: Self.help(.remeasureTokens)) var remeasureTokens: String?
    @Option(help: Self.help(.snapshotEvery)) var snapshotEvery: String?
    @Option(help: Self.help(.snapshotKeep)) var snapshotKeep: String?
    @Option(help: Self.help(.settling)) var settling: String?
    @Option(help: Self.help(.recallBudgetTokens)) var recallBudgetTokens: String?
    @Option(help: Self.help(.shutdownGrace)) var shutdownGrace: String?
    @Option(help: Self.help(.idleTimeout)) var idleTimeout: String?
    @Option(help: Self.help(.logLevel)) var logLevel: String?
    @Option(help: Self.help(.logFormat)) var logFormat: String?

    private static func help(_ option: ServerOption) -> ArgumentHelp { ArgumentHelp(stringLiteral: option.help) }

    /// What was said on the command line.
    var given: [ServerOption: String] {
        let all: [(ServerOption, String?)] = [
            (.config, config), (.model, model), (.database, database), (.host, host), (.port, port),
            (.readOnly, readOnly ? "true" : nil), (.relearn, relearn ? "true" : nil), (.maxBodyBytes, maxBodyBytes),
            (.maxDocumentBytes, maxDocumentBytes),
            (.maxTokensLimit, maxTokensLimit), (.maxQueue, maxQueue), (.maxConcurrent, maxConcurrent),
            (.maxLearningQueue, maxLearningQueue), (.maxSessions, maxSessions), (.threads, threads),
            (.maxSpaces, maxSpaces), (.maxImportBytes, maxImportBytes), (.snapshotEvery, snapshotEvery),
            (.snapshotKeep, snapshotKeep),
            (.backend, backend), (.weights, weights),
            (.consolidateEvery, consolidateEvery), (.consolidateAt, consolidateAt), (.consolidateIdle, consolidateIdle),
            (.consolidateFill, consolidateFill), (.saveProgressEvery, saveProgressEvery), (.anchorBound, anchorBound),
            (.learnTargetLoss, learnTargetLoss), (.learnTargetRatio, learnTargetRatio),
            (.learnMaxPasses, learnMaxPasses), (.learnAnswersUpTo, learnAnswersUpTo), (.learnPrecision, learnPrecision),
            (.rehearsalShare, rehearsalShare), (.remeasureTokens, remeasureTokens), (.settling, settling),
            (.recallBudgetTokens, recallBudgetTokens), (.shutdownGrace, shutdownGrace),
            (.idleTimeout, idleTimeout), (.logLevel, logLevel), (.logFormat, logFormat),
        ]
        return Dictionary(uniqueKeysWithValues: all.compactMap { option, value in value.map { (option, $0) } })
    }

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let sources: ConfigurationSources
        let configuration: ServerConfiguration
        do {
            sources = try ConfigurationSources(commandLine: given, environment: environment)
            configuration = try ServerConfiguration(sources, environment: environment)
        } catch let error as ConfigurationError {
            throw ValidationError(error.description)
        }
        let (format, level) = (configuration.logFormat, configuration.logLevel)
        LoggingSystem.bootstrap { StructuredLogHandler(label: $0, format: format, logLevel: level) }
        let logger = Logger(label: "nlserver")
        announce(configuration, sources, to: logger)
        let engine = HopeEngine(configuration: configuration.engine, logger: logger)
        do {
            try await ServerProcess(engine: engine, configuration: configuration, logger: logger).run()
        } catch {
            logger.critical("the daemon cannot run", metadata: [LogKey.error: .string(Self.describe(error))])
            throw ExitCode.failure
        }
    }

    private func announce(_ configuration: ServerConfiguration, _ sources: ConfigurationSources, to logger: Logger) {
        let options = configuration.description.map { ($0.option.key, Logger.MetadataValue.string($0.value)) }
        logger.info(
            "nlserver \(ServerVersion.current) starting", metadata: Dictionary(uniqueKeysWithValues: options))
        for name in sources.unknownVariables {
            logger.warning("unknown variable, ignored", metadata: ["variable": .string(name)])
        }
    }

    private static func describe(_ error: any Error) -> String {
        if let error = error as? EngineError { return APIError(error).message }
        return "\(error)"
    }
}
