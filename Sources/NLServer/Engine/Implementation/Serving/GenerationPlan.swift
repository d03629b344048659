import NLCore

/// What a generation is going to do, in the decoder's terms.
struct GenerationPlan: Sendable {
    let request: GenerationRequest
    let input: InputTokens
    let sampling: NLCore.SamplingParameters
    let seed: UInt64
    /// With `learn: space`: the job that learns the input.
    var job: JobRecord?
    /// What was recalled; nil without recall.
    let recalled: [RecalledDocument]?

    /// - Parameter content: the session as it is, or a fresh one.
    /// - Throws: ``EngineError/invalid(parameter:message:)``.
    init(
        _ request: GenerationRequest, _ content: SessionContent, _ model: LoadedModel, recalled: RecalledPassages? = nil
    ) throws(EngineError) {
        var request = request
        // A model with signs for its turns ends them by one, and may write any words.
        if case .known = model.chat, case .messages = request.input {
            request.stop.removeAll { $0 == ChatTemplate.stop }
        }
        self.request = request
        self.recalled = recalled?.documents
        input = try InputTokens(
            request.input, after: content.transcript, recalled: recalled?.tokens ?? [], model: model)
        sampling = try Self.sampling(request.sampling)
        // Below 2^53, so that a seed survives a client's JSON parser.
        seed = request.sampling.seed ?? content.nextSeed ?? UInt64.random(in: 0..<(1 << 53))
    }

    private static func sampling(_ asked: SamplingParameters) throws(EngineError) -> NLCore.SamplingParameters {
        do {
            return try NLCore.SamplingParameters(
                temperature: asked.temperature, topK: asked.topK, topP: asked.topP, minP: asked.minP)
        } catch {
            let parameter =
                switch error {
                case .temperature: "temperature"
                case .topK: "top_k"
                case .topP: "top_p"
                case .minP: "min_p"
                }
            throw .invalid(parameter: parameter, message: "\(error).")
        }
    }

    /// The seed of a session's next request that names none, after a sampler has come this far.
    static func nextSeed(after sampler: Sampler) -> UInt64 { sampler.state >> 11 }

    /// Tokens of the input, those read before included.
    var promptTokenCount: Int { input.tokens.count + input.reused }
}
