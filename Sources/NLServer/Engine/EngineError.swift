/// Every way the engine refuses or fails, in the caller's terms.
///
/// One middleware turns a case into a status and a body; the message says what was wrong and what to do.
enum EngineError: Error, Sendable, Equatable {
    /// What a request can name and the engine may not have.
    enum Resource: String, Sendable, CaseIterable {
        case model, space, session, document, job, level, consolidation, snapshot
    }

    /// What kind of storage trouble; the process goes on in every case.
    enum StorageFailure: String, Sendable {
        /// No space left; nothing was written. 507.
        case diskFull = "disk_full"
        /// The file or its directory cannot be written. 500.
        case notWritable = "not_writable"
        /// A checksum did not match. 500.
        case damaged
        /// Anything else SQLite reports. 500.
        case other
    }

    /// 404: no such thing.
    case notFound(Resource, id: String)
    /// 409: the request contradicts what is already there. `code` is a stable `snake_case` word.
    case conflict(code: String, message: String)
    /// 409: another request holds this session.
    case sessionInUse(id: String)
    /// 403: the space may not hold or learn more; the message says which quota, what is used, and what to do.
    case quotaExceeded(message: String)
    /// 403: the daemon runs with `--read-only`. `action` completes "cannot …", as in "create a session".
    case readOnly(action: String)
    /// 400: `parameter` is the wire name of the offending field.
    case invalid(parameter: String, message: String)
    /// 413: the input is longer than the daemon takes.
    case tooLarge(parameter: String, message: String)
    /// 429: a bounded queue is full.
    case overloaded(queue: String, retryAfter: Duration)
    /// 503: loading, draining, or stopped.
    case unavailable(reason: String, retryAfter: Duration)
    /// 507 when the disk is full, else 500.
    case storage(StorageFailure, message: String)
    /// 500: a loss, gradient or logit was not finite; the level is as it was.
    case numerics(message: String)
    /// The work was cancelled: by the caller going away, or by shutdown cutting it off.
    case cancelled(reason: String)
    /// Start only: the model directory is missing, incomplete or damaged.
    case modelDirectory(path: String, message: String)
    /// Start only: the database was written by another model.
    case databaseOfAnotherModel(path: String, expected: String, found: String)
}

extension EngineError {
    /// 409: the levels still hold a document that was deleted, so nothing may take them over until they are rebuilt.
    static func forgettingPends(space: String, job: String, action: String) -> EngineError {
        .conflict(
            code: "forgetting_pending",
            message: "Space '\(space)' is being rebuilt without a document that was deleted (job '\(job)'). "
                + "Wait until that job has ended to \(action).")
    }

    /// 409: the same after the rebuild has failed, until one succeeds.
    static func forgettingFailed(space: String, document: String, job: String, action: String) -> EngineError {
        .conflict(
            code: "forgetting_failed",
            message: "The levels of space '\(space)' still hold document '\(document)', which was deleted: the job "
                + "that rebuilds them without it failed ('\(job)'). Delete the document once more to try again, and "
                + "wait until that has succeeded to \(action).")
    }

    /// 409: the levels do not hold yet what the space's log says, so nothing may take them over.
    static func relearningPends(space: String, job: String, action: String) -> EngineError {
        .conflict(
            code: "relearning_pending",
            message: "Space '\(space)' is being learned again on another model (job '\(job)'). Wait until that job has "
                + "ended to \(action).")
    }

    /// 409: half of a space's log is no state to go on from.
    static func relearningIsFinal(_ job: String) -> EngineError {
        .conflict(
            code: "relearning_is_final",
            message: "Job '\(job)' cannot be cancelled: it learns the space again on the model that is served now. To "
                + "go back to the former model, start the daemon with that one and --relearn.")
    }

    /// 409: the document's text went when its deletion was acknowledged; only the rebuild is left, and without that
    /// the levels would hold what nobody can see any more.
    static func forgettingIsFinal(_ job: String) -> EngineError {
        .conflict(
            code: "forgetting_is_final",
            message: "Job '\(job)' cannot be cancelled: the document is deleted already, and the job removes from the "
                + "levels what they have learned of it.")
    }
}
