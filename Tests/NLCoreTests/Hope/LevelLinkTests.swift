import Foundation
import NLCore
import Testing

/// What a level's entry in `cms_levels` says of its link.
@Suite struct LevelLinkTests {
    private func configuration(_ level: String, _ further: String = "") throws -> HopeConfiguration {
        let text = """
            {"model_type": "hope", "vocab_size": 40, "hidden_size": 12, "num_hidden_layers": 2,
             "num_attention_heads": 2, \(further) "cms_levels": [{"name": "fast", "chunk_size": 8, \(level)}]}
            """
        let read = try JSONDecoder().decode(HopeConfiguration.self, from: Data(text.utf8))
        try read.validate()
        return read
    }

    @Test func aLinkIsAsWideAsSaidAndHasAGateWhereAsked() throws {
        for (level, hidden, hasGate) in [
            (#""hidden_multiple": 2"#, 24, false), (#""hidden_multiple": 2, "gated": true"#, 24, true),
            (#""intermediate_size": 7, "gated": true"#, 7, true), (#""intermediate_size": 30"#, 30, false),
        ] {
            let read = try configuration(level)
            var shapes: [String: Shape] = [:]
            _ = HopeParameters<Void>(read) { name, shape in shapes[name] = shape }
            let link = "blocks.1.levels.0"
            #expect(shapes["\(link).up"] == [hidden, 12] && shapes["\(link).down"] == [12, hidden])
            #expect(shapes["\(link).gate"] == (hasGate ? [hidden, 12] : nil))
            #expect(read.levels[0].linkWeights(ofModel: 12) == (hasGate ? 3 : 2) * hidden * 12)
            let again = try JSONDecoder().decode(HopeConfiguration.self, from: JSONEncoder().encode(read))
            #expect(again == read)
        }
    }

    @Test(arguments: [
        (#""hidden_multiple": 2, "intermediate_size": 24"#, "", "both"),
        (#""intermediate_size": 0"#, "", "1 to 262144"),
        (#""gated": true"#, "", "gives no width"),
        (
            #""gated": true"#,
            #""mixer": "attention", "intermediate_size": 24, "cms_layers": ["base", "fast"],"#, "gated MLPs of its own"
        ),
    ])
    func halfALinkIsRefused(level: String, further: String, reason: String) throws {
        let error = try #require(throws: ConfigurationError.self) { try configuration(level, further) }
        #expect(error.key == "cms_levels" && error.message.contains(reason), "\(error)")
    }
}
