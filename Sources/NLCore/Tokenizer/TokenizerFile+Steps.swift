// The steps around a file's model: what is known is read, what is not is refused.

extension TokenizerFile {
    mutating func readNormalizer(_ value: JSONValue) throws(TokenizerError) {
        let key = "normalizer"
        switch try stepType(value, key: key) {
        case nil: break
        case "NFC": normalizer.append(.nfc)
        case "Prepend":
            normalizer.append(.prepend(try text(value, "prepend", in: key)))
        case "Replace":
            let (pattern, content) = try replacement(value, in: key)
            normalizer.append(.replace(pattern, with: content))
        case "Sequence":
            for step in value.object?["normalizers"]?.array ?? [] { try readNormalizer(step) }
        default:
            throw .unsupported(key: key, value: describe(value), accepted: "null, NFC, Prepend, Replace, Sequence")
        }
        if vocabulary == nil, normalizer.contains(where: { $0 != .nfc }) {
            throw .unsupported(key: key, value: describe(value), accepted: "null or NFC with a byte-level vocabulary")
        }
    }

    mutating func readPreTokenizer(_ value: JSONValue) throws(TokenizerError) {
        if vocabulary != nil { return try readCharacterPreTokenizer(value) }
        let key = "pre_tokenizer"
        var steps = [value]
        if try stepType(value, key: key) == "Sequence" { steps = value.object?["pretokenizers"]?.array ?? [] }
        var found = PreTokenizer(addsPrefixSpace: false, pattern: .whole)
        var isByteLevel = false
        for step in steps {
            switch try stepType(step, key: key) {
            case "Digits" where !isByteLevel && found.pattern == .whole && !found.isolatesDigits:
                guard try step.object?.flag("individual_digits", in: key) == true else {
                    throw .unsupported(key: key, value: "Digits in runs", accepted: "individual_digits: true")
                }
                found.isolatesDigits = true
            case "Split" where !isByteLevel && found.pattern == .whole:
                found.pattern = try splitPattern(step)
            case "ByteLevel" where !isByteLevel:
                isByteLevel = true
                guard let object = step.object else { continue }
                found.addsPrefixSpace = try object.flag("add_prefix_space", in: key) ?? true
                guard try object.flag("use_regex", in: key) ?? true else { continue }
                guard found.pattern == .whole else {
                    throw .unsupported(key: key, value: "two patterns", accepted: "one")
                }
                found.pattern = .gpt2
            default:
                throw .unsupported(
                    key: key, value: describe(step),
                    accepted: "ByteLevel, alone or at the end of a Sequence of Digits and Split")
            }
        }
        guard isByteLevel else {
            throw .unsupported(key: key, value: describe(value), accepted: "ByteLevel with a byte-level vocabulary")
        }
        guard !found.addsPrefixSpace || steps.count == 1 else {
            throw .unsupported(key: "\(key).add_prefix_space", value: "true", accepted: "false in a Sequence")
        }
        preTokenizer = found
    }

    private func splitPattern(_ step: JSONValue) throws(TokenizerError) -> SplitPattern {
        let key = "pre_tokenizer"
        let behavior = step.object?["behavior"]?.string ?? ""
        guard behavior == "Isolated", try step.object?.flag("invert", in: key) != true else {
            throw .unsupported(key: "\(key).behavior", value: "\"\(behavior)\"", accepted: "\"Isolated\", not inverted")
        }
        let regex = step.object?["pattern"]?.object?["Regex"]?.string ?? ""
        guard let pattern = SplitPattern(regex: regex) else {
            throw .unsupported(
                key: "\(key).pattern", value: "\"\(regex.prefix(120))\"",
                accepted: "the expressions of GPT-2, Llama 3 and Qwen 2")
        }
        return pattern
    }

    private mutating func readCharacterPreTokenizer(_ value: JSONValue) throws(TokenizerError) {
        let key = "pre_tokenizer"
        preTokenizer = PreTokenizer(addsPrefixSpace: false, pattern: .whole)
        switch try stepType(value, key: key) {
        case nil: break
        case "Metaspace":
            guard let object = value.object else { return }
            let older: Metaspace.Prepending = try object.flag("add_prefix_space", in: key) == false ? .never : .always
            var prepending = older
            if let name = object["prepend_scheme"]?.string {
                guard let scheme = Metaspace.Prepending(rawValue: name) else {
                    throw .unsupported(
                        key: "\(key).prepend_scheme", value: "\"\(name)\"", accepted: "always, first, never")
                }
                prepending = scheme
            }
            preTokenizer.metaspace = Metaspace(
                sign: object["replacement"]?.string ?? "\u{2581}", prepending: prepending,
                splits: try object.flag("split", in: key) ?? true)
        default:
            throw .unsupported(
                key: key, value: describe(value), accepted: "null or Metaspace with a vocabulary of characters")
        }
    }

    /// How tokens become text: bytes by their names, or a visible space and fallback bytes.
    mutating func readDecoder(_ value: JSONValue) throws(TokenizerError) {
        let key = "decoder"
        guard vocabulary != nil else {
            guard try stepType(value, key: key) == "ByteLevel" else {
                throw .unsupported(key: key, value: describe(value), accepted: "ByteLevel")
            }
            return
        }
        var steps = [value]
        if try stepType(value, key: key) == "Sequence" { steps = value.object?["decoders"]?.array ?? [] }
        for step in steps {
            switch try stepType(step, key: key) {
            case "Replace":
                let (pattern, content) = try replacement(step, in: key)
                guard content == " " else {
                    throw .unsupported(key: key, value: "Replace by \"\(content)\"", accepted: "a space")
                }
                spaceSign = pattern
            case "Metaspace":
                spaceSign = step.object?["replacement"]?.string ?? "\u{2581}"
                let scheme = step.object?["prepend_scheme"]?.string ?? "always"
                stripsFirstSpace = scheme != "never"
            case "ByteFallback", "Fuse": break
            case "Strip":
                let object = step.object
                guard object?["content"]?.string == " ", object?["start"]?.integer == 1, object?["stop"]?.integer == 0
                else { throw .unsupported(key: key, value: "Strip", accepted: "one space at the start") }
                stripsFirstSpace = true
            default:
                throw .unsupported(
                    key: key, value: describe(step),
                    accepted: "Metaspace, or a Sequence of Replace, ByteFallback, Fuse and Strip")
            }
        }
    }

    // MARK: - Parts

    private func text(_ value: JSONValue, _ name: String, in key: String) throws(TokenizerError) -> String {
        guard let text = value.object?[name]?.string else {
            throw .malformed(key: "\(key).\(name)", reason: "expected a string")
        }
        return text
    }

    private func replacement(
        _ value: JSONValue, in key: String
    ) throws(TokenizerError) -> (pattern: String, content: String) {
        guard let pattern = value.object?["pattern"]?.object?["String"]?.string, !pattern.isEmpty else {
            throw .unsupported(key: "\(key).pattern", value: "an expression", accepted: "a String that is not empty")
        }
        return (pattern, try text(value, "content", in: key))
    }
}
