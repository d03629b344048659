/// Why a `tokenizer.json` cannot be used, or a trainer cannot train.
public enum TokenizerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The file cannot be read.
    case unreadable(path: String, reason: String)
    /// The file cannot be written.
    case unwritable(path: String, reason: String)
    /// The bytes are not JSON.
    case invalidJSON(String)
    /// The value at `key` is missing or contradicts the rest of the file.
    case malformed(key: String, reason: String)
    /// The file is fine, but asks for something this tokenizer does not do; it would encode differently.
    case unsupported(key: String, value: String, accepted: String)
    /// A trainer's setting makes no sense.
    case invalidTraining(String)

    /// Says which key was wrong and what is accepted there.
    public var description: String {
        switch self {
        case .unreadable(let path, let reason), .unwritable(let path, let reason): "tokenizer \(path): \(reason)"
        case .invalidJSON(let reason): "tokenizer.json: \(reason)"
        case .malformed(let key, let reason): "tokenizer.json: \(key): \(reason)"
        case .unsupported(let key, let value, let accepted):
            "tokenizer.json: \(key) = \(value) is not supported; accepted: \(accepted)"
        case .invalidTraining(let reason): "BPE trainer: \(reason)"
        }
    }
}
