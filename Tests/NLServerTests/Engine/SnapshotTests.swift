import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// Going back, comparing and carrying elsewhere: always to the last bit.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SnapshotTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    @Test func restoringBringsTheBitsBackAndUnlearnsWhatCameAfter() async throws {
        try await home.run { engine async throws in
            await #expect(throws: EngineError.self) {
                try await engine.createSnapshot(SnapshotCreation(space: "default", name: "nothing yet"))
            }
            try await engine.learn(Facts.all[0], id: "a")
            let snapshot = try await engine.keep("first")
            let bits = try engine.bits
            try await engine.learn(Facts.all[1], id: "b")
            let second = try engine.bits
            let later = try await engine.keep("second")
            let waiting = try await engine.restoreSnapshot(snapshot.id, space: "default")
            let behind = try await engine.accept(Facts.all[2], id: "c")
            let job = try await engine.end(of: waiting)
            #expect((job.kind, job.status, job.snapshotID) == (.restore, .restored, snapshot.id))
            #expect(job.generation == 3)
            #expect(try await engine.document("a").status == .learned)
            #expect(try await engine.document("b").status == .unlearned)
            #expect(try await engine.document("b").losses.now == nil)
            // What waited behind it goes on from there.
            #expect(try await engine.end(of: behind.job).status == .learned)
            try await engine.restore(snapshot)
            #expect(try engine.bits == bits)
            // Sent again it is learned again: to other bits, since its place in the log is another.
            let again = try await engine.accept(Facts.all[1], id: "b")
            #expect(again.isNew)
            #expect(try await engine.end(of: again.job).status == .learned)
            #expect(try await engine.document("b").status == .learned)
            #expect(try engine.bits != second)
            try await engine.restore(later)
            #expect(try engine.bits == second)
            #expect(try await engine.document("c").status == .unlearned)
        }
    }

    /// Learns, keeps, learns, consolidates, goes back, learns; the bits at the end.
    private func story(_ engine: HopeEngine) async throws -> String {
        try await engine.learn(Facts.all[0])
        let snapshot = try await engine.keep("first")
        try await engine.learn(Facts.all[1])
        try await engine.end(of: engine.consolidate(space: "default"))
        try await engine.restore(snapshot)
        try await engine.learn(Facts.all[2])
        try await engine.end(of: engine.consolidate(space: "default"))
        return try engine.bits
    }

    @Test(arguments: [false, true])
    func theLogWithARestoreGivesTheSameBits(isSnapshotDeleted: Bool) async throws {
        let bits = try await home.run { engine async throws in
            let bits = try await story(engine)
            if isSnapshotDeleted {
                let id = try await engine.snapshots(space: "default", page: PageRequest()).items[0].id
                try await engine.deleteSnapshot(id, space: "default")
            }
            return bits
        }
        // The same story told again is the same.
        #expect(try await EngineHome().run { try await story($0) } == bits)
        // All generations gone: the state that was restored is rebuilt from the events before it.
        try home.withStore { store in
            for _ in 1...8 { try store.damageNewestGeneration() }
        }
        try await home.run { engine async throws in
            try await eventually { try engine.bits == bits }
            try await eventually { !engine.health().notices.contains { $0.contains("being rebuilt") } }
            #expect(!engine.health().notices.contains { $0.contains("cannot be replayed") })
            let statuses = try await engine.documents(space: "default", page: PageRequest()).items.map(\.status)
            #expect(statuses == [.learned, .unlearned, .learned])
        }
    }

    @Test func onlyTheNewestDamagedIsRebuiltFromTheSnapshot() async throws {
        let bits = try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let snapshot = try await engine.keep("first")
            let bits = try engine.bits
            try await engine.learn(Facts.all[1])
            try await engine.restore(snapshot)
            return bits
        }
        try home.withStore { try $0.damageNewestGeneration() }
        try await home.run { engine async throws in
            try await eventually { try engine.space.generation > 3 }
            #expect(try engine.bits == bits)
        }
    }

    /// Killed while it restores, the space is as it was or as it is to be, and the job ends.
    @Test(arguments: [0, 1, 3, 8, 20])
    func killedWhileRestoring(afterMilliseconds delay: UInt32) async throws {
        let path = home.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, delay = delay as UInt32] in
            let engine = try EngineHome(path).engine()
            try await engine.start()
            try await engine.learn(Facts.all[0])
            try Data(try engine.bits.utf8).write(to: URL(fileURLWithPath: path + "/bits"))
            let snapshot = try await engine.keep("first")
            try await engine.learn(Facts.all[1], id: "b")
            _ = try await engine.restoreSnapshot(snapshot.id, space: "default")
            usleep(delay * 1_000)
            kill(getpid(), SIGKILL)
        }
        let bits = try String(contentsOfFile: home.path + "/bits", encoding: .utf8)
        try await home.run { engine async throws in
            let jobs = try await engine.jobs(space: "default", status: nil, page: PageRequest()).items
            let job = try #require(jobs.first { $0.kind == .restore })
            #expect(try await engine.end(of: job).status == .restored)
            #expect(try engine.bits == bits)
            #expect(try await engine.document("b").status == .unlearned)
            #expect(try engine.space.generation == 3)
        }
    }

    @Test func aDeletedSnapshotFailsItsRestoreClearly() async throws {
        try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let snapshot = try await engine.keep("first")
            let busy = try await engine.accept(Facts.long())
            let waiting = try await engine.restoreSnapshot(snapshot.id, space: "default")
            try await engine.deleteSnapshot(snapshot.id, space: "default")
            _ = try await engine.cancelJob(busy.job.id)
            let job = try await engine.end(of: waiting)
            #expect(job.status == .failed)
            #expect(job.failure?.code == "snapshot_not_found")
            await #expect(throws: EngineError.notFound(.snapshot, id: snapshot.id)) {
                try await engine.restoreSnapshot(snapshot.id, space: "default")
            }
        }
    }

    // MARK: - Elsewhere

    private func export(_ engine: HopeEngine, _ snapshot: SnapshotRecord) async throws -> [UInt8] {
        let file = try await engine.exportSnapshot(snapshot.id, space: snapshot.space)
        var bytes: [UInt8] = []
        var number = 0
        while let piece = file.piece(number) {
            bytes += piece
            number += 1
        }
        #expect(bytes.count == file.byteCount)
        return bytes
    }

    @Test func anImportElsewhereScoresAndLearnsTheSame() async throws {
        let text = ScoreRequest(input: .text(Facts.all[0]), space: "default")
        let (file, bits, scores, after) = try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            try await engine.end(of: engine.consolidate(space: "default"))
            try await engine.learn(Facts.all[1])
            let snapshot = try await engine.keep("carried")
            let (bits, scores) = (try engine.bits, try await engine.score(text).logprobs)
            return (try await export(engine, snapshot), bits, scores, snapshot.generation)
        }
        #expect(after == 3)
        let other = try EngineHome()
        let imported = try await other.run { engine async throws in
            try await engine.learn(Facts.all[3], id: "local")
            let untouched = try engine.bits
            _ = try await engine.createSpace(SpaceCreation(id: "a"))
            let snapshot = try await engine.importSnapshot(
                SnapshotImport(space: "a", name: "carried", note: "from home", bytes: file))
            #expect((snapshot.origin, snapshot.event, snapshot.note) == (.file, nil, "from home"))
            try await engine.restore(snapshot)
            #expect(try engine.published("a").levels.bits == bits)
            let score = ScoreRequest(input: .text(Facts.all[0]), space: "a")
            #expect(try await engine.score(score).logprobs == scores)
            #expect(try engine.bits == untouched)
            // Optimizer state came along: learning goes on, and can be replayed although the snapshot is gone.
            try await engine.learn(Facts.all[2], in: "a")
            try await engine.deleteSnapshot(snapshot.id, space: "a")
            return try engine.published("a").levels.bits
        }
        try other.withStore { try $0.damageOwnGenerations(of: "a") }
        try await other.run { engine async throws in
            try await eventually { try engine.published("a").levels.bits == imported }
        }
    }

    @Test func whatIsNoSnapshotOfThisModelIsRefusedClearly() async throws {
        let file = try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            return try await export(engine, engine.keep("s"))
        }
        let parsed = try SafetensorsFile(bytes: file)
        /// The file with something changed.
        func altered(
            metadata: [String: String] = [:], dropping dropped: String? = nil, shaping shaped: String? = nil,
            filling filled: (name: String, value: Float)? = nil, adding added: String? = nil,
            moments moment: Float? = nil
        ) throws -> [UInt8] {
            var writer = SafetensorsWriter(metadata: parsed.metadata.merging(metadata) { $1 })
            for tensor in parsed.tensors where tensor.name != dropped {
                var values = try parsed.floats(named: tensor.name)
                if tensor.name == filled?.name, let value = filled?.value { values[0] = value }
                let shape = tensor.name == shaped ? [values.count, 1, 1] : tensor.shape
                try writer.add(tensor.name, shape: shape, floats: values)
            }
            if let added { try writer.add(added, shape: [1], floats: [1]) }
            if let moment {
                for tensor in parsed.tensors where tensor.name.hasPrefix("medium/delta/") {
                    let count = try parsed.floats(named: tensor.name).count
                    for part in ["first", "second"] {
                        let name = tensor.name.replacing("/delta/", with: "/\(part)/")
                        try writer.add(name, shape: tensor.shape, floats: [Float](repeating: moment, count: count))
                    }
                }
            }
            return Array(writer.data())
        }
        let delta = try #require(parsed.names.first { $0.hasPrefix("medium/delta/") })
        let counters = try #require(parsed.metadata["levels"])
        let cases: [(bytes: [UInt8], says: String)] = [
            ([], "not a whole safetensors file"), (Array("hello".utf8), "not a whole safetensors file"),
            (Array(file.prefix(100)), "not a whole safetensors file"),
            (Array(file.dropLast(4)), "not a whole safetensors file"),
            (Array(repeating: 0xFF, count: 64), "not a whole safetensors file"),
            (try altered(metadata: ["format": "pt"]), "was not written by"),
            (try altered(metadata: ["version": "9"]), "version 9"),
            (try altered(metadata: ["levels": "{"]), "counters"),
            (
                try altered(metadata: ["levels": counters.replacing("\"tokensRead\":", with: "\"tokensRead\":-")]),
                "range"
            ),
            (try altered(metadata: ["levels": #"{"levels":{}}"#]), "counts for the levels"),
            (try altered(dropping: delta), "delta"), (try altered(shaping: delta), "shape"),
            (try altered(filling: (delta, .nan)), "NaN"), (try altered(filling: (delta, .infinity)), "infinity"),
            // Moments are none after a document; a file may bring some, but none that can't be.
            (try altered(moments: -1), "negative"),
            (try altered(adding: "fast/delta/x"), "belongs to no level"),
            (try altered(adding: "medium/delta/x"), "no tensor of the level"),
        ]
        try await home.run { engine async throws in
            try await engine.expectRefused(cases)
            do {
                let bytes = try altered(metadata: ["weights": String(repeating: "0", count: 64)])
                _ = try await engine.importSnapshot(SnapshotImport(space: "default", name: "x", bytes: bytes))
                Issue.record("imported from another model")
            } catch EngineError.conflict(let code, _) {
                #expect(code == "snapshot_of_another_model")
            }
            #expect(try await engine.snapshots(space: "default", page: PageRequest()).items.count == 1)
            // Unchanged, the file goes through the same hands.
            _ = try await engine.importSnapshot(
                SnapshotImport(space: "default", name: "x", bytes: try altered()))
        }
    }

    // MARK: - Comparing

    @Test func aDiffSaysWhichTensorsMoved() async throws {
        try await home.run { engine async throws in
            try await engine.learn(Facts.all[0])
            let first = try await engine.keep("first")
            let same = try await engine.diffSnapshot(first.id, space: "default", against: .current)
            #expect(same.levels.map(\.name) == ["medium", "slow"])
            #expect(same.levels.allSatisfy { $0.distance == 0 && $0.moved.isEmpty })
            let base = try await engine.diffSnapshot(first.id, space: "default", against: .base)
            let medium = try #require(engine.space.levels["medium"])
            #expect(abs(base.levels[0].distance - medium.delta.norm) < 1e-6 * medium.delta.norm)
            #expect(base.levels[0].snapshot.updates == medium.counters.updates)
            #expect(base.levels[0].other.updates == 0)
            try await engine.learn(Facts.all[1])
            let second = try await engine.keep("second")
            let moved = try await engine.diffSnapshot(first.id, space: "default", against: .snapshot(second.id))
            let distances = moved.levels[0].moved.map(\.distance)
            #expect(!distances.isEmpty && distances == distances.sorted(by: >) && distances.count <= 10)
            #expect(distances.allSatisfy { $0 <= moved.levels[0].distance })
            #expect(moved.levels[1].distance == 0)
        }
    }

    // MARK: - By the clock

    @Test func thePolicyMakesSnapshotsOfWhatIsNewAndKeepsAFew() async throws {
        try await home.run({
            $0.snapshotEvery = .milliseconds(20); $0.snapshotKeep = 2
        }) { engine async throws in
            for index in 0..<4 {
                try await engine.learn(Facts.all[index])
                try await eventually {
                    let newest = try await engine.snapshots(space: "default", page: PageRequest()).items.first
                    return newest?.generation == index + 1
                }
                if index == 0 { _ = try await engine.keep("mine") }
            }
            let kept = try await engine.snapshots(space: "default", page: PageRequest()).items
            #expect(kept.map(\.generation) == [4, 3, 1])
            #expect(kept.map(\.origin) == [.policy, .policy, .request])
            #expect(kept[0].name.hasPrefix("auto-"))
            // Nothing new, nothing made.
            try await Task.sleep(for: .milliseconds(100))
            #expect(try await engine.snapshots(space: "default", page: PageRequest()).items.count == 3)
        }
    }
}

extension HopeEngine {
    /// Makes a snapshot of the default space.
    func keep(_ name: String) async throws -> SnapshotRecord {
        try await createSnapshot(SnapshotCreation(space: "default", name: name))
    }

    /// Restores a snapshot and waits for it.
    func restore(_ snapshot: SnapshotRecord) async throws {
        let job = try await end(of: restoreSnapshot(snapshot.id, space: snapshot.space))
        #expect(job.status == .restored)
    }
}
