public import Foundation
import GRDB

/// A client's Idempotency-Key with the request it came with.
public struct IdempotencyClaim: Sendable, Hashable {
    /// The header's value.
    public let key: String
    /// Digest of the request: route and body.
    public let request: SHA256Digest
    /// Seconds the key is remembered.
    public let lifetime: TimeInterval

    /// A key is remembered for a day unless told otherwise.
    public init(key: String, request: SHA256Digest, lifetime: TimeInterval = 86_400) {
        self.key = key
        self.request = request
        self.lifetime = lifetime
    }
}

extension StoreReader {
    /// What was answered when this key came first; nil when it is new or has expired.
    ///
    /// - Throws: ``StoreError/conflict(_:reason:)`` when it came with another request.
    func idempotentResponse(to claim: IdempotencyClaim, at time: Date) throws -> JSONText? {
        let row = StoreRow("idempotency_key", claim.key)
        try Identifier.check(claim.key, in: "idempotency_key")
        let found = try on(row) { db in
            try Row.fetchOne(
                db, sql: "SELECT request, response FROM idempotency_key WHERE key = ? AND expires > ?",
                arguments: [claim.key, time.timeIntervalSince1970])
        }
        guard let found else { return nil }
        guard found["request"] as Data == claim.request.data else {
            throw StoreError.conflict(row, reason: "the key was used for another request")
        }
        return JSONText(unchecked: found["response"])
    }
}

extension StoreTransaction {
    /// What was answered when this key came first; nil when it is new or has expired.
    ///
    /// - Throws: ``StoreError/conflict(_:reason:)`` when it came with another request.
    public func idempotentResponse(to claim: IdempotencyClaim) throws -> JSONText? {
        try idempotentResponse(to: claim, at: now)
    }

    /// Remembers the answer to a request, and forgets the keys that have expired.
    public func record(_ response: JSONText, for claim: IdempotencyClaim) throws {
        let row = StoreRow("idempotency_key", claim.key)
        try Identifier.check(claim.key, in: "idempotency_key")
        try on(row) { _ in
            try run("DELETE FROM idempotency_key WHERE expires <= ?", [now.timeIntervalSince1970])
            try run(
                "INSERT INTO idempotency_key (key, request, response, expires) VALUES (?, ?, ?, ?)",
                [
                    claim.key, claim.request.data, response.text,
                    now.addingTimeInterval(claim.lifetime).timeIntervalSince1970,
                ])
        }
    }
}
