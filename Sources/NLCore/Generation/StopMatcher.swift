/// Ends a text at the first stop string, while it is being streamed in pieces.
///
/// Holds back what may be the beginning of a stop string until the next piece decides, so nothing of a stop string is
/// ever emitted, and nothing else is held for longer than needed. Compares UTF-8, not characters: `e` and `é` in two
/// scalars are what their bytes are.
public struct StopMatcher: Sendable {
    /// What a piece brought.
    public struct Output: Sendable, Hashable {
        /// Text to emit now, in whole UTF-8 scalars.
        public let text: String
        /// The stop string that ended the text; nil while it goes on.
        public let stop: String?
    }

    private let stops: [(text: String, bytes: [UInt8])]
    private var held: [UInt8] = []
    private var found: String?

    /// A matcher of the given strings; empty ones end nothing.
    public init(_ stops: [String]) {
        self.stops = stops.filter { !$0.isEmpty }.map { ($0, Array($0.utf8)) }
    }

    /// Takes the next piece of text. After a stop string nothing more comes out.
    public mutating func push(_ piece: String) -> Output {
        if found != nil { return Output(text: "", stop: found) }
        held += Array(piece.utf8)
        // The first place where one begins; of several there, any ends the same text.
        for start in held.indices {
            guard let stop = stops.first(where: { held[start...].starts(with: $0.bytes) }) else { continue }
            found = stop.text
            return Output(text: release(start), stop: stop.text)
        }
        return Output(text: release(held.count - openPrefixLength()), stop: nil)
    }

    /// The end of the text without a stop string: what was held back.
    public mutating func finish() -> String {
        found == nil ? release(held.count) : ""
    }

    /// The most bytes at the end that begin a stop string. They begin with its first byte, so no scalar is cut.
    private func openPrefixLength() -> Int {
        for start in held.indices {
            let end = held[start...]
            if stops.contains(where: { $0.bytes.count > end.count && $0.bytes.starts(with: end) }) { return end.count }
        }
        return 0
    }

    private mutating func release(_ count: Int) -> String {
        let text = String(decoding: held[..<count], as: UTF8.self)
        held.removeFirst(count)
        return text
    }
}
