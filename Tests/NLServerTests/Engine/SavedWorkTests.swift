import Foundation
import NLCore
import Store
import Testing

@testable import NLServer

/// Learning that is cut goes on where it was saved, and ends with the bits it would have had.
@Suite(.serialized, .timeLimit(.minutes(10))) struct SavedWorkTests {
    private let home: EngineHome

    init() throws { home = try EngineHome() }

    // MARK: - Every step

    private func texts(_ model: LoadedModel) -> [LearningText] {
        (Facts.all.prefix(2) + [Facts.long(3)]).map(model.learningText)
    }

    private func acquisition(_ text: LearningText, into levels: SpaceLevels, _ model: LoadedModel) -> Acquisition {
        var settings = Acquisition.Settings()
        (settings.windowSize, settings.maximumPasses) = (16, 3)
        // So that it comes to settling.
        (settings.shortTarget, settings.longTargetShare) = (4, 0.9)
        return Acquisition(
            text, into: levels,
            rehearsal: Rehearsal(
                journal: [model.learningText(Facts.all[3])], anchors: model.anchors.rehearsal, seed: 7),
            settings: settings)
    }

    /// What a step leaves is enough to go on: after each, all but the inputs is dropped, by way of what the database
    /// would hold.
    @Test func anAcquisitionCanBeCutAfterAnyStep() throws {
        let model = try LoadedModel(directory: home.model.path)
        let start = try SpaceLevels(model.configuration, base: model.base)
        let text = texts(model)[2]
        func learn(isCut: Bool) throws -> (String, Acquisition.Outcome, Set<String>) {
            var (work, phases) = (acquisition(text, into: start, model), Set<String>())
            while true {
                if case .finished(let outcome) = try work.step() { return (try work.levels.bits, outcome, phases) }
                guard isCut else { continue }
                let state = try WorkCodec.state(try #require(work.saved), inputs: "x")
                let saved = try WorkCodec.work(state.blobs, inputs: "x", model: model, as: Acquisition.Position.self)
                work = acquisition(text, into: start, model)
                try work.resume(from: try #require(saved))
                let json = try JSONText(encoding: #require(work.saved).position).text
                for phase in ["base", "before", "learning", "after", "settling"] where json.contains("\"\(phase)\"") {
                    phases.insert(phase)
                }
            }
        }
        let (whole, cut) = (try learn(isCut: false), try learn(isCut: true))
        #expect(cut.2 == ["base", "before", "learning", "after", "settling"])
        #expect(whole.0 == cut.0 && whole.1 == cut.1)
        #expect(whole.1.tokens > 0)
    }

    @Test func aConsolidationCanBeCutAfterAnyStep() throws {
        let model = try LoadedModel(directory: home.model.path)
        var start = try SpaceLevels(model.configuration, base: model.base)
        let texts = texts(model)
        for text in texts {
            var work = acquisition(text, into: start, model)
            while true { if case .finished = try work.step() { break } }
            start = work.levels
        }
        var settings = Consolidation.Settings()
        (settings.windowSize, settings.maximumPasses, settings.anchorBound) = (16, 5, 10)
        settings.targets.shortTarget = 0.01  // passes go on after the first that may be adopted
        func fresh() -> Consolidation {
            Consolidation(
                start, new: texts, old: [model.learningText(Facts.all[3])], gate: model.anchors.gate,
                rehearsal: Rehearsal(
                    journal: [model.learningText(Facts.all[3])], anchors: model.anchors.rehearsal, seed: 8),
                seed: 9, settings: settings)
        }
        func consolidate(isCut: Bool) throws -> (String, Consolidation.Outcome, Bool) {
            var (work, hadAdoptable) = (fresh(), false)
            while true {
                if case .finished(let outcome) = work.step() { return (try work.levels.bits, outcome, hadAdoptable) }
                guard isCut else { continue }
                let state = try WorkCodec.state(try #require(work.saved), inputs: "x")
                let saved = try #require(
                    try WorkCodec.work(state.blobs, inputs: "x", model: model, as: Consolidation.Position.self))
                hadAdoptable = hadAdoptable || saved.levels["adoptable"] != nil
                work = fresh()
                try work.resume(from: saved)
            }
        }
        let (whole, cut) = (try consolidate(isCut: false), try consolidate(isCut: true))
        #expect(cut.2)
        #expect(whole.0 == cut.0)
        #expect("\(whole.1)" == "\(cut.1)")
        #expect(whole.1.isAdopted && whole.1.tokens > 0)
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let model = try LoadedModel(directory: home.model.path)
        let start = try SpaceLevels(model.configuration, base: model.base)
        var work = acquisition(texts(model)[2], into: start, model)
        _ = try work.step()
        let saved = try #require(work.saved)
        let state = try WorkCodec.state(saved, inputs: "x")
        #expect(
            try WorkCodec.work(state.blobs, inputs: "y", model: model, as: Acquisition.Position.self) == nil)
        #expect(throws: (any Error).self) {
            try WorkCodec.work(state.blobs, inputs: "x", model: model, as: Consolidation.Position.self)
        }
        #expect(throws: LevelCodecError.self) {
            try WorkCodec.work(
                Array(state.blobs.dropFirst()), inputs: "x", model: model, as: Acquisition.Position.self)
        }
        var other = acquisition(texts(model)[0], into: start, model)
        #expect(throws: SavedWorkError.self) { try other.resume(from: saved) }
    }

    // MARK: - In the daemon

    /// Kills a process of this program at the first progress after something was saved.
    private static func killWhenSaved(_ path: String, _ begin: (HopeEngine) async throws -> JobRecord) async throws {
        let engine = try EngineHome(path).engine { $0.saveProgressEvery = .microseconds(1) }
        try await engine.start()
        let job = try await begin(engine)
        var seen = 0
        for try await event in try await engine.follow(job: job.id) {
            guard case .progress = event else { continue }
            let isSaved = try await engine.running().context.database { try $0.read { try $0.job(job.id)?.hasState } }
            if isSaved == true { seen += 1 }
            if seen == 3 { kill(getpid(), SIGKILL) }
        }
    }

    private static func teach(_ engine: HopeEngine) async throws {
        for fact in Facts.all.prefix(3) { try await engine.learn(fact) }
    }

    @Test func aKilledConsolidationGoesOn() async throws {
        let undisturbed = try await EngineHome().run { engine async throws in
            try await Self.teach(engine)
            let job = try await engine.end(of: engine.consolidate(space: "default"))
            return (bits: try engine.bits, record: try await engine.consolidation(job.id))
        }
        let path = home.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            try await SavedWorkTests.killWhenSaved(path) { engine in
                try await SavedWorkTests.teach(engine)
                return try await engine.consolidate(space: "default")
            }
        }
        try await home.run { engine async throws in
            let job = try #require(
                try await engine.jobs(space: "default", status: nil, page: PageRequest(limit: 1)).items.first)
            #expect(job.kind == .consolidate)
            let ended = try await engine.end(of: job)
            #expect(engine.health().notices.contains { $0.contains("went on where it was") })
            #expect(ended.status == (undisturbed.record.verdict == .adopted ? .adopted : .rejected))
            #expect(try engine.bits == undisturbed.bits)
            let record = try await engine.consolidation(ended.id)
            #expect(record.tokens == undisturbed.record.tokens)
            #expect(record.documentLossAfter == undisturbed.record.documentLossAfter)
            // What was saved is gone with the job.
            let isSaved = try await engine.running().context.database { try $0.read { try $0.job(job.id)?.hasState } }
            #expect(isSaved == false)
        }
        let reread = try await home.run { try $0.bits }
        #expect(reread == undisturbed.bits)
    }

    @Test func aKilledDocumentGoesOn() async throws {
        let text = Facts.all.joined(separator: " ")
        let bits = try await EngineHome().run { engine async throws in
            try await engine.learn(Facts.all[0])
            try await engine.learn(text)
            return try engine.bits
        }
        let path = home.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, text = text as String] in
            try await SavedWorkTests.killWhenSaved(path) { engine in
                try await engine.learn(Facts.all[0])
                return try await engine.accept(text).job
            }
        }
        try await home.run { engine async throws in
            let job = try #require(
                try await engine.jobs(space: "default", status: nil, page: PageRequest(limit: 1)).items.first)
            #expect(try await engine.end(of: job).status == .learned)
            #expect(engine.health().notices.contains { $0.contains("went on where it was") })
            #expect(try engine.bits == bits)
        }
    }

    /// Stopped in order, a job is saved whatever the interval. With other settings it begins again.
    @Test func aStoppedJobGoesOnUnlessItsInputsChanged() async throws {
        let text = Facts.long(12)
        func stop() async throws -> String {
            try await home.run { engine async throws in
                let accepted = try await engine.accept(text)
                for try await event in try await engine.follow(job: accepted.job.id) {
                    if case .progress(let progress) = event, progress.pass >= 2 { break }
                }
                return accepted.job.id
            }
        }
        let job = try await stop()
        #expect(try home.withStore { store in try store.read { try $0.job(job)?.hasState } } == true)
        let expected = try await EngineHome().run({ $0.learnMaxPasses = 3 }) { engine async throws in
            try await engine.learn(text)
            return try engine.bits
        }
        try await home.run({ $0.learnMaxPasses = 3 }) { engine async throws in
            #expect(try await engine.end(of: engine.job(job)).status == .learned)
            #expect(!engine.health().notices.contains { $0.contains("went on where it was") })
            #expect(try engine.bits == expected)
        }
    }
}
