/// Why streams could not be advanced. None of them has moved.
public enum StreamError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stream was given no token to read.
    case noTokens(stream: Int)
    /// A token is not in the vocabulary.
    case unknownToken(Int32, stream: Int, vocabularySize: Int)
    /// A state or a session's own weights belong to a model of another geometry.
    case otherGeometry(stream: Int)

    /// Which stream, counted from 0 in the batch, and what is wrong with it.
    public var description: String {
        switch self {
        case .noTokens(let stream):
            "stream \(stream) of the batch has no token to read; leave it out"
        case .unknownToken(let token, let stream, let vocabularySize):
            "token \(token) of stream \(stream) is not in the vocabulary, 0 to \(vocabularySize - 1)"
        case .otherGeometry(let stream):
            "the state of stream \(stream), or its session's own weights, belong to a model of another geometry"
        }
    }
}
