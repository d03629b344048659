import Foundation
import NLCore
import Testing

@testable import NLServer

/// What a run leaves for the server, its log and its figures.
@Suite(.timeLimit(.minutes(10))) struct ModelOutputTests {
    @Test func theOutputIsAModelDirectoryWithTheFactsOfItsTraining() throws {
        let folder = try TemporaryFolder()
        let data = try folder.write("text.jsonl", PretrainingFixture.jsonLines(60))
        let heldOut = try folder.write("held out.txt", "the old mill runs under stone bridges.")
        let output = folder.path("model")
        let log = folder.path("log.jsonl")
        try PretrainingFixture.run(
            PretrainingFixture.arguments(
                data: data, output: output,
                ["--held-out", heldOut, "--held-out-every", "5", "--log", log, "--keep", "3"]))

        let model = URL(filePath: output, directoryHint: .isDirectory)
        let configuration = try JSONDecoder().decode(
            HopeConfiguration.self, from: Data(contentsOf: model.appending(path: "config.json")))
        try configuration.validate()
        let tokenizer = try Tokenizer(contentsOf: model.appending(path: "tokenizer.json"))
        #expect(tokenizer.vocabularySize == configuration.vocabularySize)
        #expect(tokenizer.id(of: "<|bos|>") == configuration.bosTokenID)
        #expect(tokenizer.id(of: "<|eos|>") == configuration.eosTokenID)
        let file = try SafetensorsFile(contentsOf: model.appending(path: "model.safetensors"))
        #expect(file.names == ParameterSet<Float>.initial(configuration, seed: 1).names)
        #expect(file.tensors.allSatisfy { $0.dataType == .bfloat16 })

        let checkpoint = try PretrainingFixture.newestCheckpoint(output)
        #expect(file.metadata["tokens"] == "\(12 * 4 * 24)" && file.metadata["step"] == "12")
        #expect(file.metadata["held_out_bits_per_byte"].flatMap { Double($0) } == checkpoint.progress.heldOut)
        #expect(file.metadata["training_loss"].flatMap { Double($0) } == checkpoint.progress.loss)
        let checkpoints = CheckpointDirectory(url: model.appending(path: "checkpoints"), keep: 3)
        #expect(try checkpoints.steps() == [6, 9, 12])

        let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").map { line in
            try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        }
        #expect(lines.count == 12)
        #expect(lines.map { $0?["step"] as? Int } == (1...12).map { $0 })
        let measured = lines.filter { $0?["held_out_bits_per_byte"] != nil }.map { $0?["step"] as? Int }
        #expect(measured == [5, 10, 12])
    }

    /// Bits per byte by hand: the model of uniform logits gives log2(V) bits a token.
    @Test func bitsPerByteCountsTextBytesOnly() throws {
        let folder = try TemporaryFolder()
        var trainer = try BPETrainer(vocabularySize: 258, specialTokens: ["<|bos|>", "<|eos|>"])
        trainer.add("abc")
        let file = folder.url.appending(path: "tokenizer.json")
        try trainer.train().write(to: file)
        let prepared = try PreparedTokenizer(contentsOf: file, bos: "<|bos|>", eos: "<|eos|>")
        let text = try folder.write("held.jsonl", "{\"text\": \"h\\u00e9llo\"}\n{\"text\": \"a longer one\"}\n")
        let heldOut = try HeldOutText(path: text, tokenizer: prepared.tokenizer, bos: prepared.bos, tokens: 10)
        // One token a byte; "héllo" has 6, and 4 of the second document are left in the budget.
        #expect(heldOut.bytes == 10 && heldOut.documents.map(\.count) == [7, 5])
        let configuration = HopeConfiguration(
            vocabularySize: prepared.tokenizer.vocabularySize, width: 8, layers: 1, heads: 1, levels: [])
        let parameters = ParameterSet<Float>.initial(configuration, seed: 1)
        parameters.scale(by: 0)
        #expect(abs(heldOut.bitsPerByte(parameters, configuration) - log2(258)) < 1e-5)
    }

    @Test func theCommandIsKeptWithoutFolders() {
        let command = PretrainCommand.commandLine([
            "/opt/bin/nlserver", "pretrain", "--data", "/data/a b.txt", "../x.jsonl",
        ])
        #expect(command == "nlserver pretrain --data 'a b.txt' x.jsonl")
    }
}
