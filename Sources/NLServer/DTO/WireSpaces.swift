import Foundation

/// `quotas` of a space in a request: what is left out stays as it is, null takes it away.
struct QuotaFields: Decodable, Sendable {
    enum CodingKeys: String, CodingKey, CaseIterable {
        case documents, bytes
        case learningSeconds = "learning_seconds"
    }
    var documents: Int??
    var bytes: Int??
    var learningSeconds: Double??

    init(from decoder: any Decoder) throws {
        try WireDecoder.refuseUnknownFields(in: decoder, accepted: CodingKeys.allCases.map(\.rawValue), under: "quotas")
        let c = try decoder.container(keyedBy: CodingKeys.self)
        if c.contains(.documents) { documents = .some(try c.integer(.documents)) }
        if c.contains(.bytes) { bytes = .some(try c.integer(.bytes)) }
        if c.contains(.learningSeconds) {
            learningSeconds = .some(try c.decodeIfPresent(Double.self, forKey: .learningSeconds))
        }
    }

    /// - Throws: ``APIError`` 400.
    func check() throws {
        try Check.range(quotas.documents, "quotas.documents", 0...1_000_000_000)
        try Check.range(quotas.bytes, "quotas.bytes", 0...1_000_000_000_000_000)
        try Check.range(quotas.learningSeconds, "quotas.learning_seconds", 0...1e12)
    }

    var quotas: SpaceQuotas {
        SpaceQuotas(
            documents: documents.flatMap(\.self), bytes: bytes.flatMap(\.self),
            learningSeconds: learningSeconds.flatMap(\.self))
    }
}

/// `POST /v1/spaces` and `POST /v1/spaces/{id}/fork`.
struct SpaceRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable { case id, name, quotas }
    var id: String
    var name: String?
    var quotas: QuotaFields?

    static let maxNameBytes = 256

    /// - Throws: ``APIError`` 400.
    func creation() throws -> SpaceCreation {
        try Check.identifier(id, "id")
        try Check.spaceName(name)
        try quotas?.check()
        return SpaceCreation(id: id, name: name, quotas: quotas?.quotas)
    }
}

/// `PATCH /v1/spaces/{id}`.
struct SpaceChangeRequest: WireRequest {
    enum CodingKeys: String, CodingKey, CaseIterable { case name, quotas }
    var name: String?
    var quotas: QuotaFields?

    /// - Throws: ``APIError`` 400.
    func change() throws -> SpaceChange {
        try Check.spaceName(name)
        try quotas?.check()
        var change = SpaceChange(name: name)
        if let quotas {
            change.documents = quotas.documents
            change.bytes = quotas.bytes
            change.learningSeconds = quotas.learningSeconds
        }
        return change
    }
}

extension Check {
    static func spaceName(_ name: String?) throws {
        guard let name else { return }
        guard (1...SpaceRequest.maxNameBytes).contains(name.utf8.count), !name.utf8.contains(0) else {
            throw APIError.invalid("name", "'name' must have 1 to \(SpaceRequest.maxNameBytes) bytes and no NUL.")
        }
    }
}

struct WireSpace: Encodable, Sendable {
    struct Origin: Encodable, Sendable {
        var space: String
        var generation: Int
        var event: Int
    }
    struct Quotas: Encodable, Sendable {
        @Nullable var documents: Int?
        @Nullable var bytes: Int?
        @Nullable var learningSeconds: Double?
    }
    struct Usage: Encodable, Sendable {
        var documents: Int
        var bytes: Int
        var learningSeconds: Double
        var sessions: Int
    }

    var id: String
    var name: String
    var created: Date
    var generation: Int
    @Nullable var parent: Origin?
    var quotas: Quotas
    var usage: Usage

    init(_ record: SpaceRecord) {
        id = record.id
        name = record.name
        created = record.created
        generation = record.generation
        parent = record.parent.map { Origin(space: $0.space, generation: $0.generation, event: $0.event) }
        quotas = Quotas(
            documents: record.quotas.documents, bytes: record.quotas.bytes,
            learningSeconds: record.quotas.learningSeconds)
        usage = Usage(
            documents: record.documentCount, bytes: record.textBytes, learningSeconds: record.learningSeconds,
            sessions: record.sessionCount)
    }
}
