import Foundation

/// Several measurements of one thing.
struct Spread: Encodable {
    let median: Double
    let minimum: Double
    let maximum: Double
    let repetitions: Int

    /// - Precondition: there is at least one.
    init(_ values: [Double]) {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        median = sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
        minimum = sorted[0]
        maximum = sorted[sorted.count - 1]
        repetitions = sorted.count
    }
}

/// How fast one kind of work went.
struct Speed: Encodable {
    let name: String
    let tokensPerSecond: Spread
}

/// A figure that is not a speed.
struct Fact: Encodable {
    let name: String
    let value: Double
    let unit: String
}

/// Everything one run found.
struct Report: Encodable {
    let workload: String
    /// Scalars of the model.
    let parameters: Int
    let threads: Int
    /// Libraries, versions and kernels.
    let backend: String
    let speeds: [Speed]
    let facts: [Fact]

    func lines() -> String {
        let head = "\(workload), \(parameters.formatted()) parameters; \(backend)"
        let speeds = speeds.map { speed in
            let rates = speed.tokensPerSecond
            return String(
                format: "%@ %10.1f tokens/s  (%.1f to %.1f, %d repetitions)", Self.padded(speed.name), rates.median,
                rates.minimum, rates.maximum, rates.repetitions)
        }
        let facts = facts.map { String(format: "%@ %10.10g %@", Self.padded($0.name), $0.value, $0.unit) }
        return ([head] + speeds + facts).joined(separator: "\n")
    }

    private static func padded(_ name: String) -> String {
        name.padding(toLength: max(32, name.count), withPad: " ", startingAt: 0)
    }
}

/// A result as every workload prints it.
func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}
