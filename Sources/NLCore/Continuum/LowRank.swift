/// A Δθ of low rank: of a matrix `[out, in]` a level then holds B, `[out, r]`, and what was added to A, `[r, in]`:
///
///     Δθ = s B A,  A = A₀ + ΔA,  s = in / r
///
/// A₀ is random, a function of the matrix's name alone, and never stored; B begins at zero, and so does Δθ (Hu et al.
/// 2022). Gradients of the factors follow from the matrix's: ∂B = s G Aᵀ, ∂A = s Bᵀ G.
///
/// [choice] s: a step of AdamW moves every number of B by about η, which moves an output by s r η; one on the matrix
/// itself by in · η. So levels of any rank take the same learning rate.
struct LowRank: Sendable {
    /// Name of the matrix.
    let matrix: String
    /// Its `[out, in]`.
    let shape: Shape
    /// r.
    let rank: Int

    /// The name that B is held under.
    var outerName: String { "\(matrix).rank_out" }
    /// The name that ΔA is held under.
    var innerName: String { "\(matrix).rank_in" }
    var outerShape: Shape { [shape[0], rank] }
    var innerShape: Shape { [rank, shape[1]] }
    /// s.
    var scale: Float { Float(shape[1]) / Float(rank) }

    /// A = A₀ + ΔA; numbers of A₀ have the variance 1/in.
    func innerFactor(_ learned: Tensor<Float>) -> Tensor<Float> {
        // FNV-1a: the same on every machine and in every process.
        let seed = matrix.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        var random = SeededRandom(seed: seed)
        let deviation = 1 / Double(shape[1]).squareRoot()
        let result = learned.copy()
        for index in 0..<result.count { result.pointer[index] += Float(random.nextNormal() * deviation) }
        return result
    }

    /// s B.
    func scaledOuter(_ outer: Tensor<Float>) -> Tensor<Float> {
        let result = outer.copy()
        for index in 0..<result.count { result.pointer[index] *= scale }
        return result
    }

    /// Δθ as a matrix.
    func product(_ delta: ParameterSet<Float>) -> Tensor<Float>? {
        guard let outer = delta[outerName], let learned = delta[innerName] else { return nil }
        let result = Tensor<Float>(uninitialized: shape)
        if outer.isZero { return .zeros(shape) }
        let (b, a) = (scaledOuter(outer), innerFactor(learned))
        Float.multiplyRows(
            ProductShape(m: shape[0], n: shape[1], k: rank), b.pointer, rank, a.pointer, shape[1], result.pointer,
            shape[1], accumulate: false)
        return result
    }

    /// The gradients of B and ΔA where the matrix's is G.
    func gradients(_ gradient: Tensor<Float>, at delta: ParameterSet<Float>) -> (
        outer: Tensor<Float>, inner: Tensor<Float>
    )? {
        guard let outer = delta[outerName], let learned = delta[innerName] else { return nil }
        let (b, a) = (scaledOuter(outer), innerFactor(learned))
        let (ofOuter, ofInner) = (Tensor<Float>(uninitialized: outerShape), Tensor<Float>(uninitialized: innerShape))
        Float.multiplyRows(
            ProductShape(m: shape[0], n: rank, k: shape[1], transposeB: true), gradient.pointer, shape[1], a.pointer,
            shape[1], ofOuter.pointer, rank, accumulate: false)
        for index in 0..<ofOuter.count { ofOuter.pointer[index] *= scale }
        Float.multiplyRows(
            ProductShape(m: rank, n: shape[1], k: shape[0], transposeA: true), b.pointer, rank, gradient.pointer,
            shape[1], ofInner.pointer, shape[1], accumulate: false)
        return (ofOuter, ofInner)
    }

    /// ‖Δθ‖², from the Gram matrices of the factors: ‖s B A‖² = s² tr(BᵀB AAᵀ).
    func squaredNorm(_ delta: ParameterSet<Float>) -> Double {
        guard let outer = delta[outerName], let learned = delta[innerName], !outer.isZero else { return 0 }
        let a = innerFactor(learned)
        var total = 0.0
        for i in 0..<rank {
            for j in 0..<rank {
                var (left, right) = (0.0, 0.0)
                for row in 0..<shape[0] {
                    left += Double(outer.pointer[row * rank + i]) * Double(outer.pointer[row * rank + j])
                }
                for column in 0..<shape[1] {
                    right += Double(a.pointer[i * shape[1] + column]) * Double(a.pointer[j * shape[1] + column])
                }
                total += left * right
            }
        }
        return total * Double(scale) * Double(scale)
    }
}

extension LevelDefinition {
    /// The matrices of which the level learns factors.
    var factored: [LowRank] {
        guard let rank else { return [] }
        return adapted.compactMap { LevelDefinition.lowRank($0, rank) }
    }

    static func lowRank(_ tensor: AdaptedTensor, _ rank: Int) -> LowRank? {
        let name = tensor.name
        guard tensor.shape.axes.count == 2, !HopeParameters<Void>.isZeroInBase(name),
            rank < min(tensor.shape[0], tensor.shape[1])
        else { return nil }
        return LowRank(matrix: name, shape: tensor.shape, rank: rank)
    }

    /// What the level holds of the tensors that it adapts.
    static func held(_ adapted: [AdaptedTensor], _ rank: Int?) -> [AdaptedTensor] {
        adapted.flatMap { tensor -> [AdaptedTensor] in
            guard let rank, let factors = lowRank(tensor, rank) else { return [tensor] }
            return [(factors.outerName, factors.outerShape), (factors.innerName, factors.innerShape)].map {
                AdaptedTensor(name: $0.0, shape: $0.1, isInitialState: false)
            }
        }
    }
}

extension LevelState {
    /// What the level adds to tensors of the model: Δθ, factors multiplied out.
    ///
    /// - Parameter names: of the tensors that are wanted; nil for all that the level adapts.
    public func contribution(to names: Set<String>? = nil) -> ParameterSet<Float> {
        guard definition.rank != nil else { return delta }
        var factors: [String: LowRank] = [:]
        for factored in definition.factored { factors[factored.matrix] = factored }
        var result = ParameterSet<Float>()
        for tensor in definition.adapted where names?.contains(tensor.name) ?? true {
            result[tensor.name] = factors[tensor.name].map { $0.product(delta) } ?? delta[tensor.name]
        }
        return result
    }

    /// Gradients of what the level holds, from those of the model's tensors.
    func gradientsOfHeld(_ gradients: ParameterSet<Float>) -> ParameterSet<Float> {
        guard definition.rank != nil else { return gradients }
        var result = gradients
        for factors in definition.factored {
            guard let gradient = gradients[factors.matrix], let own = factors.gradients(gradient, at: delta) else {
                continue
            }
            (result[factors.outerName], result[factors.innerName]) = (own.outer, own.inner)
        }
        return result
    }
}
