/// Why a Hugging Face directory can't become a model of ours.
public enum ImportError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A file that is needed is not there, or can't be read.
    case file(String, reason: String)
    /// A key says what is not supported; nothing is approximated.
    case unsupported(key: String, value: String, accepted: String)
    /// A key is missing, or contradicts the rest.
    case malformed(key: String, reason: String)
    /// The tensors are not those of the configuration.
    case tensors(String)

    /// Names the file or key at fault, and what would be accepted.
    public var description: String {
        switch self {
        case .file(let name, let reason): "\(name): \(reason)"
        case .unsupported(let key, let value, let accepted):
            "config.json: \"\(key)\" is \(value), which is not supported; accepted: \(accepted)"
        case .malformed(let key, let reason): "config.json: \"\(key)\" \(reason)"
        case .tensors(let reason): reason
        }
    }
}
