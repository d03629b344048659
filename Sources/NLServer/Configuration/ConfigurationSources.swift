import Foundation
import Yams

/// A configuration that cannot be used: which option, where it came from, what is accepted.
struct ConfigurationError: Error, Equatable, CustomStringConvertible {
    var description: String
}

/// Where an option's value came from, for messages and for the line printed at start.
enum ConfigurationSource: Sendable, Equatable {
    case commandLine, environment
    case file(String)

    func name(_ option: ServerOption) -> String {
        switch self {
        case .commandLine: option.flag
        case .environment: option.variable
        case .file(let path): "\(option.key) in \(path)"
        }
    }
}

/// The raw values of all options, the strongest source first: command line, environment, file.
struct ConfigurationSources: Sendable {
    struct Value: Sendable, Equatable {
        var text: String
        var source: ConfigurationSource
    }

    private(set) var values: [ServerOption: Value] = [:]
    /// Variables that begin like ours and are not.
    private(set) var unknownVariables: [String] = []

    /// - Throws: ``ConfigurationError`` if the file is missing, not readable, or has unknown keys.
    init(commandLine: [ServerOption: String], environment: [String: String]) throws {
        let environment = environment.filter { $0.key.hasPrefix("NLSERVER_") }
        let fromEnvironment = ServerOption.allCases.compactMap { option in
            environment[option.variable].map { (option, $0) }
        }
        unknownVariables = Set(environment.keys).subtracting(ServerOption.allCases.map(\.variable)).sorted()
        let path = commandLine[.config] ?? environment[ServerOption.config.variable]
        if let path {
            for (option, text) in try Self.read(path) { values[option] = Value(text: text, source: .file(path)) }
        }
        for (option, text) in fromEnvironment { values[option] = Value(text: text, source: .environment) }
        for (option, text) in commandLine { values[option] = Value(text: text, source: .commandLine) }
    }

    /// JSON is YAML's subset, so one reader serves both.
    private static func read(_ path: String) throws -> [ServerOption: String] {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ConfigurationError(description: "The configuration file '\(path)' cannot be read.")
        }
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw ConfigurationError(
                description: "The configuration file '\(path)' is not valid YAML or JSON: \(error)")
        }
        guard let node else { return [:] }
        guard let mapping = node.mapping else {
            throw ConfigurationError(description: "The configuration file '\(path)' must hold keys and values.")
        }
        let keys = Dictionary(uniqueKeysWithValues: ServerOption.allCases.filter { $0 != .config }.map { ($0.key, $0) })
        var values: [ServerOption: String] = [:]
        for (key, value) in mapping {
            guard let option = keys[key.string ?? ""] else {
                throw ConfigurationError(
                    description:
                        "Unknown key '\(key.string ?? "?")' in '\(path)'. Known: \(keys.keys.sorted().joined(separator: ", "))."
                )
            }
            guard let text = value.scalar?.string else {
                throw ConfigurationError(description: "'\(option.key)' in '\(path)' must be a single value.")
            }
            values[option] = text
        }
        return values
    }
}
