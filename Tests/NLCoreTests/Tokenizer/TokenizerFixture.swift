import Foundation
import NLCore
import Testing

/// What `Tests/Fixtures/Reference/tokenizer_golden.py` wrote.
enum TokenizerFixture: String, CaseIterable, Sendable {
    /// A plain byte-level vocabulary.
    case plain
    /// The same with NFC, a prefix space, a template, and added tokens with every flag.
    case added

    struct Case: Decodable, Sendable {
        let text: String
        let pieceLengths: [Int]
        let ids: [Int]
        let framedIDs: [Int]
        let unparsedIDs: [Int]
        let decoded: String
        let decodedWithoutSpecial: String
    }

    struct Broken: Decodable, Sendable {
        let ids: [Int]
        let decoded: String
    }

    private struct Golden: Decodable {
        let cases: [Case]
        let broken: [Broken]
    }

    static let directory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().appending(path: "../../Fixtures/Tokenizer").standardizedFileURL

    var url: URL { Self.directory.appending(path: "\(rawValue).json") }

    func tokenizer() throws -> Tokenizer { try Tokenizer(contentsOf: url) }

    func cases() throws -> [Case] { try golden().cases }

    func broken() throws -> [Broken] { try golden().broken }

    private func golden() throws -> Golden {
        let data = try Data(contentsOf: Self.directory.appending(path: "golden.json"))
        return try #require(JSONDecoder().decode([String: Golden].self, from: data)[rawValue])
    }
}

/// A seeded generator (SplitMix64), so that a failing case comes again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Text from the corners of Unicode: runs of one kind, mixed with single characters from anywhere.
func oddText(_ generator: inout SeededGenerator, runs: Int = 12) -> String {
    let pools: [[Unicode.Scalar]] = [
        "abcdefg lighthouse WAVE 'stmdrevl", "0123456789\u{B2}\u{BD}\u{2163}\u{663}",
        " \t\n\r\u{A0}\u{3000}\u{85}\u{2028}\u{B}\u{1C}", "e\u{301}a\u{308}\u{323}o\u{302}\u{200D}\u{FE0F}",
        "\u{706F}\u{53F0}\u{306E}\u{D55C}", "\u{645}\u{631}\u{62D}\u{5D0}\u{928}\u{94D}",
        "\u{1F30A}\u{1F469}\u{200D}\u{1F1FA}\u{1F1F8}", "!?.,;<|>bos()[]{}\"\\#",
        "\u{378}\u{10FFFF}\u{E000}\u{E0001}\u{0}",
    ].map { (text: String) in Array(text.unicodeScalars) }
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...runs, using: &generator) {
        if Int.random(in: 0..<5, using: &generator) == 0 {
            let value = UInt32.random(in: 0...0x10FFFF, using: &generator)
            if let scalar = Unicode.Scalar(value) { text.append(scalar) }
        } else {
            let pool = pools[Int.random(in: 0..<pools.count, using: &generator)]
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                text.append(pool[Int.random(in: 0..<pool.count, using: &generator)])
            }
        }
    }
    return String(text)
}
