import NLCore
import Synchronization

import struct Foundation.Date

/// One generation of a space as readers see it: nothing in it ever changes.
///
/// A request takes one of these when it starts and keeps it to its end, so that it is pinned to a generation
/// (design §2). The learner makes a new one after each commit, and never touches an old one.
final class PublishedSpace: Sendable {
    /// The space's id.
    let name: String
    /// The generation's number; 0 stands for the model file, before anything was learned.
    let generation: Int
    /// When the generation was persisted; for generation 0, when the process loaded the model.
    let published: Date
    /// The space's levels, and the effective parameters a learning step starts from.
    let levels: SpaceLevels
    /// The same effective parameters laid out for reading, shared by all sessions.
    let weights: HopeWeights<Float>
    /// When each level was last updated, by name.
    let lastUpdates: [String: Date]

    /// A generation whose effective parameters have been laid out for reading.
    init(
        name: String, generation: Int, published: Date, levels: SpaceLevels, weights: HopeWeights<Float>,
        lastUpdates: [String: Date]
    ) {
        self.name = name
        self.generation = generation
        self.published = published
        self.levels = levels
        self.weights = weights
        self.lastUpdates = lastUpdates
    }

    /// Lays the levels out for reading, which costs about one copy of what `layout` has not laid out before.
    ///
    /// - Throws: ``HopeWeightsError`` if the parameters are not those of the configuration.
    convenience init(
        name: String, generation: Int, published: Date, levels: SpaceLevels, lastUpdates: [String: Date],
        layout: ReadingLayout
    ) throws(HopeWeightsError) {
        self.init(
            name: name, generation: generation, published: published, levels: levels,
            weights: try layout.weights(of: levels), lastUpdates: lastUpdates)
    }
}

/// The newest generation of every space: what the learner publishes and requests read.
final class SpaceRegistry: Sendable {
    /// How they are laid out for reading.
    let layout: ReadingLayout
    private let spaces = Mutex<[String: PublishedSpace]>([:])
    private let base = Mutex<PublishedSpace?>(nil)

    init(_ layout: ReadingLayout) {
        self.layout = layout
    }

    /// The newest generation of a space.
    ///
    /// - Throws: ``EngineError/notFound(_:id:)``.
    func current(_ space: String) throws(EngineError) -> PublishedSpace {
        guard let found = spaces.withLock({ $0[space] }) else { throw .notFound(.space, id: space) }
        return found
    }

    /// The model file's levels, before anything was learned: of no space. Laid out once, when first asked for.
    ///
    /// - Throws: ``EngineError/modelDirectory(path:message:)`` if the model's own parameters do not fit it.
    func untouched(_ model: LoadedModel) throws(EngineError) -> PublishedSpace {
        try base.withLock { base throws(EngineError) in
            if let base { return base }
            do {
                let levels = try SpaceLevels(model.configuration, base: model.base)
                let space = try PublishedSpace(
                    name: "", generation: 0, published: model.created, levels: levels, lastUpdates: [:], layout: layout)
                base = space
                return space
            } catch {
                throw .modelDirectory(path: model.id, message: "\(error)")
            }
        }
    }

    /// Makes a generation the one that new requests read. It must be on disk already.
    func publish(_ space: PublishedSpace) {
        spaces.withLock { $0[space.name] = space }
    }

    /// Lets requests read a space that is new; leaves a generation alone that the learner has published meanwhile.
    func publishFirst(_ space: PublishedSpace) {
        spaces.withLock { spaces in
            if spaces[space.name] == nil { spaces[space.name] = space }
        }
    }

    /// The space has been deleted; requests that have begun keep what they read.
    func remove(_ space: String) { spaces.withLock { $0[space] = nil } }

    /// Ids of all spaces, sorted.
    var names: [String] { spaces.withLock { $0.keys.sorted() } }
}
