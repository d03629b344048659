import ArgumentParser
import Foundation
import Glibc
import NLCore

/// What every workload is told.
struct WorkbenchOptions: ParsableArguments {
    @Option(help: "The config.json of the shape to measure.")
    var config: String
    @Option(help: "Timed repetitions; one more comes first and is not counted.")
    var repetitions = 5
    @Option(help: "Compute threads; left out, one for each processor.")
    var threads: Int?
    @Option(help: "Matrix products: \(MatrixProduct.Selection.allCases.map(\.rawValue).joined(separator: ", ")).")
    var backend = MatrixProduct.Selection.auto.rawValue
    @Option(help: "Seed of the parameters and the tokens.")
    var seed: UInt64 = 7
    @Flag(help: "JSON instead of lines.")
    var json = false

    func validate() throws {
        guard repetitions >= 1 else { throw ValidationError("--repetitions counts from 1, got \(repetitions)") }
        guard MatrixProduct.Selection(rawValue: backend) != nil else {
            throw ValidationError("--backend \(backend) is not known")
        }
    }
}

/// A model of the shape asked for, and random tokens for it.
struct Workbench {
    let options: WorkbenchOptions
    let configuration: HopeConfiguration
    let parameters: ParameterSet<Float>
    private var random: SeededRandom

    init(_ options: WorkbenchOptions) throws {
        self.options = options
        if let threads = options.threads { try ComputeBudget.setThreads(threads) }
        try MatrixProduct.select(MatrixProduct.Selection(rawValue: options.backend) ?? .auto)
        guard let data = FileManager.default.contents(atPath: options.config) else {
            throw ValidationError("--config \(options.config) cannot be read")
        }
        configuration = Self.plain(try JSONDecoder().decode(HopeConfiguration.self, from: data))
        try configuration.validate()
        parameters = .initial(configuration, seed: options.seed)
        random = SeededRandom(seed: options.seed &+ 1)
    }

    /// A fresh model's slots are empty: its levels read, and learn, as those of a model that has none.
    private static func plain(_ configuration: HopeConfiguration) -> HopeConfiguration {
        var result = configuration.withoutSlots
        for index in result.levels.indices {
            let adapts = result.levels[index].adapts?.filter { !$0.contains("slots") }
            result.levels[index].adapts = adapts?.isEmpty == false ? adapts : nil
        }
        return result
    }

    /// Random tokens, any of the vocabulary.
    mutating func tokens(_ count: Int) -> [Int32] {
        (0..<count).map { _ in Int32(random.nextIndex(below: configuration.vocabularySize)) }
    }

    /// Times `run`, once to warm up and then `repetitions` times; what `prepare` does is not timed.
    ///
    /// - Parameter tokens: how many tokens one run works through.
    func measure<Input>(
        _ name: String, tokens: Int, prepare: () throws -> Input, run: (inout Input) throws -> Void
    ) throws -> Speed {
        var rates: [Double] = []
        for repetition in 0...options.repetitions {
            var input = try prepare()
            let start = ContinuousClock.now
            try run(&input)
            let seconds = start.duration(to: .now) / .seconds(1)
            if repetition > 0 { rates.append(Double(tokens) / seconds) }
        }
        return Speed(name: name, tokensPerSecond: Spread(rates))
    }

    /// Prints what was measured.
    func report(_ workload: String, _ speeds: [Speed], facts: [Fact] = []) throws {
        let report = Report(
            workload: workload, parameters: parameters.parameterCount, threads: ComputeBudget.threads,
            backend: MatrixProduct.description, speeds: speeds,
            facts: facts + [Fact(name: "peak memory", value: Double(peakMemory), unit: "bytes")])
        print(options.json ? try json(report) : report.lines())
    }

    /// Most bytes the process has had in memory.
    private var peakMemory: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }
}

/// A result that shows that what was timed is not the work it should be.
struct WrongWork: Error, CustomStringConvertible {
    let description: String
}
