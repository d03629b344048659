import GRDB

/// The schema's history: append-only, one function per version. `PRAGMA user_version` holds the version a file is
/// at; a released function is never edited.
enum Migrations {
    /// In order; the n-th makes version n.
    static let all: [@Sendable (Database) throws -> Void] = [
        version1, version2, version3, version4, version5, version6,
    ]

    static var latestVersion: Int { all.count }

    /// Brings a database to the latest version in one transaction.
    ///
    /// - Throws: ``StoreError/newerSchema(found:supported:)``.
    static func run(_ db: Database) throws {
        let found = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard found <= latestVersion else {
            throw StoreError.newerSchema(found: found, supported: latestVersion)
        }
        guard found < latestVersion else { return }
        try db.inTransaction(.immediate) {
            for migrate in all[found...] { try migrate(db) }
            try db.execute(sql: "PRAGMA user_version = \(latestVersion)")
            return .commit
        }
    }

    /// Fingerprints, spaces, states in chunks, generations, sessions, the journal, the event log, jobs, histories.
    ///
    /// Conventions: times are seconds since 1970 (REAL); JSON is TEXT; text that came from outside is BLOB, because
    /// TEXT is bound as a C string here and would end at a NUL; a digest is a 32-byte BLOB.
    @Sendable private static func version1(_ db: Database) throws {
        try db.execute(sql: modelsAndSpaces + states + journal + histories)
    }

    /// Forks and quotas of spaces, restores in the log, snapshots.
    @Sendable private static func version2(_ db: Database) throws {
        try db.execute(sql: spacesAndSnapshots)
    }

    /// Passages of the journal's texts and an index over their words.
    ///
    /// The index is a virtual table, which no trigger may touch where the schema is not trusted
    /// (``Connection``). So what is deleted, by whatever cascade, is noted in a plain table, and every transaction takes
    /// it out of the index before it commits (`settlePassages`). Texts that were there before are indexed at opening.
    @Sendable private static func version3(_ db: Database) throws {
        try db.execute(
            sql: """
                -- Never reused ids: one that was deleted may still be in the index until the transaction's end.
                CREATE TABLE passage (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    sequence INTEGER NOT NULL REFERENCES document(sequence) ON DELETE CASCADE,
                    text TEXT NOT NULL);
                CREATE INDEX passage_by_document ON passage(sequence);

                CREATE TABLE passage_deleted (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
                CREATE TRIGGER passage_delete AFTER DELETE ON passage BEGIN
                    INSERT INTO passage_deleted (id, text) VALUES (old.id, old.text);
                END;

                CREATE VIRTUAL TABLE passage_index USING fts5(
                    text, content = 'passage', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2');
                """)
    }

    /// When and by which generation documents were measured, and what was forgotten.
    @Sendable static func version4(_ db: Database) throws {
        try db.execute(sql: retentionAndForgetting)
    }

    /// Jobs by the space they wait in, so that finding whose turn it is does not walk over the queue.
    @Sendable private static func version5(_ db: Database) throws {
        try db.execute(
            sql: """
                DROP INDEX job_by_status;
                CREATE INDEX job_by_turn ON job(status, space_id, sequence);
                """)
    }

    /// How large a level was at a point of its history: slots grow.
    @Sendable private static func version6(_ db: Database) throws {
        try db.execute(sql: "ALTER TABLE level_history ADD COLUMN bytes INTEGER")
    }

    private static let modelsAndSpaces = """
        -- Models this database has served; the last one is current.
        CREATE TABLE fingerprint (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            architecture TEXT NOT NULL, tokenizer TEXT NOT NULL, weights TEXT NOT NULL,
            adopted REAL NOT NULL);

        -- The counters never go back, so that a number is never given twice.
        CREATE TABLE space (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, created REAL NOT NULL,
            metadata TEXT NOT NULL,
            next_generation INTEGER NOT NULL DEFAULT 1, next_event INTEGER NOT NULL DEFAULT 1);

        """

    private static let states = """
        CREATE TABLE chunk (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL);

        -- A state is its manifest; `digest` is the manifest's SHA-256.
        CREATE TABLE state (
            id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, manifest BLOB NOT NULL,
            byte_count INTEGER NOT NULL);

        -- Which chunks a state needs. Deferred, so that a transaction can let go of old chunks before it writes
        -- new ones into the pages they leave.
        CREATE TABLE state_chunk (
            state_id INTEGER NOT NULL REFERENCES state(id) ON DELETE CASCADE,
            hash BLOB NOT NULL REFERENCES chunk(hash) DEFERRABLE INITIALLY DEFERRED,
            PRIMARY KEY (state_id, hash)) WITHOUT ROWID;
        CREATE INDEX state_chunk_by_hash ON state_chunk(hash);

        CREATE TABLE generation (
            id INTEGER PRIMARY KEY,
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE,
            number INTEGER NOT NULL, parent INTEGER, event INTEGER,
            fingerprint_id INTEGER NOT NULL REFERENCES fingerprint(id),
            created REAL NOT NULL, metadata TEXT NOT NULL,
            bytes_written INTEGER NOT NULL, byte_count INTEGER NOT NULL,
            pinned INTEGER NOT NULL DEFAULT 0, damage TEXT, checksum BLOB NOT NULL,
            UNIQUE (space_id, number));

        CREATE TABLE generation_level (
            generation_id INTEGER NOT NULL REFERENCES generation(id) ON DELETE CASCADE,
            position INTEGER NOT NULL, level TEXT NOT NULL,
            state_id INTEGER NOT NULL REFERENCES state(id),
            PRIMARY KEY (generation_id, position), UNIQUE (generation_id, level)) WITHOUT ROWID;
        CREATE INDEX generation_level_by_state ON generation_level(state_id);

        CREATE TABLE session (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE,
            fingerprint_id INTEGER NOT NULL REFERENCES fingerprint(id),
            created REAL NOT NULL, last_used REAL NOT NULL, generation INTEGER,
            metadata TEXT NOT NULL,
            transcript BLOB NOT NULL, state_id INTEGER NOT NULL REFERENCES state(id), checksum BLOB NOT NULL);
        CREATE INDEX session_by_state ON session(state_id);
        CREATE INDEX session_by_space ON session(space_id, sequence);

        """

    private static let journal = """
        -- `sequence` is the order of acceptance, over all spaces.
        CREATE TABLE document (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE, id TEXT NOT NULL,
            sha256 BLOB NOT NULL, title TEXT, metadata TEXT NOT NULL,
            byte_count INTEGER NOT NULL, token_count INTEGER NOT NULL,
            status TEXT NOT NULL, target_reached INTEGER,
            loss_base REAL, loss_learned REAL, loss_now REAL,
            created REAL NOT NULL, learned REAL,
            first_generation INTEGER, last_generation INTEGER,
            UNIQUE (space_id, id));
        CREATE INDEX document_by_sha256 ON document(space_id, sha256);
        CREATE INDEX document_by_status ON document(space_id, status, sequence);

        -- Apart, so that lists and counts never walk over texts.
        CREATE TABLE document_text (
            sequence INTEGER PRIMARY KEY REFERENCES document(sequence) ON DELETE CASCADE,
            text BLOB NOT NULL);

        CREATE TABLE event (
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE,
            sequence INTEGER NOT NULL, kind TEXT NOT NULL, document_id TEXT,
            payload TEXT NOT NULL, seed INTEGER NOT NULL, created REAL NOT NULL,
            PRIMARY KEY (space_id, sequence)) WITHOUT ROWID;
        CREATE INDEX event_by_document ON event(space_id, document_id, sequence);

        CREATE TABLE job (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE,
            document_id TEXT, status TEXT NOT NULL, progress REAL NOT NULL,
            created REAL NOT NULL, started REAL, finished REAL, resumed INTEGER NOT NULL DEFAULT 0,
            error TEXT,
            detail TEXT NOT NULL,
            state_id INTEGER REFERENCES state(id));
        CREATE INDEX job_by_status ON job(status, sequence);
        CREATE INDEX job_by_document ON job(space_id, document_id, sequence);
        CREATE INDEX job_by_state ON job(state_id);

        CREATE TABLE idempotency_key (
            key TEXT PRIMARY KEY, request BLOB NOT NULL,
            response TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID;
        CREATE INDEX idempotency_key_by_expiry ON idempotency_key(expires);

        """

    private static let histories = """
        CREATE TABLE level_history (
            id INTEGER PRIMARY KEY,
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE, level TEXT NOT NULL,
            at REAL NOT NULL, generation INTEGER NOT NULL, updates INTEGER NOT NULL, tokens INTEGER NOT NULL,
            delta_norm REAL NOT NULL, relative_drift REAL NOT NULL, surprise REAL, learning_rate REAL NOT NULL);
        CREATE INDEX level_history_by_level ON level_history(space_id, level, id);

        CREATE TABLE consolidation (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE, job_id TEXT NOT NULL,
            trigger_name TEXT NOT NULL, started REAL NOT NULL, finished REAL NOT NULL,
            verdict TEXT NOT NULL, reason TEXT NOT NULL, tokens INTEGER NOT NULL, generation INTEGER,
            losses TEXT NOT NULL);
        CREATE INDEX consolidation_by_space ON consolidation(space_id, sequence);
        """

    private static let spacesAndSnapshots = """
        -- The space it was forked from, and how much of that one's log it took over.
        ALTER TABLE space ADD COLUMN parent TEXT;
        ALTER TABLE space ADD COLUMN parent_generation INTEGER;
        ALTER TABLE space ADD COLUMN parent_event INTEGER;
        CREATE INDEX space_by_parent ON space(parent);

        -- Quotas; null is none. `learning_seconds` is what was used.
        ALTER TABLE space ADD COLUMN quota_documents INTEGER;
        ALTER TABLE space ADD COLUMN quota_bytes INTEGER;
        ALTER TABLE space ADD COLUMN quota_seconds REAL;
        ALTER TABLE space ADD COLUMN learning_seconds REAL NOT NULL DEFAULT 0;

        -- Of a restore: the place in the log it went back to, or the imported generation it took over.
        ALTER TABLE event ADD COLUMN target INTEGER;
        ALTER TABLE event ADD COLUMN source INTEGER;

        -- Came from a file: no generation of the space's own, and never its newest.
        ALTER TABLE generation ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;

        CREATE TABLE snapshot (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE,
            name TEXT NOT NULL, note TEXT, created REAL NOT NULL, automatic INTEGER NOT NULL DEFAULT 0,
            generation_id INTEGER NOT NULL REFERENCES generation(id) ON DELETE CASCADE,
            UNIQUE (space_id, id), UNIQUE (space_id, name));
        CREATE INDEX snapshot_by_generation ON snapshot(generation_id);
        """

    private static let retentionAndForgetting = """
        -- `loss_best` is the lowest loss measured before `loss_now`, or that one where it is the first.
        ALTER TABLE document ADD COLUMN loss_best REAL;
        ALTER TABLE document ADD COLUMN measured REAL;
        ALTER TABLE document ADD COLUMN measured_generation INTEGER;
        UPDATE document SET loss_best = loss_learned, measured = learned, measured_generation = last_generation
            WHERE status = 'learned';
        CREATE INDEX document_by_measurement ON document(space_id, status, measured);

        -- Receipts. `first_event` is the event that had learned the document; null if none had. While `state` is
        -- `rebuilding`, every generation from that event on holds something of it.
        CREATE TABLE forgotten (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            space_id TEXT NOT NULL REFERENCES space(id) ON DELETE CASCADE, document_id TEXT NOT NULL,
            job_id TEXT, state TEXT NOT NULL, requested REAL NOT NULL, completed REAL,
            first_event INTEGER, first_generation INTEGER, generation INTEGER,
            keeps_sessions INTEGER NOT NULL DEFAULT 0, receipt TEXT NOT NULL);
        CREATE INDEX forgotten_by_document ON forgotten(space_id, document_id, sequence);
        CREATE INDEX forgotten_by_state ON forgotten(space_id, state);
        """
}
