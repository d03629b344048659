import ArgumentParser
import NLCore

/// One repetition is one update of the medium level: windows read with their gradients, gathered, and followed.
///
/// This is what ingestion repeats (`Acquisition`), without measuring, rehearsal and the database.
struct Learn: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Learning windows of a document into the medium level.")

    @OptionGroup var options: WorkbenchOptions
    @Option(help: "Tokens in a window; left out, 256 in whole projection chunks, as the daemon does.")
    var window: Int?

    func validate() throws {
        if let window, window < 1 { throw ValidationError("--window counts from 1, got \(window)") }
    }

    func run() throws {
        var bench = try Workbench(options)
        let chunk = bench.configuration.projectionChunkSize
        let size = window ?? max(256 / chunk, 1) * chunk
        let fresh = try SpaceLevels(bench.configuration, base: bench.parameters)
        let role = LevelDefinition.Role.acquisition
        let trained = fresh.tensors(of: role)
        let learning = fresh.levels.filter { $0.definition.role == role }
        let period = learning.map(\.definition.chunkSize).max() ?? size
        let tokens = bench.tokens((period + size - 1) / size * size + 1)
        let windows = stride(from: 0, to: tokens.count - 1, by: size).map { $0..<$0 + size }
        let reader = LearningWindow(bench.configuration)
        let speed = try bench.measure(
            "learning windows of \(size)", tokens: tokens.count - 1, prepare: { fresh },
            run: { levels in
                var states: [MixerState<Float>]?
                for range in windows {
                    let reading = try reader.read(
                        Array(tokens[range]), targets: Array(tokens[range.lowerBound + 1...range.upperBound]),
                        states: states, parameters: levels.effective, trained: trained)
                    states = reading.states
                    try Self.gather(reading, size, into: &levels, role)
                }
                try Self.requireUpdate(of: levels, role)
            })
        let scalars = learning.reduce(0) { $0 + $1.definition.parameterCount }
        try bench.report("learn", [speed], facts: [Fact(name: "scalars learned", value: Double(scalars), unit: "")])
    }

    private static func gather(
        _ reading: LearningWindow.Reading, _ count: Int, into levels: inout SpaceLevels, _ role: LevelDefinition.Role
    ) throws {
        guard let gradients = reading.gradients else { throw WrongWork(description: "a window gave no gradients") }
        try levels.update(role) { level throws(NumericsError) in
            level.note(losses: reading.losses)
            return try level.gather(gradients, tokenCount: count)
        }
    }

    private static func requireUpdate(of levels: SpaceLevels, _ role: LevelDefinition.Role) throws {
        for level in levels.levels where level.definition.role == role && level.counters.updates < 1 {
            throw WrongWork(description: "level \"\(level.definition.name)\" was not updated")
        }
    }
}
