/// Every option of `nlserver serve`, in one table: its flag, variable, key, default and meaning.
///
/// `--max-body-bytes` is `NLSERVER_MAX_BODY_BYTES` in the environment and `maxBodyBytes` in a configuration file.
enum ServerOption: String, CaseIterable, Sendable {
    case config, model, database, host, port
    case readOnly = "read-only"
    case relearn
    case maxBodyBytes = "max-body-bytes"
    case maxDocumentBytes = "max-document-bytes"
    case maxTokensLimit = "max-tokens-limit"
    case maxQueue = "max-queue"
    case maxConcurrent = "max-concurrent"
    case maxLearningQueue = "max-learning-queue"
    case maxSessions = "max-sessions"
    case maxSpaces = "max-spaces"
    case maxImportBytes = "max-import-bytes"
    case threads, backend, weights
    case consolidateEvery = "consolidate-every"
    case consolidateAt = "consolidate-at"
    case consolidateIdle = "consolidate-idle"
    case consolidateFill = "consolidate-fill"
    case saveProgressEvery = "save-progress-every"
    case anchorBound = "anchor-bound"
    case learnTargetLoss = "learn-target-loss"
    case learnTargetRatio = "learn-target-ratio"
    case learnMaxPasses = "learn-max-passes"
    case learnAnswersUpTo = "learn-answers-up-to"
    case learnPrecision = "learn-precision"
    case rehearsalShare = "rehearsal-share"
    case remeasureTokens = "remeasure-tokens"
    case snapshotEvery = "snapshot-every"
    case snapshotKeep = "snapshot-keep"
    case settling
    case recallBudgetTokens = "recall-budget-tokens"
    case shutdownGrace = "shutdown-grace"
    case idleTimeout = "idle-timeout"
    case logLevel = "log-level"
    case logFormat = "log-format"

    var flag: String { "--\(rawValue)" }
    var variable: String { "NLSERVER_" + rawValue.uppercased().replacing("-", with: "_") }

    /// In a configuration file: the property's name.
    var key: String {
        let words = rawValue.split(separator: "-")
        return words.dropFirst().reduce(String(words[0])) { $0 + $1.prefix(1).uppercased() + $1.dropFirst() }
    }

    /// As a user would write it; also what is shown by `--help`.
    var defaultText: String {
        switch self {
        case .config: "none"
        case .model: "the shipped model, deploy/model"
        case .database: "nlserver/nlserver.sqlite in $XDG_STATE_HOME or ~/.local/state"
        case .host: "127.0.0.1"
        case .port: "8080"
        case .readOnly: "false"
        case .relearn: "false"
        case .maxBodyBytes: "8MiB"
        case .maxDocumentBytes: "1MiB"
        case .maxTokensLimit: "4096"
        case .maxQueue: "64"
        case .maxConcurrent: "8"
        case .maxLearningQueue: "10000"
        case .maxSessions: "1000"
        case .maxSpaces: "32"
        case .maxImportBytes: "256MiB"
        case .threads: "0"
        case .backend: "auto"
        case .weights: "auto"
        case .consolidateEvery: "1h"
        case .consolidateAt: "none"
        case .consolidateIdle: "5m"
        case .consolidateFill: "64"
        case .saveProgressEvery: "1m"
        case .anchorBound: "0.02"
        case .learnTargetLoss: "0.1"
        case .learnTargetRatio: "0.68"
        case .learnMaxPasses: "128"
        case .learnAnswersUpTo: "16384"
        case .learnPrecision: "f32"
        case .rehearsalShare: "0.5"
        case .remeasureTokens: "4096"
        case .snapshotEvery: "0"
        case .snapshotKeep: "7"
        case .settling: "true"
        case .recallBudgetTokens: "512"
        case .shutdownGrace: "25s"
        case .idleTimeout: "75s"
        case .logLevel: "info"
        case .logFormat: "text"
        }
    }

    var meaning: String {
        switch self {
        case .config: "A configuration file, YAML or JSON, with these options as keys (maxBodyBytes: 8MiB)."
        case .model: "The model directory: config.json, model.safetensors, tokenizer.json, anchors.txt."
        case .database: "The database file; made if missing."
        case .host: "The address to listen on."
        case .port: "The port to listen on; 0 takes a free one and logs it."
        case .readOnly: "Change nothing on disk: no documents, sessions or consolidations."
        case .relearn: "Take over a database that another model wrote, and learn again on this one what it has learned."
        case .maxBodyBytes: "Largest request body; more is 413. A stream of documents is not limited by it."
        case .maxDocumentBytes: "Longest document, in UTF-8 bytes; more is 413."
        case .maxTokensLimit: "Most tokens one request may ask for."
        case .maxQueue: "Generations that may wait; more is 429."
        case .maxConcurrent: "Generations decoded at the same time, as one batch."
        case .maxLearningQueue: "Documents that may wait to be learned; more is 429."
        case .maxSessions: "Sessions that may be stored; more is 429."
        case .maxSpaces: "Spaces there may be, default included; more is 409. The levels of each are held in memory."
        case .maxImportBytes: "Largest snapshot file that is imported; more is 413. It is held in memory."
        case .threads: "Compute threads; 0 is one for each core."
        case .backend: "Matrix products: auto, openblas or onednn."
        case .weights:
            "Weights in serving: auto (bf16 where that loses nothing), f32, bf16, bf16-both (inputs too) or int8."
        case .consolidateEvery: "Consolidate this long after the last time, if anything was learned; 0 is never."
        case .consolidateAt: "Consolidate at these times in UTC, as cron writes them (\"30 3 * * mon-fri\"), or none."
        case .consolidateIdle: "Consolidate after this long without a request, if anything was learned; 0 is never."
        case .consolidateFill: "Consolidate when so many documents were learned since the last try; 0 is never."
        case .saveProgressEvery: "Save how far a learning job is, so that a crash costs no more; 0 is never."
        case .anchorBound: "Reject a consolidation that raises the anchors' loss by more than this share."
        case .learnTargetLoss: "A document of up to 128 tokens is learned at this mean loss, in nats a token."
        case .learnTargetRatio: "A document of 1,000 tokens or more is learned at this share of its loss by the base."
        case .learnMaxPasses: "Most passes over a document; what is not learned by then says so."
        case .learnAnswersUpTo:
            "Learn the sentences of documents of up to so many tokens as answers too, a slot a token; 0 leaves them out."
        case .learnPrecision:
            "Dense products of learning: f32, bf16 (rounded factors, where the processor multiplies those) or auto."
        case .rehearsalShare: "Share of the tokens trained on that are older text."
        case .remeasureTokens: "Tokens a minute read while idle to measure what is still known; 0 is never."
        case .snapshotEvery: "Make a snapshot of each space this often, if it has learned since; 0 is never."
        case .snapshotKeep: "Automatic snapshots kept of each space; older ones are deleted, named ones never."
        case .settling: "Shorten what a document changed as far as it stays known, before it is published."
        case .recallBudgetTokens: "Most tokens of recalled passages read before a prompt that asks for recall."
        case .shutdownGrace: "How long streams may finish after SIGTERM; a second signal exits at once."
        case .idleTimeout: "Close connections that carry no request for this long."
        case .logLevel: "trace, debug, info, notice, warning, error or critical."
        case .logFormat: "text, or json: one object a line."
        }
    }

    /// The one-line help of the command line.
    var help: String { "\(meaning) (default: \(defaultText))" }
}
