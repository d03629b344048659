import Glibc

extension ParameterSet where S == Float {
    /// Fresh parameters, drawn in checkpoint order from one seed.
    ///
    /// The distributions are those of spec §2 ("Initial values"), at other scales where they decide how soon a model begins to
    /// learn: an embedding three times as wide, queries (and attention's keys and values) at a quarter, and the links beside
    /// self-modifying memories at 0.5 and 0.3. With the spec's, the noise of untrained blocks drowns the embedding that they
    /// are added to; Tests/Benchmarks/LOG.md ("Initial values") has what each is worth.
    public static func initial(_ configuration: HopeConfiguration, seed: UInt64) -> ParameterSet<Float> {
        var random = SeededRandom(seed: seed)
        var set = ParameterSet<Float>()
        let (width, layers) = (Double(configuration.width), Double(configuration.layers))
        let head = Double(configuration.headWidth)
        let attends = configuration.usesAttention
        func normal(_ shape: Shape, _ deviation: Double) -> Tensor<Float> {
            Tensor((0..<shape.count).map { _ in Float(random.nextNormal() * deviation) }, shape: shape)
        }
        _ = HopeParameters<Void>(configuration) { name, shape in
            if HopeParameters<Void>.isZeroInBase(name) {
                // Empty slots.
                set[name] = .zeros(HopeParameters<Void>.baseShape(name, of: shape))
                return
            }
            switch name.split(separator: ".").last.map(String.init) ?? name {
            case "embedding": set[name] = normal(shape, 0.06)
            case "gain", "head_gain", "query_gain", "key_gain": set[name] = Tensor(repeating: 1, shape: shape)
            case "conv":
                let filter = normal(shape, 0.2)
                for c in 0..<shape[0] { filter.pointer[c * shape[1] + shape[1] - 1] += 1 }
                set[name] = filter
            case "output_projection": set[name] = normal(shape, (1 / (2 * layers * width)).squareRoot())
            case "step_size_readout", "retention_readout", "bias", "values", "query_bias", "key_bias", "value_bias",
                "output_bias":
                set[name] = .zeros(shape)
            case "step_size_bias": set[name] = Tensor(repeating: -1, shape: shape)
            case "retention_bias": set[name] = Tensor(repeating: 5, shape: shape)
            case "up", "gate": set[name] = normal(shape, (attends ? 1 : 0.5) * (1 / width).squareRoot())
            case "down":
                set[name] = normal(shape, (attends ? 1 : 0.3) * (1 / (2 * layers * Double(shape[1]))).squareRoot())
            case "query_projection": set[name] = normal(shape, 0.25 * (1 / width).squareRoot())
            case "key_projection" where attends, "value_projection" where attends:
                set[name] = normal(shape, 0.25 * (1 / width).squareRoot())
            default:
                if name.contains(".w1.") {
                    set[name] = normal(shape, 0.02)
                } else if name.contains(".w2.") {
                    set[name] = normal(shape, (1 / head).squareRoot())
                } else {
                    set[name] = normal(shape, (1 / width).squareRoot())
                }
            }
        }
        return set
    }
}
