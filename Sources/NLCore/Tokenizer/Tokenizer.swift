import Synchronization

/// A byte-pair tokenizer, byte-level or of characters with byte fallback, read from Hugging Face's `tokenizer.json`.
///
/// Any text can be encoded and comes back unchanged (up to the file's normaliser). The ids are those of the Python
/// library `tokenizers` for the same file; a file that asks for something else is refused, never approximated.
/// Safe to share: encoding on several threads at once takes no lock for longer than a pointer swap.
///
/// ```swift
/// let tokenizer = try Tokenizer(contentsOf: directory.appending(path: "tokenizer.json"))
/// let ids = tokenizer.encode("Once upon a time")
/// tokenizer.decode(ids, skipSpecialTokens: true)  // "Once upon a time"
/// ```
public final class Tokenizer: Sendable {
    /// Rows that an embedding of these tokens needs: the largest id, plus one.
    public let vocabularySize: Int

    private let merges: MergeTable
    private let byteIDs: [UInt32]
    private let characters: CharacterVocabulary?
    private let ignoresMerges: Bool
    private let stripsFirstSpace: Bool
    private let normalizer: [NormalizerStep]
    private let preTokenizer: PreTokenizer
    private let template: TokenizerFile.Template
    private let addedTokens: AddedTokenMatcher
    private let normalizedAddedTokens: AddedTokenMatcher
    private let specialIDs: Set<Int>
    private let contents: [String?]
    private let byteRanges: [Range<Int>]
    private let vocabularyBytes: [UInt8]
    private let ids: [[UInt8]: Int]
    /// Merging space and remembered words, taken by one call at a time; a call that finds none makes its own.
    private let workspace = Mutex<Workspace?>(nil)

    private struct Workspace: Sendable {
        var merger = PieceMerger()
        var cache = WordCache()
    }

    init(_ file: TokenizerFile) {
        vocabularySize = file.contents.count
        merges = MergeTable(file.merges)
        byteIDs = file.byteIDs
        characters = file.vocabulary
        ignoresMerges = file.ignoresMerges
        stripsFirstSpace = file.stripsFirstSpace
        normalizer = file.normalizer
        preTokenizer = file.preTokenizer
        template = file.template
        contents = file.contents
        specialIDs = Set(file.addedTokens.lazy.filter(\.isSpecial).map(\.id))

        var asGiven = AddedTokenMatcher()
        var afterwards = AddedTokenMatcher()
        // Special tokens first: the reference gives them precedence where two tokens have one pattern.
        for token in file.addedTokens.filter(\.isSpecial) + file.addedTokens.filter({ !$0.isSpecial }) {
            if token.isNormalized {
                let pattern = normalized(token.content, by: file.normalizer)
                afterwards.insert(token, pattern: Array(pattern.utf8))
            } else {
                asGiven.insert(token, pattern: Array(token.content.utf8))
            }
        }
        addedTokens = asGiven
        normalizedAddedTokens = afterwards

        let added = Dictionary(uniqueKeysWithValues: file.addedTokens.map { ($0.id, $0) })
        var ids: [[UInt8]: Int] = [:]
        ids.reserveCapacity(file.contents.count)
        var ranges: [Range<Int>] = []
        var bytes: [UInt8] = []
        for (id, content) in file.contents.enumerated() {
            let start = bytes.count
            if let content {
                ids[Array(content.utf8)] = id
                bytes += Self.decodedBytes(of: content, added: added[id], file)
            }
            ranges.append(start..<bytes.count)
        }
        self.ids = ids
        byteRanges = ranges
        vocabularyBytes = bytes
    }

    private static func decodedBytes(of content: String, added: AddedToken?, _ file: TokenizerFile) -> [UInt8] {
        if file.vocabulary != nil {
            if added == nil, let byte = CharacterVocabulary.byte(of: content) { return [byte] }
            return Array(replaced(content, file.spaceSign, with: " ").utf8)
        }
        let text = added?.isNormalized == true ? normalized(content, by: file.normalizer) : content
        let bytes = ByteAlphabet.bytes(of: text)
        // An added token such as "caf\u{E9}" is text, although each of its characters also names a byte; read as
        // bytes it would end in U+FFFD (and does in the reference).
        if added != nil, String(validating: bytes, as: UTF8.self) == nil { return Array(text.utf8) }
        return bytes
    }

    // MARK: - Vocabulary

    /// The id of the token written `content` in the file, such as `<|endoftext|>` or, in the byte alphabet, `\u{120}the`.
    public func id(of content: String) -> Int? {
        ids[Array(content.utf8)]
    }

    /// The token as the file writes it, or nil if no token has this id.
    public func token(of id: Int) -> String? {
        contents.indices.contains(id) ? contents[id] : nil
    }

    /// Whether the file marks the token as special: a sign to the model rather than text.
    public func isSpecial(_ id: Int) -> Bool {
        specialIDs.contains(id)
    }

    /// The bytes a token decodes to, not always whole characters; none if no token has this id.
    public func bytes(of id: Int) -> [UInt8] {
        Array(byteSlice(of: id))
    }

    func byteSlice(of id: Int) -> ArraySlice<UInt8> {
        byteRanges.indices.contains(id) ? vocabularyBytes[byteRanges[id]] : []
    }

    // MARK: - Encoding

    /// The tokens of `text`.
    ///
    /// - Parameters:
    ///   - addSpecialTokens: whether to add what the file's post-processor template puts around a text.
    ///   - parseSpecialTokens: whether special tokens written in the text become their ids. Pass false for text from
    ///     outside: `<|eos|>` in it is then seven characters, not the end of the sequence. Added tokens that are not
    ///     special are matched either way.
    public func encode(_ text: String, addSpecialTokens: Bool = false, parseSpecialTokens: Bool = true) -> [Int] {
        var ids = addSpecialTokens ? template.prefix : []
        ids.reserveCapacity(ids.count + text.utf8.count / 3)
        var workspace = self.workspace.withLock { $0.take() } ?? Workspace()
        encode(text.utf8.span, parseSpecialTokens: parseSpecialTokens, workspace: &workspace, into: &ids)
        self.workspace.withLock { [workspace] in $0 = workspace }
        if addSpecialTokens { ids += template.suffix }
        return ids
    }

    /// The tokens of UTF-8 bytes. Invalid sequences are read as U+FFFD, as by `String(decoding:as:)`.
    public func encode(
        utf8 bytes: some Collection<UInt8>, addSpecialTokens: Bool = false, parseSpecialTokens: Bool = true
    ) -> [Int] {
        let text = String(decoding: bytes, as: UTF8.self)
        return encode(text, addSpecialTokens: addSpecialTokens, parseSpecialTokens: parseSpecialTokens)
    }

    private func encode(
        _ text: Span<UInt8>, parseSpecialTokens: Bool, workspace: inout Workspace, into ids: inout [Int]
    ) {
        for segment in addedTokens.segments(of: text, matchesSpecial: parseSpecialTokens) {
            if let token = segment.token {
                ids.append(token)
                continue
            }
            let part = text.extracting(segment.range)
            let isFirst = segment.range.lowerBound == 0
            if normalizer.isEmpty || normalizer == [.nfc] && !mayChangeUnderNFC(part) {
                encodeNormalized(part, isFirst, parseSpecialTokens, workspace: &workspace, into: &ids)
            } else {
                let text = normalized(string(part), by: normalizer)
                encodeNormalized(text.utf8.span, isFirst, parseSpecialTokens, workspace: &workspace, into: &ids)
            }
        }
    }

    private func encodeNormalized(
        _ text: Span<UInt8>, _ isFirst: Bool, _ parseSpecialTokens: Bool, workspace: inout Workspace,
        into ids: inout [Int]
    ) {
        if normalizedAddedTokens.isEmpty { return encodePlain(text, isFirst, workspace: &workspace, into: &ids) }
        for segment in normalizedAddedTokens.segments(of: text, matchesSpecial: parseSpecialTokens) {
            if let token = segment.token {
                ids.append(token)
            } else {
                let isStart = isFirst && segment.range.lowerBound == 0
                encodePlain(text.extracting(segment.range), isStart, workspace: &workspace, into: &ids)
            }
        }
    }

    /// Text without added tokens: split, and merge each piece.
    private func encodePlain(
        _ text: Span<UInt8>, _ isFirst: Bool, workspace: inout Workspace, into ids: inout [Int]
    ) {
        if let metaspace = preTokenizer.metaspace {
            return encode(text, metaspace, isFirst, workspace: &workspace, into: &ids)
        }
        if preTokenizer.addsPrefixSpace, text.count > 0, text[0] != UInt8(ascii: " ") {
            let prefixed = " " + string(text)
            return encodePieces(of: prefixed.utf8.span, workspace: &workspace, into: &ids)
        }
        guard preTokenizer.isolatesDigits else { return encodePieces(of: text, workspace: &workspace, into: &ids) }
        // Each digit alone, and what lies between them as if it were all there is.
        var (start, end) = (0, 0)
        while end < text.count {
            let next = ClassifiedScalar(in: text, at: end)
            if next.kind == .number {
                if start < end { encodePieces(of: text.extracting(start..<end), workspace: &workspace, into: &ids) }
                encodePieces(of: text.extracting(end..<next.end), workspace: &workspace, into: &ids)
                start = next.end
            }
            end = next.end
        }
        if start < end { encodePieces(of: text.extracting(start..<end), workspace: &workspace, into: &ids) }
    }

    /// Spaces made visible, and a piece at each if the file says so.
    private func encode(
        _ text: Span<UInt8>, _ metaspace: Metaspace, _ isFirst: Bool, workspace: inout Workspace, into ids: inout [Int]
    ) {
        guard text.count > 0 else { return }
        var visible = replaced(string(text), " ", with: metaspace.sign)
        let isWanted = metaspace.prepending == .always || metaspace.prepending == .first && isFirst
        if isWanted, !visible.utf8.starts(with: metaspace.sign.utf8) { visible = metaspace.sign + visible }
        let span = visible.utf8.span
        guard metaspace.splits else { return encodePiece(span, workspace: &workspace, into: &ids) }
        let sign = Array(metaspace.sign.utf8)
        var start = 0
        var position = 1
        while position < span.count {
            if position + sign.count <= span.count, (0..<sign.count).allSatisfy({ span[position + $0] == sign[$0] }) {
                encodePiece(span.extracting(start..<position), workspace: &workspace, into: &ids)
                start = position
            }
            position += 1
        }
        encodePiece(span.extracting(start..<span.count), workspace: &workspace, into: &ids)
    }

    private func encodePieces(of text: Span<UInt8>, workspace: inout Workspace, into ids: inout [Int]) {
        var start = 0
        while start < text.count {
            let end = preTokenizer.pattern.pieceEnd(in: text, from: start)
            encodePiece(text.extracting(start..<end), workspace: &workspace, into: &ids)
            start = end
        }
    }

    @inline(__always)
    private func encodePiece(_ piece: Span<UInt8>, workspace: inout Workspace, into ids: inout [Int]) {
        let key = WordCache.Key(piece)
        if let key, workspace.cache.append(key, to: &ids) { return }
        let firstNew = ids.count
        if let characters {
            workspace.merger.merge(piece, characters: characters, table: merges, into: &ids)
        } else if ignoresMerges, let whole = wholeToken(piece) {
            ids.append(whole)
        } else {
            workspace.merger.merge(piece, byteIDs: byteIDs, table: merges, into: &ids)
        }
        if let key { workspace.cache.store(key, ids[firstNew...]) }
    }

    /// The token that a piece is, as the vocabulary of bytes writes it.
    private func wholeToken(_ piece: Span<UInt8>) -> Int? {
        self.ids[Array(ByteAlphabet.name(of: piece.withUnsafeBufferPointer { Array($0) }).utf8)]
    }

    // MARK: - Decoding

    /// The text of `ids`; bytes that are not UTF-8 become U+FFFD, ids of no token are left out.
    ///
    /// - Parameter isStart: whether they begin a text: where encoding puts a space before it, that one is left out.
    public func decode(_ ids: some Sequence<Int>, skipSpecialTokens: Bool, isStart: Bool = true) -> String {
        let bytes = decodeBytes(ids, skipSpecialTokens: skipSpecialTokens)
        let strips = isStart && stripsFirstSpace && bytes.first == UInt8(ascii: " ")
        return String(decoding: strips ? bytes.dropFirst() : bytes[...], as: UTF8.self)
    }

    /// The bytes of `ids`, not always whole characters; ids of no token are left out.
    public func decodeBytes(_ ids: some Sequence<Int>, skipSpecialTokens: Bool) -> [UInt8] {
        var result: [UInt8] = []
        for id in ids where !(skipSpecialTokens && isSpecial(id)) { result += byteSlice(of: id) }
        return result
    }
}

/// A text after a file's normaliser.
private func normalized(_ text: String, by steps: [NormalizerStep]) -> String {
    var text = text
    for step in steps {
        switch step {
        case .nfc: text = normalizedNFC(text)
        case .prepend(let start): if !text.isEmpty { text = start + text }
        case .replace(let pattern, let content): text = replaced(text, pattern, with: content)
        }
    }
    return text
}

/// Every occurrence of `pattern`, byte for byte, replaced.
private func replaced(_ text: String, _ pattern: String, with content: String) -> String {
    let (source, wanted) = (Array(text.utf8), Array(pattern.utf8))
    guard let first = wanted.first else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(source.count)
    var position = 0
    while position < source.count {
        if source[position] == first, source[position...].starts(with: wanted) {
            result += content.utf8
            position += wanted.count
        } else {
            result.append(source[position])
            position += 1
        }
    }
    return String(decoding: result, as: UTF8.self)
}

private func string(_ text: Span<UInt8>) -> String {
    text.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
}
