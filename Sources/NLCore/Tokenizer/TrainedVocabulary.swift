public import struct Foundation.Data
public import struct Foundation.URL

/// What a ``BPETrainer`` learned: the tokens and merges of a `tokenizer.json`.
public struct TrainedVocabulary: Sendable {
    /// Tokens in the order of their ids; bytes are written in GPT-2's alphabet, a space as U+0120.
    public internal(set) var tokens: [String]
    /// Pairs of ids, in the order in which they merge.
    public internal(set) var merges: [(left: Int, right: Int)] = []
    /// How many tokens, from id 0, are special.
    public let specialTokenCount: Int
    /// The id of each single byte.
    let byteIDs: [UInt32]

    init(specialTokens: [String]) {
        specialTokenCount = specialTokens.count
        let order = (0..<256).sorted { ByteAlphabet.scalars[$0] < ByteAlphabet.scalars[$1] }
        tokens = specialTokens + order.map { String(ByteAlphabet.scalars[$0]) }
        var byteIDs = [UInt32](repeating: 0, count: 256)
        for (place, byte) in order.enumerated() { byteIDs[byte] = UInt32(specialTokens.count + place) }
        self.byteIDs = byteIDs
    }

    /// The vocabulary as a `tokenizer.json`: equal vocabularies give equal bytes.
    public func json() -> Data {
        var json = Array(#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":["#.utf8)
        for id in 0..<specialTokenCount {
            json += (id == 0 ? "" : ",").utf8
            json += #"{"id":\#(id),"content":"#.utf8
            appendJSONString(tokens[id], to: &json)
            json += #","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}"#.utf8
        }
        let byteLevel = #"{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}"#
        json += #"],"normalizer":null,"pre_tokenizer":\#(byteLevel),"post_processor":\#(byteLevel),"#.utf8
        json += #""decoder":\#(byteLevel),"model":{"type":"BPE","dropout":null,"unk_token":null,"#.utf8
        json += #""continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"#.utf8
        json += #""byte_fallback":false,"ignore_merges":false,"vocab":{"#.utf8
        for (id, token) in tokens.enumerated() {
            json += (id == 0 ? "" : ",").utf8
            appendJSONString(token, to: &json)
            json += ":\(id)".utf8
        }
        json += #"},"merges":["#.utf8
        for (rank, merge) in merges.enumerated() {
            json += (rank == 0 ? "" : ",").utf8
            // No byte is written as a space, so this older form is unambiguous, and all readers know it.
            appendJSONString("\(tokens[merge.left]) \(tokens[merge.right])", to: &json)
        }
        json += "]}}".utf8
        return Data(json)
    }

    /// Writes the `tokenizer.json`, replacing a file there in one step.
    ///
    /// - Throws: ``TokenizerError/unwritable(path:reason:)``.
    public func write(to url: URL) throws(TokenizerError) {
        do throws(SystemError) {
            let file = try AtomicFile(replacing: url.path)
            try Array(json()).withUnsafeBufferPointer { bytes throws(SystemError) in
                try file.write(UnsafeRawBufferPointer(bytes))
            }
            try file.commit()
        } catch {
            throw .unwritable(path: url.path, reason: "\(error.operation) failed: \(systemErrorMessage(error.code))")
        }
    }

    /// The tokenizer that reading ``json()`` gives.
    public func tokenizer() throws(TokenizerError) -> Tokenizer {
        try Tokenizer(json: json())
    }
}
