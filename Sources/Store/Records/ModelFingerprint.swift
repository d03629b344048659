import Foundation
import GRDB

/// Which model a database belongs to: SHA-256 digests, in hexadecimal, of its configuration, tokenizer and weights.
public struct ModelFingerprint: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Digest of the architecture: `config.json`.
    public let architecture: String
    /// Digest of `tokenizer.json`.
    public let tokenizer: String
    /// Digest of `model.safetensors`.
    public let weights: String

    /// Names a model by its three digests.
    public init(architecture: String, tokenizer: String, weights: String) {
        self.architecture = architecture
        self.tokenizer = tokenizer
        self.weights = weights
    }

    /// `architecture 1a2b3c4d5e6f, tokenizer …, weights …`, each digest cut to twelve digits.
    public var description: String {
        "architecture \(architecture.prefix(12)), tokenizer \(tokenizer.prefix(12)), weights \(weights.prefix(12))"
    }
}

/// What to do with a database that another model wrote.
public enum OtherModelPolicy: Sendable {
    /// Throw ``StoreError/otherModel(database:offered:)``.
    case refuse
    /// Take the database over: documents, event log and histories stay, old generations stay under their own
    /// fingerprint and are not read, sessions (states of the old model) are deleted, jobs half way start again. What
    /// was learned is `unlearned` until a job of each space, its first, has learned the log again.
    case adopt
}

extension StoreReader {
    /// The current model of the database; nil in a new one.
    func currentFingerprint() throws -> (id: Int64, fingerprint: ModelFingerprint)? {
        try on(StoreRow("fingerprint")) { db in
            try Row.fetchOne(db, sql: "SELECT * FROM fingerprint ORDER BY id DESC LIMIT 1").map {
                ($0["id"], ModelFingerprint(row: $0))
            }
        }
    }
}

extension ModelFingerprint {
    init(row: Row) {
        self.init(architecture: row["architecture"], tokenizer: row["tokenizer"], weights: row["weights"])
    }
}

extension StoreTransaction {
    /// Says of the current model, and of all that was learned on it, by what fingerprint it is known from now on.
    func renameFingerprint(to fingerprint: ModelFingerprint) throws {
        try on(StoreRow("fingerprint", fingerprint.description)) { _ in
            try run(
                """
                UPDATE fingerprint SET architecture = ?, tokenizer = ?, weights = ?
                    WHERE id = (SELECT max(id) FROM fingerprint)
                """, [fingerprint.architecture, fingerprint.tokenizer, fingerprint.weights])
        }
    }

    func recordFingerprint(_ fingerprint: ModelFingerprint) throws {
        try on(StoreRow("fingerprint", fingerprint.description)) { _ in
            try run(
                "INSERT INTO fingerprint (architecture, tokenizer, weights, adopted) VALUES (?, ?, ?, ?)",
                [fingerprint.architecture, fingerprint.tokenizer, fingerprint.weights, now.timeIntervalSince1970])
        }
    }
}
