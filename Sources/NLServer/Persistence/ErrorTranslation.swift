import NLCore
import Store

extension EngineError {
    /// What the store answered, in a caller's terms.
    init(_ error: StoreError) {
        switch error {
        case .notFound(let row): self = Self.missing(row, error)
        case .conflict(let row, _): self = Self.contradiction(row, error)
        case .invalid(let row, let reason):
            self = .invalid(parameter: Self.parameter(row), message: "\(row): \(reason).")
        case .diskFull: self = .storage(.diskFull, message: error.sentence)
        case .readOnly, .cannotOpen: self = .storage(.notWritable, message: error.sentence)
        case .damaged: self = .storage(.damaged, message: error.sentence)
        case .closed: self = .unavailable(reason: "the daemon is shutting down", retryAfter: .seconds(5))
        case .otherModel, .newerSchema, .notAMemoryDatabase, .alreadyOpen, .settingRefused, .busy, .inputOutput,
            .failed:
            self = .storage(.other, message: error.sentence)
        }
    }

    /// Runs `body`; a ``StoreError`` comes out as the ``EngineError`` it means, anything else unchanged.
    static func translating<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as StoreError {
            throw EngineError(error)
        }
    }

    private static func missing(_ row: StoreRow, _ error: StoreError) -> EngineError {
        // Keys of documents carry their space: "default/alice".
        let id = row.key.split(separator: "/", maxSplits: 1).last.map(String.init) ?? row.key
        switch row.table {
        case "space": return .notFound(.space, id: row.key)
        case "session": return .notFound(.session, id: row.key)
        case "document": return .notFound(.document, id: id)
        case "job": return .notFound(.job, id: row.key)
        case "snapshot": return .notFound(.snapshot, id: id)
        default: return .storage(.other, message: error.sentence)
        }
    }

    private static func contradiction(_ row: StoreRow, _ error: StoreError) -> EngineError {
        let code =
            switch row.table {
            case "document": "document_exists"
            case "idempotency_key": "idempotency_key_reused"
            case "session": "session_exists"
            case "generation": "generation_forgotten"
            case "space": "space_exists"
            case "snapshot": "snapshot_exists"
            case "job": "job_ended"
            default: "conflict"
            }
        return .conflict(code: code, message: error.sentence)
    }

    private static func parameter(_ row: StoreRow) -> String {
        row.table == "idempotency_key" ? "Idempotency-Key" : "id"
    }
}

extension StoreError {
    /// The description as a sentence of its own.
    var sentence: String {
        let text = description
        return text.prefix(1).uppercased() + text.dropFirst() + "."
    }

    /// Whether the same write may succeed later, without anything being wrong with what is written.
    var isPassing: Bool {
        switch self {
        case .diskFull, .readOnly, .busy, .inputOutput, .cannotOpen: true
        default: false
        }
    }
}

extension JobFailure {
    /// What a job failed with, under a stable word.
    init(_ error: any Error) {
        switch error {
        case let error as NumericsError:
            let code =
                switch error {
                case .nonFiniteLoss: "non_finite_loss"
                case .nonFiniteGradient: "non_finite_gradient"
                case .nonFiniteParameters: "non_finite_parameters"
                }
            self.init(code: code, message: Self.sentence(error.description))
        case StoreError.diskFull: self.init(code: "disk_full", message: Self.sentence("\(error)"))
        case StoreError.damaged: self.init(code: "damaged", message: Self.sentence("\(error)"))
        case StoreError.notFound: self.init(code: "not_found", message: Self.sentence("\(error)"))
        case is UnknownSnapshot: self.init(code: "snapshot_not_found", message: Self.sentence("\(error)"))
        case is StoreError: self.init(code: "storage", message: Self.sentence("\(error)"))
        default: self.init(code: "internal", message: Self.sentence("\(error)"))
        }
    }

    private static func sentence(_ text: String) -> String {
        text.prefix(1).uppercased() + text.dropFirst() + ". The levels are as they were before the job."
    }
}
