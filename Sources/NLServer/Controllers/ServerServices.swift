/// What every controller works with.
struct ServerServices: Sendable {
    let engine: any ModelEngine
    let limits: RequestLimits
    let shutdown: ShutdownMoments
    let metrics: ServerMetrics

    /// The model a request names, or the one there is.
    ///
    /// - Throws: ``EngineError/notFound(_:id:)`` for another name.
    func model(named name: String?) async throws -> ModelDescription {
        let models = try await engine.models()
        if let name {
            guard let model = models.first(where: { $0.id == name }) else {
                throw EngineError.notFound(.model, id: name)
            }
            return model
        }
        guard let model = models.first else { throw EngineError.notFound(.model, id: "") }
        return model
    }
}
