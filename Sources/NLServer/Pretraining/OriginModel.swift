import Foundation
import NLCore
import Store

/// The model that a run begins with instead of random parameters: a warm restart. Its weights are as rounded as its
/// file has them; moments and schedule are new.
struct OriginModel {
    let configuration: HopeConfiguration
    let parameters: ParameterSet<Float>
    /// SHA-256 of its weights.
    let digest: String
    private let directory: URL

    /// - Throws: ``PretrainingError`` saying what is wrong with the directory, or why no run can begin with it.
    init(directory path: String, output: URL) throws {
        directory = URL(filePath: path, directoryHint: .isDirectory)
        func refuse(_ reason: String) -> PretrainingError { PretrainingError("--from \(path): \(reason)") }
        guard
            directory.resolvingSymlinksInPath().standardizedFileURL
                != output.resolvingSymlinksInPath().standardizedFileURL
        else {
            throw refuse("it is the --output directory, whose weights change with every checkpoint")
        }
        let model = ModelDirectory(path: path)
        do {
            try model.requireFiles()
            configuration = try model.configuration()
            parameters = try model.parameters(configuration, in: model.weights())
            digest = try model.digest(.weights).hex
        } catch {
            throw refuse(APIError(error).message)
        }
        guard !configuration.levels.contains(where: { $0.slots != nil }) else {
            throw refuse("it has slots, which are laid out over a trained model; begin with the model before add-slots")
        }
    }

    /// The model's tokenizer.
    func tokenizer() throws -> PreparedTokenizer {
        try PreparedTokenizer(
            contentsOf: directory.appending(path: "tokenizer.json"), bos: configuration.bosTokenID,
            eos: configuration.eosTokenID)
    }

    /// Refuses geometry that was asked for and is not the model's.
    ///
    /// - Throws: ``PretrainingError`` naming the options and both values.
    func require(_ options: ModelOptions) throws {
        var differences: [String] = []
        func compare(_ option: String, _ given: (some Equatable)?, _ own: some Equatable) {
            if let given, "\(given)" != "\(own)" { differences.append("\(option) is \(given), the model has \(own)") }
        }
        let c = configuration
        compare("--hidden-size", options.hiddenSize, c.width)
        compare("--layers", options.layers, c.layers)
        compare("--heads", options.heads, c.heads)
        if options.levels != nil && c.levels.contains(where: { $0.intermediateWidth != nil }) {
            differences.append("--levels can't say the intermediate_size that the model's levels have; leave it out")
        } else {
            compare(
                "--levels", options.levels,
                c.levels.map { "\($0.name):\($0.hiddenMultiple):\($0.chunkSize)" }.joined(separator: ","))
        }
        if options.gatedLinks && !c.levels.allSatisfy(\.isGated) {
            differences.append("--gated-links is given, the model's links have no gate")
        }
        compare("--chunk-size", options.chunkSize, c.chunkSize)
        compare("--projection-chunk-size", options.projectionChunkSize, c.projectionChunkSize)
        compare("--memory-hidden-multiple", options.memoryHiddenMultiple, c.memoryHiddenMultiple)
        compare("--conv-window", options.convWindow, c.convolutionWindow)
        compare("--step-size-max", options.stepSizeMax, c.stepSizeMaximum)
        if let file = options.config {
            var read = try ModelOptions.configuration(of: file)
            (read.bosTokenID, read.eosTokenID) = (c.bosTokenID, c.eosTokenID)
            differences += try JSONDifference.lines(read, c).map {
                "\(file): \($0.key) is \($0.first), the model has \($0.second)"
            }
        }
        guard differences.isEmpty else {
            throw PretrainingError(
                "--from \(directory.path) goes on with the geometry it has: \(differences.joined(separator: "; "))")
        }
    }
}

/// What two values differ in when they are written as JSON.
enum JSONDifference {
    /// Keys with dots between them, in their order, and both values.
    static func lines<Value: Encodable>(
        _ first: Value, _ second: Value
    ) throws -> [(key: String, first: String, second: String)] {
        let (one, two) = (try flattened(first), try flattened(second))
        return Set(one.keys).union(two.keys).sorted().filter { one[$0] != two[$0] }
            .map { ($0, one[$0] ?? "not set", two[$0] ?? "none") }
    }

    private static func flattened(_ value: some Encodable) throws -> [String: String] {
        var result: [String: String] = [:]
        func visit(_ value: Any, _ path: String) {
            switch value {
            case let object as [String: Any]:
                for (key, value) in object { visit(value, path.isEmpty ? key : "\(path).\(key)") }
            case let array as [Any]:
                for (index, value) in array.enumerated() { visit(value, "\(path)[\(index)]") }
            default: result[path] = "\(value)"
            }
        }
        visit(try JSONSerialization.jsonObject(with: JSONEncoder().encode(value)), "")
        return result
    }
}
