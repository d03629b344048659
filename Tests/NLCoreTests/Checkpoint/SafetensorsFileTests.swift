import Foundation
import Testing

@testable import NLCore

/// Would catch a wrong conversion, and a damaged or hostile file being read as if it were whole.
@Suite struct SafetensorsFileTests {
    /// Written by the Python library:
    ///
    ///     save({"weight": tensor([[1.5, -2, 3.25]]), "half": tensor([0.1, 65504, 6e-8], dtype=float16),
    ///           "brain": tensor([0.1, -3e38], dtype=bfloat16), "double": tensor(1/3, dtype=float64),
    ///           "steps": tensor([-1, 2**62]), "empty": zeros(0, 4)}, {"format": "pt"})
    private static let fromPython =
        "iAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJzdGVwcyI6eyJkdHlwZSI6Ikk2NCIsInNoYXBlIjpbMl0sImRhdGFfb2Zm"
        + "c2V0cyI6WzAsMTZdfSwiZG91YmxlIjp7ImR0eXBlIjoiRjY0Iiwic2hhcGUiOltdLCJkYXRhX29mZnNldHMiOlsxNiwyNF19LCJlbXB0eSI6"
        + "eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMCw0XSwiZGF0YV9vZmZzZXRzIjpbMjQsMjRdfSwid2VpZ2h0Ijp7ImR0eXBlIjoiRjMyIiwic2hh"
        + "cGUiOlsxLDNdLCJkYXRhX29mZnNldHMiOlsyNCwzNl19LCJicmFpbiI6eyJkdHlwZSI6IkJGMTYiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNl"
        + "dHMiOlszNiw0MF19LCJoYWxmIjp7ImR0eXBlIjoiRjE2Iiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbNDAsNDZdfX0gIP//////////"
        + "AAAAAAAAAEBVVVVVVVXVPwAAwD8AAADAAABQQM09Yv9mLv97AQA="

    private func pythonBytes() throws -> [UInt8] { Array(try #require(Data(base64Encoded: Self.fromPython))) }

    @Test func readsWhatThePythonLibraryWrote() throws {
        let file = try SafetensorsFile(bytes: pythonBytes())
        #expect(file.metadata == ["format": "pt"])
        #expect(file.names == ["steps", "double", "empty", "weight", "brain", "half"])
        #expect(file.tensor(named: "weight")?.shape == [1, 3])
        #expect(file.tensor(named: "weight")?.dataType == .float32)
        #expect(file.tensor(named: "double")?.shape == [])
        #expect(try file.floats(named: "weight") == [1.5, -2, 3.25])
        #expect(try file.floats(named: "half") == [0.0999755859375, 65504, 5.960464477539063e-08])
        #expect(try file.floats(named: "brain") == [0.10009765625, -3.00405527047391e+38])
        #expect(try file.floats(named: "empty") == [])
        #expect(try file.floats(named: "double") == [Float(1.0 / 3)])
        #expect(try file.doubles(named: "double") == [1.0 / 3])
        #expect(try file.doubles(named: "half")[0] == 0.0999755859375)
        #expect(try file.integers(named: "steps") == [-1, 1 << 62])
    }

    @Test func wrongRequestsAreErrors() throws {
        let file = try SafetensorsFile(bytes: pythonBytes())
        #expect(throws: SafetensorsError(source: "memory", tensor: "wieght", reason: .missingTensor)) {
            try file.floats(named: "wieght")
        }
        #expect(throws: SafetensorsError.self) { try file.floats(named: "steps") }
        #expect(throws: SafetensorsError.self) { try file.doubles(named: "steps") }
        #expect(throws: SafetensorsError.self) { try file.integers(named: "weight") }
        var short = [Float](repeating: 0, count: 2)
        #expect(throws: SafetensorsError.self) {
            try short.withUnsafeMutableBufferPointer { try file.read("weight", into: $0) }
        }
        #expect(short == [0, 0])
    }

    @Test func readsIntoMemoryOfTheCaller() throws {
        let file = try SafetensorsFile(bytes: pythonBytes())
        var values = [Float](repeating: 0, count: 3)
        try values.withUnsafeMutableBufferPointer { try file.read("half", into: $0) }
        #expect(try values == file.floats(named: "half"))
    }

    // MARK: - Damage

    private static func bytes(header: String, data: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init) + Array(header.utf8)
            + [UInt8](repeating: 0, count: data)
    }

    private static let big = "4611686018427387904"

    /// Header, bytes of data, what the message must name.
    private static let hostile: [(String, Int, String)] = [
        (#"[1]"#, 0, "begin with '{'"),
        (#" {}"#, 0, "begin with '{'"),
        (#"{"a""#, 0, "invalid JSON"),
        (#"{"a":1}"#, 0, "not an object"),
        (#"{"__metadata__":[]}"#, 0, "__metadata__ is an array"),
        (#"{"__metadata__":{"k":1}}"#, 0, "__metadata__.k is a number"),
        (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, 4, "\"dtype\""),
        (#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, 4, "\"F31\" is not known"),
        (#"{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}"#, 4, "\"shape\""),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "\"shape\""),
        (#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, 4, "\"shape\""),
        (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, 4, "\"shape\""),
        (#"{"a":{"dtype":"F32","shape":[\#(big)],"data_offsets":[0,4]}}"#, 4, "overflows"),
        (#"{"a":{"dtype":"U8","shape":[\#(big),4],"data_offsets":[0,0]}}"#, 0, "overflows"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "\"data_offsets\""),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "\"data_offsets\""),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "\"data_offsets\""),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "needs 8 bytes, its offsets hold 4"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, "beyond the 4 bytes"),
        (#"{"a":{"dtype":"U8","shape":[\#(big)],"data_offsets":[0,\#(big)]}}"#, 4, "beyond the 4 bytes"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "hole after 0"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5, "belongs to none"),
        (#"{}"#, 1, "belongs to none"),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
            6, "overlap"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            4, "overlap"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8, "repeated"
        ),
        (
            #"{"\u00e9":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"e\u0301":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
            2, "two tensors"
        ),
    ]

    @Test(arguments: hostile)
    func damagedHeadersAreErrorsThatSayWhat(header: String, data: Int, named: String) {
        let error = #expect(throws: SafetensorsError.self) {
            try SafetensorsFile(bytes: Self.bytes(header: header, data: data))
        }
        #expect(error?.description.contains(named) == true, "\(String(describing: error))")
    }

    @Test(arguments: [0, 1, 391, 392, UInt64(100_000_001), 1 << 63, .max])
    func wrongHeaderLengthsAreErrors(length: UInt64) throws {
        var bytes = try pythonBytes()
        bytes.replaceSubrange(0..<8, with: withUnsafeBytes(of: length.littleEndian, Array.init))
        guard length != 392 else { return _ = try SafetensorsFile(bytes: bytes) }
        let error = #expect(throws: SafetensorsError.self) { try SafetensorsFile(bytes: bytes) }
        // A length no file may claim is named as such, whatever the length of the file.
        if length > 100_000_000 { #expect(error?.description.contains("claims") == true) }
    }

    /// Every prefix of a file is damaged, and none may trap.
    @Test func everyTruncationIsAnError() throws {
        let bytes = try pythonBytes()
        for count in 0..<bytes.count {
            #expect(throws: SafetensorsError.self) { try SafetensorsFile(bytes: Array(bytes.prefix(count))) }
        }
    }

    /// Any one changed byte of the header is refused or harmless: reading what was accepted never traps.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func randomDamageNeverTraps(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let whole = try pythonBytes()
        for _ in 0..<200 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                bytes[Int.random(in: 0..<400, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            guard let file = try? SafetensorsFile(bytes: bytes) else { continue }
            for tensor in file.tensors {
                #expect(tensor.byteRange.upperBound <= bytes.count - 8)
                if let floats = try? file.floats(named: tensor.name) { #expect(floats.count == tensor.count) }
                if let integers = try? file.integers(named: tensor.name) { #expect(integers.count == tensor.count) }
            }
        }
    }

    @Test func filesThatCannotBeOpenedAreNamed() throws {
        let directory = FileManager.default.temporaryDirectory
        let absent = directory.appending(path: "no-such-file.safetensors")
        let error = #expect(throws: SafetensorsError.self) { try SafetensorsFile(contentsOf: absent) }
        #expect(error?.description.contains("no-such-file.safetensors") == true)
        #expect(error?.reason == .system(operation: "open", code: ENOENT))
        #expect(throws: SafetensorsError.self) { try SafetensorsFile(contentsOf: directory) }

        let empty = directory.appending(path: "empty-\(UUID()).safetensors")
        try Data().write(to: empty)
        defer { try? FileManager.default.removeItem(at: empty) }
        #expect(throws: SafetensorsError.self) { try SafetensorsFile(contentsOf: empty) }
    }
}
