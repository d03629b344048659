import Logging
import NLCore
import Store

/// What exists between the engine's start and its shutdown, shared by the serving side, the learner and the facade.
struct EngineContext: Sendable {
    let configuration: EngineConfiguration
    let model: LoadedModel
    /// The database, for threads that may wait: the learner's and the decoder's own.
    let store: MemoryStore
    /// The same database for `async` callers, off the cooperative pool.
    let database: DatabaseAccess
    /// The newest generation of every space.
    let spaces: SpaceRegistry
    /// Accepts documents and wakes the learner.
    let journal: LearningJournal
    /// Tells the learner when someone is being served.
    let priority: ServingPriority
    /// Totals since the start.
    let totals: EngineTotals
    /// Describes levels.
    let reporter: LevelReporter
    /// Facts for the operator.
    let notices: NoticeBoard
    let logger: Logger

    /// Under what the operator is told that a space is to be learned again on another model.
    static func relearningKey(_ space: String) -> String { "relearn/\(space)" }

    /// What `/v1/models` says.
    var modelDescription: ModelDescription {
        var description = model.description
        let held = spaces.layout.held
        description.weights = ModelDescription.Weights(
            precision: spaces.layout.precision.rawValue, scalars: held.scalars, byteCount: held.bytes)
        return description
    }
}
