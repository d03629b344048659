import Foundation
import NLCore
import Store

/// Levels as the store keeps them: named little-endian Float32 blobs, bit for bit, and counters as JSON.
///
/// A level's blobs are named `<part>/<tensor>`: `delta` is always there, `gradient` while a chunk is open, `first`,
/// `second`, `slow` and `recent` while the optimizer has such moments, `inputs` beside a gradient that needs them. What
/// is not there is empty; what slots hold has as many rows as are in use.
enum LevelCodec {
    private enum Part: String, CaseIterable {
        case delta, gradient, first, second, slow, recent, inputs

        func set(of state: NLCore.LevelState) -> ParameterSet<Float> {
            switch self {
            case .delta: state.delta
            case .gradient: state.gradientSum
            case .first: state.firstMoment
            case .second: state.secondMoment
            case .slow: state.slowMoment
            case .recent: state.recentGradients
            case .inputs: state.inputSum
            }
        }
    }

    /// The tensors of a level.
    ///
    /// - Parameter prefix: put before each name, where one state holds more than a level.
    static func blobs(of state: NLCore.LevelState, prefix: String = "") -> [StateBlob] {
        Part.allCases.flatMap { part in
            part.set(of: state).entries.filter { $0.tensor.count > 0 }.map { name, tensor in
                StateBlob(name: "\(prefix)\(part.rawValue)/\(name)", tensor: tensor)
            }
        }
    }

    /// A level from its blobs; those of other prefixes are left alone.
    ///
    /// - Throws: ``LevelCodecError`` for a blob that is no Float32 tensor of this level, ``LevelStateError`` for a part
    ///   that is incomplete.
    static func level(
        _ definition: LevelDefinition, blobs: [StateBlob], counters: LevelCounters, prefix: String = ""
    ) throws -> NLCore.LevelState {
        var sets: [Part: ParameterSet<Float>] = [:]
        let shapes = Dictionary(uniqueKeysWithValues: definition.tensors.map { ($0.name, $0.shape) })
        for blob in blobs where blob.name.hasPrefix(prefix) {
            let name = blob.name.dropFirst(prefix.count)
            let (head, tensor) = (name.prefix { $0 != "/" }, String(name.drop { $0 != "/" }.dropFirst()))
            guard let part = Part(rawValue: String(head)), let shape = shapes[tensor] else {
                throw LevelCodecError(level: definition.name, blob: blob.name, reason: "it is no tensor of the level")
            }
            // Slots have as many rows as were in use.
            let found = Shape(blob.shape)
            let fitting = HopeParameters<Void>.accepts(found, as: tensor, of: shape) ? found : shape
            let own = part == .inputs ? definition.inputShape(of: tensor) ?? shape : fitting
            sets[part, default: ParameterSet()][tensor] = try Tensor(blob, shape: own, level: definition.name)
        }
        // In the definition's order: sums over a level's tensors depend on it.
        func set(_ part: Part) -> ParameterSet<Float> {
            var ordered = ParameterSet<Float>()
            for tensor in definition.tensors {
                if let found = sets[part]?[tensor.name] { ordered[tensor.name] = found }
            }
            return ordered
        }
        return try NLCore.LevelState(
            definition, delta: set(.delta), gradientSum: set(.gradient), firstMoment: set(.first),
            secondMoment: set(.second), slowMoment: set(.slow), recentGradients: set(.recent), inputSum: set(.inputs),
            counters: counters)
    }
}

/// A blob that is not what its name says.
struct LevelCodecError: Error, CustomStringConvertible {
    let level: String
    let blob: String
    let reason: String

    var description: String { "level \"\(level)\": blob \"\(blob)\": \(reason)" }
}

extension StateBlob {
    /// A tensor's bits, little-endian.
    init(name: String, tensor: Tensor<Float>) {
        self = tensor.withElements { elements in
            // Swift runs on little-endian processors only; the store's format is theirs.
            StateBlob(name: name, type: .f32, shape: tensor.shape.axes, copying: elements)
        }
    }
}

extension Tensor<Float> {
    /// The tensor of a blob.
    ///
    /// - Throws: ``LevelCodecError`` if it is not Float32, of another shape, or holds NaN or infinity.
    init(_ blob: StateBlob, shape: Shape, level: String) throws(LevelCodecError) {
        guard blob.type == .f32, blob.shape == shape.axes else {
            throw LevelCodecError(
                level: level, blob: blob.name,
                reason: "it is \(blob.type.rawValue) of shape \(blob.shape), expected F32 of shape \(shape.axes)")
        }
        self.init(blob.withElements(as: Float.self) { Array($0) }, shape: shape)
        guard isFinite else {
            throw LevelCodecError(level: level, blob: blob.name, reason: "it holds NaN or infinity")
        }
    }
}
