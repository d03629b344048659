/// What the HTTP side needs from a model that keeps learning, and nothing about how it is done.
///
/// Controllers decode a request into the value types beside this file, call one method here, and encode what
/// comes back. No wire type and no tensor crosses this line, so the same controllers are tested with an engine
/// that holds its state in memory.
///
/// **Errors.** Every method throws ``EngineError``; anything else is answered 500 and logged. A call that throws
/// has changed nothing.
///
/// **Cancellation.** Every `async` method stops soon after its task is cancelled. A cancelled ``generate(_:)`` has
/// never happened: neither the session's Δs nor its token position move.
///
/// **Durability.** A method that returns after a write returns *after* the commit: an acknowledged document, job,
/// session or generation survives `kill -9`.
///
/// **Read-only mode.** With ``EngineConfiguration/isReadOnly`` every method that would write throws
/// ``EngineError/readOnly(action:)``: ``acceptDocument(_:)``, ``forgetDocument(_:space:keeping:)``,
/// ``consolidate(space:)``, ``cancelJob(_:)``, ``createSession(_:)``, ``forkSession(_:as:)``, ``deleteSession(_:)``,
/// everything that changes spaces and snapshots, and ``generate(_:)`` when the request names
/// a session (reading appends to it) or asks to learn into the space.
protocol ModelEngine: Sendable {
    // MARK: - Life

    /// Loads the model, opens the database, recovers, and starts the decode and learner threads.
    ///
    /// Called once. Until it returns every other method except ``health()`` and ``statistics()`` throws
    /// ``EngineError/unavailable(reason:retryAfter:)``. An error here ends the process with that message.
    func start() async throws

    /// Takes no new work from now on; what is running goes on. Called at SIGTERM, before the HTTP side drains.
    ///
    /// New ``generate(_:)``, ``score(_:)``, ``acceptDocument(_:)``, ``consolidate(space:)`` calls throw
    /// ``EngineError/unavailable(reason:retryAfter:)``; ``health()`` is not ready. Returns at once.
    func beginDraining()

    /// Stops the learner at its next chunk boundary, persists what must be kept, closes the database.
    ///
    /// Called once, after the last request ended. A running job stays `running` in the journal and continues at
    /// the next start.
    func shutdown() async

    /// Where the engine stands. Never blocks, never fails: it is what the probes answer from.
    func health() -> EngineHealth

    /// Numbers for `/metrics`, from memory. Never waits for the database or for compute.
    func statistics() async -> EngineStatistics

    // MARK: - Reading

    /// The models served: one today.
    func models() async throws -> [ModelDescription]

    /// Reads the input and writes an answer, as a stream of events: one ``GenerationEvent/started(_:)``, then
    /// ``GenerationEvent/token(_:)`` in order, then exactly one ``GenerationEvent/finished(_:)``, after which the
    /// stream ends. A failure after the first event ends the stream by throwing.
    ///
    /// - The request is pinned to the generation that is newest when it starts (design §2).
    /// - A session is checked out until the stream ends; a second request for it throws
    ///   ``EngineError/sessionInUse(id:)``.
    /// - The session's state is on disk before ``GenerationEvent/finished(_:)`` is delivered.
    /// - The stream is bounded: a consumer that does not take events stops the decoding of its own request, and of
    ///   no other. Cancelling the consuming task, or dropping the stream, stops the decoding within one token and
    ///   leaves the session as it was before the request.
    /// - Validation beyond what the HTTP side can see (token ids outside the vocabulary, unknown session or space)
    ///   is thrown here, before the first event.
    ///
    /// - Throws: `.notFound` (session, space), `.sessionInUse`, `.conflict` (the session belongs to another space),
    ///   `.invalid`, `.readOnly`, `.overloaded` when the queue is full, `.unavailable`.
    func generate(_ request: GenerationRequest) async throws -> EventStream<GenerationEvent>

    /// Log-probabilities of a given text with learning off. Moves no state, not even a session's.
    ///
    /// - Throws: `.notFound`, `.sessionInUse`, `.invalid`, `.overloaded`, `.unavailable`.
    func score(_ request: ScoreRequest) async throws -> ScoreResult

    // MARK: - Learning

    /// Puts a document and its learning job into the journal, in one transaction.
    ///
    /// Applied twice it changes state once: the same id with the same text, the same text in the same space under
    /// another id, or the same idempotency key with the same text, all return what is already there with
    /// `isNew == false`.
    ///
    /// - Throws: `.conflict` (id or idempotency key already used for another text), `.notFound` (space),
    ///   `.quotaExceeded`, `.readOnly`, `.overloaded` when the learning queue is full, `.storage`.
    func acceptDocument(_ submission: DocumentSubmission) async throws -> DocumentAcceptance

    /// Documents of a space, oldest first.
    func documents(space: String, page: PageRequest) async throws -> Page<DocumentRecord>

    /// One document of a space. - Throws: `.notFound` (document, space).
    func document(_ id: String, space: String) async throws -> DocumentRecord

    /// Deletes a document, and has the space rebuilt without it (design §3, "Forgetting on request").
    ///
    /// When it returns, text, title and metadata are gone from the disk. What the levels have learned of it goes when
    /// the job has ended; until then requests read the generation from before. A document that was never learned is
    /// gone at once, its job cancelled. Repeated, it returns the same receipt; a rebuild that failed is queued again.
    ///
    /// - Parameter keeping: what may go on holding the document; everything else that does goes too.
    /// - Throws: `.notFound` (space, document), `.conflict` if its learning does not let itself be cancelled,
    ///   `.readOnly`, `.unavailable`, `.storage`.
    func forgetDocument(_ id: String, space: String, keeping: Set<DocumentHolder>) async throws -> ForgetReceipt

    /// The newest receipt of a deleted document of this name; nil if there is none.
    func forgetReceipt(_ document: String, space: String) async throws -> ForgetReceipt?

    /// Follows a job until it ends: ``LearningEvent/accepted(_:)`` first, progress as it happens, then exactly one
    /// final event, after which the stream ends. A finished job gives `accepted` and its final event at once.
    ///
    /// Leaving the stream does not touch the job. A slow follower may miss progress events, never the final one.
    ///
    /// - Throws: `.notFound(.job, …)`.
    func follow(job id: String) async throws -> EventStream<LearningEvent>

    /// Jobs of a space, newest first, optionally only those in `status`.
    func jobs(space: String, status: JobRecord.Status?, page: PageRequest) async throws -> Page<JobRecord>

    /// One job. - Throws: `.notFound(.job, …)`.
    func job(_ id: String) async throws -> JobRecord

    /// Ends a queued job now, a running one at its next chunk boundary, with the levels as they were before it.
    ///
    /// Returns the job as it is then: `cancelled`, or still `running` if the boundary was not reached within the
    /// call. The document stays in the journal with status `cancelled`.
    ///
    /// - Throws: `.notFound`, `.conflict` if the job has already ended or forgets a document, `.readOnly`.
    func cancelJob(_ id: String) async throws -> JobRecord

    // MARK: - Memory

    /// The levels as a request of this space, and session if given, would read them now.
    func levels(space: String, session: String?) async throws -> LevelsReport

    /// What a level was at each generation, newest first.
    ///
    /// - Throws: `.notFound(.level, name)`; `.invalid` for a level owned by sessions, which has no generations.
    func history(level name: String, space: String, page: PageRequest) async throws -> Page<LevelHistoryEntry>

    /// How well the documents of a space are still known, from what was measured last.
    func retention(space: String, page: PageRequest) async throws -> RetentionReport

    /// Queues a consolidation with trigger `manual`. One is queued at most: asked again meanwhile, the waiting
    /// job is returned.
    ///
    /// - Throws: `.notFound(.space, …)`, `.conflict` if nothing has been learned yet, `.readOnly`, `.overloaded`.
    func consolidate(space: String) async throws -> JobRecord

    /// The log of consolidations with the gate's verdicts, newest first.
    func consolidations(space: String, page: PageRequest) async throws -> Page<ConsolidationRecord>

    /// When a space consolidates next without being asked. - Throws: `.notFound(.space, …)`.
    func consolidationForecast(space: String) async throws -> ConsolidationForecast

    /// One consolidation. - Throws: `.notFound(.consolidation, …)`.
    func consolidation(_ id: String) async throws -> ConsolidationRecord

    // MARK: - Sessions

    /// Makes a session that has read nothing.
    ///
    /// - Throws: `.conflict` if the id is taken, `.notFound(.space, …)`, `.overloaded` at the session limit,
    ///   `.readOnly`.
    func createSession(_ creation: SessionCreation) async throws -> SessionRecord

    /// Sessions of a space, oldest first.
    func sessions(space: String, page: PageRequest) async throws -> Page<SessionRecord>

    /// One session. - Throws: `.notFound(.session, …)`.
    func session(_ id: String) async throws -> SessionRecord

    /// A second session with the same state, independent from then on.
    ///
    /// - Throws: `.notFound`, `.sessionInUse`, `.conflict` if `newID` is taken, `.overloaded`, `.readOnly`.
    func forkSession(_ id: String, as newID: String?) async throws -> SessionRecord

    /// Removes a session and its state. - Throws: `.notFound`, `.sessionInUse`, `.readOnly`.
    func deleteSession(_ id: String) async throws

    // MARK: - Spaces

    /// Makes a space that has learned nothing.
    ///
    /// - Throws: `.conflict` if the id is taken or there are `--max-spaces` already, `.readOnly`.
    func createSpace(_ creation: SpaceCreation) async throws -> SpaceRecord

    /// All spaces, by id.
    func spaces(page: PageRequest) async throws -> Page<SpaceRecord>

    /// One space with what it uses. - Throws: `.notFound(.space, …)`.
    func space(_ id: String) async throws -> SpaceRecord

    /// Changes a space's name or quotas. - Throws: `.notFound(.space, …)`, `.readOnly`.
    func updateSpace(_ id: String, _ change: SpaceChange) async throws -> SpaceRecord

    /// A second space that goes on from the newest generation of the first, with its journal and log. Sessions,
    /// snapshots, and documents that wait are not taken over.
    ///
    /// - Throws: `.notFound`, `.conflict` as for ``createSpace(_:)``, `.readOnly`.
    func forkSpace(_ id: String, as creation: SpaceCreation) async throws -> SpaceRecord

    /// Removes a space with everything in it. Its jobs are cancelled first.
    ///
    /// - Throws: `.notFound`, `.conflict` for the space `default` or while a job does not end, `.sessionInUse` if a
    ///   session of it is being read, `.readOnly`.
    func deleteSpace(_ id: String) async throws

    // MARK: - Snapshots

    /// Names the newest generation of a space and keeps it.
    ///
    /// - Throws: `.notFound(.space, …)`, `.conflict` if the name is taken or nothing has been learned, `.readOnly`.
    func createSnapshot(_ creation: SnapshotCreation) async throws -> SnapshotRecord

    /// Snapshots of a space, newest first.
    func snapshots(space: String, page: PageRequest) async throws -> Page<SnapshotRecord>

    /// One snapshot. - Throws: `.notFound(.snapshot, …)`.
    func snapshot(_ id: String, space: String) async throws -> SnapshotRecord

    /// Removes a snapshot; what others share with it stays. - Throws: `.notFound`, `.readOnly`.
    func deleteSnapshot(_ id: String, space: String) async throws

    /// Queues a job that brings the space's levels back to the snapshot, as a new generation. Documents learned after
    /// it become `unlearned`.
    ///
    /// - Throws: `.notFound`, `.readOnly`, `.overloaded`.
    func restoreSnapshot(_ id: String, space: String) async throws -> JobRecord

    /// The snapshot as a file: every tensor and counter of the space's levels, exactly. - Throws: `.notFound`.
    func exportSnapshot(_ id: String, space: String) async throws -> SnapshotExport

    /// Makes a snapshot of such a file.
    ///
    /// - Throws: `.invalid` if the file is not one, `.conflict` if it is of another model or the name is taken,
    ///   `.notFound(.space, …)`, `.readOnly`.
    func importSnapshot(_ file: SnapshotImport) async throws -> SnapshotRecord

    /// How far a snapshot is from something else. - Throws: `.notFound`.
    func diffSnapshot(_ id: String, space: String, against: SnapshotReference) async throws -> SnapshotDiff
}
