import Glibc

/// log softmax(x)_i = x_i − log Σ exp(x): in double precision over single-precision logits.
public struct LogSoftmax: Sendable {
    /// The largest logit, and log Σ exp(x − largest): apart, since a large logit would swallow the other.
    private let largest: Double
    private let logSum: Double

    /// Normalises a row of logits.
    ///
    /// - Throws: ``LogitsError`` when there are none, or one is not finite.
    public init(_ logits: UnsafeBufferPointer<Float>) throws(LogitsError) {
        guard let first = logits.first else { throw .empty }
        var largest = first
        for (index, logit) in logits.enumerated() {
            guard logit.isFinite else { throw .notFinite(logit, token: index) }
            largest = max(largest, logit)
        }
        var sum = 0.0
        for logit in logits { sum += Double(expf(logit - largest)) }
        self.largest = Double(largest)
        logSum = log(sum)
    }

    /// The log-probability, in nats, of the token that has this logit.
    public func callAsFunction(_ logit: Float) -> Double { Double(logit) - largest - logSum }

    /// log softmax(logits) of one token in each row: the score of a text.
    ///
    /// - Parameters:
    ///   - tokens: one a row.
    ///   - logits: `[rows, V]`.
    /// - Throws: ``LogitsError`` when a logit is not finite.
    public static func logProbabilities(
        of tokens: [Int32], _ logits: Tensor<Float>
    ) throws(LogitsError) -> [Double] {
        let width = logits.shape.last
        precondition(tokens.count * width == logits.count, "\(tokens.count) tokens for logits of shape \(logits.shape)")
        var result: [Double] = []
        result.reserveCapacity(tokens.count)
        for (row, token) in tokens.enumerated() {
            let own = UnsafeBufferPointer(start: UnsafePointer(logits.pointer) + row * width, count: width)
            result.append(try LogSoftmax(own)(own[Int(token)]))
        }
        return result
    }
}

/// Logits that are no distribution: the model has left the finite numbers.
public enum LogitsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// There are no logits.
    case empty
    /// A logit is NaN or infinite.
    case notFinite(Float, token: Int)

    /// Which logit is at fault.
    public var description: String {
        switch self {
        case .empty: "there are no logits to sample from"
        case .notFinite(let value, let token):
            "the logit of token \(token) is \(value): the model's output is not finite"
        }
    }

    /// As synthesised, except that NaN equals itself.
    public static func == (a: LogitsError, b: LogitsError) -> Bool {
        switch (a, b) {
        case (.empty, .empty): true
        case (.notFinite(let x, let i), .notFinite(let y, let j)): i == j && (x == y || x.isNaN && y.isNaN)
        default: false
        }
    }
}
