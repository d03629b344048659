import Foundation
import NLCore

/// A copy of a model directory whose ingestion steps dense tensors, for the rows `naive` and `full`. The weights are
/// linked.
enum FineTunedModel {
    /// - Parameters:
    ///   - adapts: patterns of the tensors that documents are learned into.
    ///   - learningRate: nil takes the level's default.
    /// - Throws: ``EvaluationError`` if the directory has no configuration that can be read.
    static func write(of model: String, to directory: URL, adapting adapts: [String], learningRate: Double?) throws {
        let source = URL(filePath: model, directoryHint: .isDirectory).resolvingSymlinksInPath()
        let files = FileManager.default
        try files.createDirectory(at: directory, withIntermediateDirectories: true)
        let configuration = source.appending(path: "config.json")
        let text = try Data(contentsOf: configuration)
        guard let object = try JSONSerialization.jsonObject(with: text) as? [String: Any],
            var levels = object["cms_levels"] as? [[String: Any]], levels.count >= 3
        else { throw EvaluationError("\(configuration.path): there are no three cms_levels to adapt tensors with") }
        // The first level that documents are learned into; the levels beside it keep to theirs.
        var hasGates = false
        _ = HopeParameters<Void>(try JSONDecoder().decode(HopeConfiguration.self, from: text)) { name, _ in
            hasGates = hasGates || name.hasSuffix(".gate")
        }
        // A pattern that names no tensor is refused.
        levels[1]["adapts"] = adapts.filter { $0 != "*.gate" || hasGates }
        levels[1]["learning_rate"] = learningRate
        var changed = object
        changed["cms_levels"] = levels
        let data = try JSONSerialization.data(withJSONObject: changed, options: [.prettyPrinted, .sortedKeys])
        try data.write(to: directory.appending(path: "config.json"))
        for name in ["model.safetensors", "tokenizer.json", "anchors.txt"] {
            let file = source.appending(path: name)
            guard files.fileExists(atPath: file.path) else { continue }
            try files.createSymbolicLink(at: directory.appending(path: name), withDestinationURL: file)
        }
    }
}
