import Foundation
import NLCore
import Store
import Synchronization

/// What can be said of levels, beside what they count themselves: how far they have moved from the base.
struct LevelReporter: Sendable {
    private let model: LoadedModel
    private let baseNorms: BaseNorms

    init(_ model: LoadedModel) {
        self.model = model
        baseNorms = BaseNorms(model)
    }

    // MARK: - Records

    /// A CMS level.
    ///
    /// - Parameters:
    ///   - lastUpdate: when its Δθ last changed.
    ///   - nextDue: when it will, in words.
    func record(of level: NLCore.LevelState, lastUpdate: Date?, nextDue: String? = nil) -> LevelRecord {
        let definition = level.definition
        let norm = level.deltaNorm
        return LevelRecord(
            name: definition.name, kind: .cms, owner: definition.role == .reading ? .session : .space,
            adapts: definition.adapts, chunkSize: definition.chunkSize, parameterCount: definition.parameterCount,
            tokensRead: level.counters.tokensRead, pendingTokens: level.counters.pendingTokens,
            updates: level.counters.updates, lastUpdate: lastUpdate, deltaNorm: norm,
            relativeDrift: relativeDrift(norm, of: definition.name), lastSurprise: level.counters.lastSurprise,
            meanSurprise: level.counters.meanSurprise, optimizer: definition.optimizer.rule.rawValue,
            learningRate: level.learningRate, momentum: definition.optimizer.configurableMomentum,
            nextDue: nextDue ?? Self.nextDue(level), byteCount: level.byteCount,
            slots: level.slots.map { LevelRecord.Slots(used: $0.used, capacity: $0.capacity) })
    }

    /// The working level: Δ of the memories, which the forward pass itself writes.
    ///
    /// - Parameters:
    ///   - tokensRead: the session's position.
    ///   - deltaNorm: ‖Δ‖ over all memories of all layers.
    ///   - byteCount: size of the stream's state.
    func working(tokensRead: Int, deltaNorm: Double, byteCount: Int, lastUpdate: Date?) -> LevelRecord {
        let c = model.configuration
        if c.usesAttention { return cache(tokensRead: tokensRead, byteCount: byteCount, lastUpdate: lastUpdate) }
        let names = model.base.names.filter { $0.contains(".mixer.w1.") || $0.contains(".mixer.w2.") }
        let norm = Self.norm(of: model.base, over: names)
        let pending = tokensRead % c.chunkSize
        return LevelRecord(
            name: "working", kind: .selfModifyingTitans, owner: .session,
            adapts: ["blocks.*.mixer.w1.*", "blocks.*.mixer.w2.*"], chunkSize: c.chunkSize,
            parameterCount: names.reduce(0) { $0 + (model.base[$1]?.count ?? 0) }, tokensRead: tokensRead,
            pendingTokens: pending, updates: tokensRead / c.chunkSize, lastUpdate: lastUpdate, deltaNorm: deltaNorm,
            relativeDrift: norm > 0 ? deltaNorm / norm : 0, lastSurprise: nil, meanSurprise: nil, optimizer: nil,
            learningRate: nil, nextDue: "after \(c.chunkSize - pending) tokens", byteCount: byteCount)
    }

    /// The working level of Hope-Attention: keys and values, one row of each with every token.
    private func cache(tokensRead: Int, byteCount: Int, lastUpdate: Date?) -> LevelRecord {
        LevelRecord(
            name: "working", kind: .attention, owner: .session, adapts: [], chunkSize: 1, parameterCount: 0,
            tokensRead: tokensRead, pendingTokens: 0, updates: tokensRead, lastUpdate: lastUpdate, deltaNorm: 0,
            relativeDrift: 0, lastSurprise: nil, meanSurprise: nil, optimizer: nil, learningRate: nil,
            nextDue: "after 1 token", byteCount: byteCount)
    }

    /// The levels a session that has read nothing would have.
    func freshSession() -> [LevelRecord] {
        [working(tokensRead: 0, deltaNorm: 0, byteCount: 0, lastUpdate: nil)]
            + model.levels.filter { $0.role == .reading }.map {
                record(of: NLCore.LevelState($0), lastUpdate: nil)
            }
    }

    /// The levels a space owns, and the base beneath them.
    func space(_ space: PublishedSpace, consolidation: String) -> [LevelRecord] {
        let owned = space.levels.levels.map { level in
            record(
                of: level, lastUpdate: space.lastUpdates[level.definition.name],
                nextDue: level.definition.role == .consolidation ? consolidation : nil)
        }
        return owned + [base]
    }

    private var base: LevelRecord {
        LevelRecord(
            name: "base", kind: .base, owner: .modelFile, adapts: [], chunkSize: 0,
            parameterCount: model.base.parameterCount, tokensRead: 0, pendingTokens: 0, updates: 0, lastUpdate: nil,
            deltaNorm: 0, relativeDrift: 0, lastSurprise: nil, meanSurprise: nil, optimizer: nil, learningRate: nil,
            nextDue: "never", byteCount: model.base.parameterCount * MemoryLayout<Float>.size)
    }

    // MARK: - History

    /// A level at a generation.
    ///
    /// - Parameter previous: the level in the generation before.
    func history(
        of level: NLCore.LevelState, since previous: NLCore.LevelState?, in generation: Store.GenerationRecord
    ) -> Store.LevelHistoryEntry {
        let (now, then) = (level.counters, previous?.counters ?? LevelCounters())
        let count = now.surpriseCount - then.surpriseCount
        let norm = level.deltaNorm
        return Store.LevelHistoryEntry(
            at: generation.created, generation: generation.number, updates: now.updates, tokens: now.tokensRead,
            deltaNorm: norm, relativeDrift: relativeDrift(norm, of: level.definition.name),
            surprise: count > 0 ? (now.surpriseSum - then.surpriseSum) / Double(count) : nil,
            learningRate: level.learningRate, byteCount: level.byteCount)
    }

    // MARK: - Parts

    private func relativeDrift(_ norm: Double, of level: String) -> Double {
        // Nothing has moved: the base need not be read to say so.
        guard norm > 0, let base = baseNorms[level], base > 0 else { return 0 }
        return norm / base
    }

    fileprivate static func norm(of parameters: ParameterSet<Float>, over names: [String]) -> Double {
        names.reduce(0.0) { $0 + (parameters[$1]?.squaredNorm ?? 0) }.squareRoot()
    }

    private static func nextDue(_ level: NLCore.LevelState) -> String {
        let rest = level.definition.chunkSize - level.counters.pendingTokens
        return level.definition.role == .reading ? "after \(rest) tokens" : "after \(rest) tokens of documents"
    }
}

/// ‖θ_base‖ over the tensors each level adapts, by level; of all that were trained where those are 0, as the values of
/// slots.
/// Computed when first asked for.
private final class BaseNorms: Sendable {
    private let model: LoadedModel
    private let known = Mutex<[String: Double]>([:])

    init(_ model: LoadedModel) {
        self.model = model
    }

    subscript(_ name: String) -> Double? {
        guard let level = model.levels.first(where: { $0.name == name }) else { return nil }
        return known.withLock { known in
            if let norm = known[name] { return norm }
            let own = LevelReporter.norm(of: model.base, over: level.adapted.map(\.name))
            let norm =
                own > 0
                ? own
                : LevelReporter.norm(of: model.base, over: model.base.names.filter(HopeParameters<Void>.isPretrained))
            known[name] = norm
            return norm
        }
    }
}

extension NLCore.LevelState {
    /// Bytes of the level's tensors as persisted.
    var byteCount: Int {
        [delta, gradientSum, firstMoment, secondMoment, slowMoment, recentGradients, inputSum].reduce(0) {
            $0 + $1.parameterCount
        }
            * MemoryLayout<Float>.size
    }
}
