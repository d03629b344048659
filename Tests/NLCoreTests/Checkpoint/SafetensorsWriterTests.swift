import Foundation
import Testing

@testable import NLCore

/// Would catch a value, a name or a shape lost on the way to disk, and a half-written file under the real name.
@Suite struct SafetensorsWriterTests {
    private func withDirectory(_ body: (URL) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "safetensors-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try body(directory)
    }

    private func writer(seed: UInt64 = 1) throws -> (writer: SafetensorsWriter, weights: [Float]) {
        var generator = SeededGenerator(seed: seed)
        let weights = (0..<21).map { _ in Float.random(in: -3...3, using: &generator) }
        var writer = SafetensorsWriter(metadata: ["b": "quote \" and \n", "a": "\u{1F30A}"])
        try writer.add("layer.0/\"odd\" name \u{E9}", shape: [3, 7], floats: weights)
        try writer.add("brain", shape: [7, 3], as: .bfloat16, floats: weights)
        try writer.add("half", shape: [21], as: .float16, floats: weights)
        try writer.add("steps", shape: [], integers: [.min])
        try writer.add("empty", shape: [0], floats: [])
        return (writer, weights)
    }

    private func check(_ file: SafetensorsFile, _ weights: [Float]) throws {
        #expect(file.metadata == ["b": "quote \" and \n", "a": "\u{1F30A}"])
        #expect(file.names == ["layer.0/\"odd\" name \u{E9}", "brain", "half", "steps", "empty"])
        #expect(try file.floats(named: "layer.0/\"odd\" name \u{E9}") == weights)
        #expect(file.tensor(named: "brain")?.shape == [7, 3])
        #expect(try file.floats(named: "brain") == weights.map { float(bfloat16Bits: bfloat16Bits($0)) })
        #expect(try file.floats(named: "half") == weights.map { Float(Float16($0)) })
        #expect(try file.integers(named: "steps") == [.min])
        #expect(try file.floats(named: "empty") == [])
    }

    @Test func whatIsWrittenIsRead() throws {
        let (writer, weights) = try writer()
        try check(SafetensorsFile(bytes: Array(writer.data())), weights)
        try withDirectory { directory in
            let url = directory.appending(path: "model.safetensors")
            try writer.write(to: url)
            try check(SafetensorsFile(contentsOf: url), weights)
            #expect(try Data(contentsOf: url) == writer.data())
        }
    }

    @Test func tensorsLargerThanOnePieceAreWrittenWhole() throws {
        let count = (1 << 18) * 2 + 5
        let weights = (0..<count).map { Float($0 % 1000) }
        var writer = SafetensorsWriter()
        try writer.add("large", shape: [count], floats: weights)
        #expect(try SafetensorsFile(bytes: Array(writer.data())).floats(named: "large") == weights)
    }

    @Test func equalInputGivesEqualBytesAndAlignedData() throws {
        let first = try writer().writer.data()
        #expect(try writer().writer.data() == first)
        let headerLength = first.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(headerLength % 8 == 0)

        // In one process two equal dictionaries may happen to have one order; the order itself is what is promised.
        let keys = (0..<20).map { "key \($0 + 10)" }
        let data = SafetensorsWriter(metadata: Dictionary(uniqueKeysWithValues: keys.map { ($0, "") })).data()
        let header = try JSONValue(parsing: Array(data.dropFirst(8)))
        #expect(header.object?["__metadata__"]?.object?.members.map(\.key) == keys)
    }

    @Test func anEmptyFileIsAFile() throws {
        #expect(try SafetensorsFile(bytes: Array(SafetensorsWriter().data())).tensors.isEmpty)
    }

    @Test func contradictionsAreRefused() throws {
        var writer = SafetensorsWriter()
        try writer.add("a", shape: [2], floats: [1, 2])
        #expect(throws: SafetensorsError.self) { try writer.add("a", shape: [1], floats: [1]) }
        #expect(throws: SafetensorsError.self) { try writer.add("b", shape: [3], floats: [1, 2]) }
        #expect(throws: SafetensorsError.self) { try writer.add("b", shape: [-1, -2], floats: [1, 2]) }
        #expect(throws: SafetensorsError.self) { try writer.add("b", shape: [.max, .max], floats: []) }
        #expect(throws: SafetensorsError.self) { try writer.add("b", shape: [1], as: .int64, floats: [1]) }
        #expect(throws: SafetensorsError.self) { try writer.add("__metadata__", shape: [1], floats: [1]) }
        #expect(try SafetensorsFile(bytes: Array(writer.data())).names == ["a"])
    }

    // MARK: - Replacing

    @Test func aReaderKeepsTheFileItOpened() throws {
        try withDirectory { directory in
            let url = directory.appending(path: "model.safetensors")
            let old = try writer(seed: 1)
            try old.writer.write(to: url)
            let reader = try SafetensorsFile(contentsOf: url)
            let new = try writer(seed: 2)
            try new.writer.write(to: url)
            try check(reader, old.weights)
            try check(SafetensorsFile(contentsOf: url), new.weights)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["model.safetensors"])
        }
    }

    /// A directory stands where the file should go, so that the rename, the last step, fails.
    @Test func aFailedReplacementLeavesNothingBehind() throws {
        try withDirectory { directory in
            let url = directory.appending(path: "model.safetensors")
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            let error = #expect(throws: SafetensorsError.self) { try writer().writer.write(to: url) }
            #expect(error?.reason == .system(operation: "rename to \(url.path)", code: EISDIR))
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["model.safetensors"])
        }
    }

    @Test func aMissingDirectoryIsAnError() {
        let url = FileManager.default.temporaryDirectory.appending(path: "absent-\(UUID())/model.safetensors")
        #expect(throws: SafetensorsError.self) { try SafetensorsWriter().write(to: url) }
    }

    // MARK: - Rounding

    /// Nearest by distance in `Double`, ties to the even one: the definition, next to the bit trick.
    private func nearestBFloat16(_ value: Float) -> Float {
        let lower = UInt16(value.bitPattern >> 16)
        let below = Double(float(bfloat16Bits: lower))
        // Above the largest bfloat16 comes 2^128, which rounds to infinity.
        let next = float(bfloat16Bits: lower + 1)
        let above = next.isFinite ? Double(next) : 0x1p128 * (value < 0 ? -1 : 1)
        let (toBelow, toAbove) = (abs(Double(value) - below), abs(above - Double(value)))
        if toBelow != toAbove { return toBelow < toAbove ? Float(below) : next }
        return lower % 2 == 0 ? Float(below) : next
    }

    @Test func bfloat16RoundsToNearestEven() {
        var generator = SeededGenerator(seed: 3)
        var values: [Float] = [0, -0, 1, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude]
        values += (0..<20_000).map { _ in Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &generator)) }
        // Exact halves, to even and to odd, and their neighbours.
        for high in UInt32(0x3F80)..<0x3F90 {
            values += [0x7FFF, 0x8000, 0x8001].map { Float(bitPattern: high << 16 | $0) }
        }
        for value in values where value.isFinite {
            #expect(float(bfloat16Bits: bfloat16Bits(value)) == nearestBFloat16(value), "\(value)")
        }
    }

    @Test func bfloat16KeepsInfinitiesAndNaN() {
        #expect(float(bfloat16Bits: bfloat16Bits(.infinity)) == .infinity)
        #expect(float(bfloat16Bits: bfloat16Bits(-.infinity)) == -.infinity)
        #expect(float(bfloat16Bits: bfloat16Bits(.greatestFiniteMagnitude)) == .infinity)
        for pattern: UInt32 in [0x7F80_0001, 0x7FFF_FFFF, 0xFF80_0001, 0x7FC0_0000, 0xFFFF_FFFF] {
            #expect(float(bfloat16Bits: bfloat16Bits(Float(bitPattern: pattern))).isNaN)
        }
    }
}
