/// The levels a space owns, over the base they add to (spec §3: effective value = θ_base + Σ_ℓ Δθ⁽ˡ⁾).
///
/// A value: a candidate is a copy.
public struct SpaceLevels: Sendable {
    /// The model's geometry.
    public let configuration: HopeConfiguration
    /// The shipped or imported parameters; never changed.
    public let base: ParameterSet<Float>
    /// Levels that learn at ingestion and in consolidations, faster first.
    public private(set) var levels: [LevelState]
    /// θ_base + Σ Δθ, kept up to date.
    public private(set) var effective: ParameterSet<Float>

    /// Levels over a base.
    public init(_ configuration: HopeConfiguration, base: ParameterSet<Float>, levels: [LevelState]) {
        self.configuration = configuration
        self.base = base
        self.levels = levels
        effective = base.adding(levels.map(\.delta))
    }

    /// Levels that have learned nothing.
    public init(_ configuration: HopeConfiguration, base: ParameterSet<Float>) throws(ConfigurationError) {
        let definitions = try LevelDefinition.levels(of: configuration).filter { $0.role != .reading }
        self.init(configuration, base: base, levels: definitions.map { LevelState($0) })
    }

    /// The level of that name.
    public subscript(_ name: String) -> LevelState? { levels.first { $0.definition.name == name } }

    /// Names of the tensors that levels of one role adapt.
    public func tensors(of role: LevelDefinition.Role) -> Set<String> {
        Set(levels.filter { $0.definition.role == role }.flatMap { $0.definition.tensors.map(\.name) })
    }

    /// Names of those that an optimizer steps.
    public func trainedTensors(of role: LevelDefinition.Role) -> Set<String> {
        Set(levels.filter { $0.definition.role == role }.flatMap { $0.definition.trained.map(\.name) })
    }

    /// Brings rows of what slots hold to given values, on the level of a role that writes them.
    ///
    /// - Parameters:
    ///   - rows: `[n, width]`, the values all levels together are to have there.
    ///   - name: one of the tensors of slots.
    mutating func write(_ rows: Tensor<Float>, to places: [Int32], of name: String) {
        guard !places.isEmpty, let now = effective[name],
            let index = levels.firstIndex(where: { level in
                level.definition.role == .acquisition && level.delta[name] != nil
            })
        else { return }
        let (difference, width) = (rows.copy(), rows.shape[1])
        // A slot that is new has nothing to be subtracted.
        for (row, place) in places.enumerated() where place < now.shape[0] {
            Float.axpy(width, -1, now.pointer + Int(place) * width, difference.pointer + row * width)
        }
        levels[index].write(difference, to: places, of: name)
        refresh([name])
    }

    /// Counts a window that levels of one role wrote into their slots.
    mutating func noteWritten(_ role: LevelDefinition.Role, tokens: Int, losses: [Float]) {
        for index in levels.indices where levels[index].definition.role == role {
            levels[index].noteWritten(tokens: tokens, losses: losses)
        }
    }

    /// Changes the levels of one role and brings the effective parameters up to date.
    ///
    /// - Parameter change: returns whether the level's Δθ changed.
    /// - Throws: what `change` throws; nothing has changed then.
    public mutating func update(
        _ role: LevelDefinition.Role, _ change: (inout LevelState) throws(NumericsError) -> Bool
    ) throws(NumericsError) {
        var changed = levels
        var stale = Set<String>()
        for index in changed.indices where changed[index].definition.role == role {
            if try change(&changed[index]) { stale.formUnion(changed[index].definition.tensors.map(\.name)) }
        }
        levels = changed
        refresh(stale)
    }

    /// Moves Δθ between levels: the slowest absorbs what it shares with the faster ones, and those decay.
    ///
    /// - Parameter share: what the faster levels keep of the rest.
    mutating func absorb(keeping share: Float) {
        for index in levels.indices where levels[index].definition.role == .acquisition {
            guard let slow = levels.indices.last else { return }
            var faster = levels[index]
            levels[slow].absorb(&faster)
            faster.decay(to: share)
            levels[index] = faster
        }
        effective = base.adding(levels.map(\.delta))
    }

    /// Keeps a share of what the levels of one role have learned since an earlier state of the same levels.
    mutating func withdraw(_ role: LevelDefinition.Role, to share: Float, since earlier: SpaceLevels) {
        for index in levels.indices where levels[index].definition.role == role {
            levels[index].withdraw(to: share, since: earlier.levels[index])
        }
        refresh(tensors(of: role))
    }

    /// Lets the levels of one role begin with fresh optimizers.
    mutating func forgetMoments(of role: LevelDefinition.Role) {
        for index in levels.indices where levels[index].definition.role == role { levels[index].forgetMoments() }
    }

    /// Tells the consolidation levels how the last consolidation went.
    public mutating func noteVerdict(adopted: Bool) {
        for index in levels.indices where levels[index].definition.role == .consolidation {
            levels[index].noteVerdict(adopted: adopted)
        }
    }

    private mutating func refresh(_ names: Set<String>) {
        guard !names.isEmpty else { return }
        // Only the named tensors are summed again; the others keep their storage.
        var touched = ParameterSet<Float>()
        for name in base.names where names.contains(name) { touched[name] = base[name] }
        for (name, tensor) in touched.adding(levels.map(\.delta)).entries { effective[name] = tensor }
    }
}
