/// What a session's fast level adds to the CMS links of the shared weights, laid out for reading: made once when the
/// level is updated, then read with every token of that session.
///
/// A link with Δ computes `(W + Δ) x` as `W x + Δ x`: the first term is one product for all streams, the second is
/// the session's own.
public struct FastWeights<S: TensorScalar>: Sendable {
    struct Link: Sendable {
        /// Δg, `[D]`.
        var gain: Tensor<S>?
        /// ΔW↑: D → hidden; where there is a gate, ΔW_gate and ΔW↑ one below the other.
        var up: Change?
        /// ΔW↓: hidden → D.
        var down: Change?
    }

    /// Δ of a matrix: whole, or of low rank, B A.
    enum Change: Sendable {
        case whole(PanelMatrix<S>)
        case factors(outer: PanelMatrix<S>, inner: PanelMatrix<S>)

        var inputs: Int {
            switch self {
            case .whole(let matrix): matrix.inputs
            case .factors(_, let inner): inner.inputs
            }
        }
        var outputs: Int {
            switch self {
            case .whole(let matrix): matrix.outputs
            case .factors(let outer, _): outer.outputs
            }
        }

        /// y ← y + Δ x.
        func add(_ rows: Int, _ x: UnsafePointer<S>, to y: UnsafeMutablePointer<S>) {
            switch self {
            case .whole(let matrix): matrix.multiply(rows, x, into: y, accumulate: true)
            case .factors(let outer, let inner):
                let between = Tensor<S>(uninitialized: [rows, inner.outputs])
                inner.multiply(rows, x, into: between.pointer)
                outer.multiply(rows, between.pointer, into: y, accumulate: true)
            }
        }
    }

    /// One for each link, block by block.
    private var links: [Link]
    private let linksPerBlock: Int

    /// Prepares a level's Δθ.
    ///
    /// - Parameters:
    ///   - delta: tensors of CMS links under their checkpoint names (`blocks.3.levels.0.up`, `.down`, `.gate`, `.gain`);
    ///     links that are not named have no Δ.
    ///   - precision: how the shared weights are held; where those are rounded, so is what is read of Δ.
    /// - Throws: ``FastWeightsError`` for any other tensor, and for a shape that is not the link's.
    @specialized(where S == Float)
    public init(
        _ configuration: HopeConfiguration, _ delta: ParameterSet<S>, precision: WeightPrecision = .f32
    ) throws(FastWeightsError) {
        linksPerBlock = configuration.linksPerBlock
        var links = [Link](repeating: Link(), count: configuration.layers * linksPerBlock)
        var unused = Set(delta.names)
        var mistake: FastWeightsError?
        func find(_ name: String, _ shape: Shape) -> Tensor<S>? {
            guard let tensor = delta[name] else { return nil }
            unused.remove(name)
            if tensor.shape == shape { return tensor }
            mistake = mistake ?? .shape(name: name, expected: shape, found: tensor.shape)
            return nil
        }
        let width = configuration.width
        let form = precision.changeForm
        for layer in 0..<configuration.layers {
            for (index, link) in configuration.links(ofBlock: layer).enumerated() {
                let name = link.name
                let gate = link.isGated ? find("\(name).gate", [link.hidden, width]) : nil
                let up = find("\(name).up", [link.hidden, width])
                var above: Change?
                if link.isGated, gate != nil || up != nil {
                    let zeros = Tensor<S>.zeros([link.hidden, width])
                    above = .whole(PanelMatrix([gate ?? zeros, up ?? zeros], form))
                } else if let up {
                    above = .whole(PanelMatrix([up], form))
                }
                links[layer * linksPerBlock + index] = Link(
                    gain: find("\(name).gain", [width]), up: above,
                    down: find("\(name).down", [width, link.hidden]).map { .whole(PanelMatrix([$0], form)) })
            }
        }
        if let mistake { throw mistake }
        if let name = unused.min() { throw .notALink(name: name) }
        self.links = links
    }

    func link(block: Int, level: Int) -> Link { links[block * linksPerBlock + level] }

    mutating func set(_ link: Link, block: Int, level: Int) { links[block * linksPerBlock + level] = link }

    /// Whether this was prepared for models of that geometry.
    func fits(_ configuration: HopeConfiguration) -> Bool {
        links.count == configuration.layers * configuration.linksPerBlock
            && linksPerBlock == configuration.linksPerBlock
    }
}

/// A Δθ that a session's fast level can't have.
public enum FastWeightsError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The tensor is no part of a CMS link of the model.
    case notALink(name: String)
    /// The tensor has another shape than the link's.
    case shape(name: String, expected: Shape, found: Shape)

    /// What is wrong with which tensor.
    public var description: String {
        switch self {
        case .notALink(let name):
            "\"\(name)\" is no tensor of a CMS link of this model; a session's own weights are .up, .down, .gain and, where there is one, .gate of blocks.N.levels.M or blocks.N.mlp"
        case .shape(let name, let expected, let found):
            "the session's \"\(name)\" has shape \(found); the model's has \(expected)"
        }
    }
}
