/// Why a safetensors file cannot be read or written: which file, which tensor, what was wrong.
public struct SafetensorsError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, in kinds a caller can tell apart.
    public enum Reason: Error, Equatable, Sendable {
        /// The operating system refused: the operation and its `errno`.
        case system(operation: String, code: Int32)
        /// The file is shorter than its header says, or than any header.
        case truncated(String)
        /// The header is not a safetensors header.
        case malformedHeader(String)
        /// One tensor's entry contradicts itself, the file, or another entry.
        case malformedTensor(String)
        /// The file has no tensor of that name.
        case missingTensor
        /// The tensor's element type cannot be converted to what was asked for.
        case unsupportedConversion(from: TensorDataType, to: String)
        /// The memory given, or the values given, do not have the tensor's element count.
        case wrongCount(expected: Int, actual: Int)
        /// Somebody wrote into the file after it was opened.
        case changed
    }

    /// The file, or "memory" for a file held in memory.
    public let source: String
    /// The tensor the error is about; nil when it is about the whole file.
    public let tensor: String?
    /// What is wrong.
    public let reason: Reason

    /// Names the file and the tensor, says what was wrong and, where there is a way out, what to do.
    public var description: String {
        let place = tensor.map { "\(source): tensor \"\($0.prefix(200))\"" } ?? source
        switch reason {
        case .system(let operation, let code): return "\(place): \(operation) failed: \(systemErrorMessage(code))"
        case .truncated(let detail): return "\(place): \(detail); the file is incomplete, copy it again"
        case .malformedHeader(let detail): return "\(place): not a safetensors header: \(detail)"
        case .malformedTensor(let detail): return "\(place): \(detail)"
        case .missingTensor: return "\(place) is not in the file"
        case .unsupportedConversion(let from, let to):
            return "\(place): \(from.rawValue) is not converted to or from \(to)"
        case .wrongCount(let expected, let actual): return "\(place) has \(expected) elements, \(actual) were given"
        case .changed:
            return "\(place): the file was written to while it was in use; replace a file by renaming another over it"
        }
    }
}
