import Foundation

@testable import NLCore

/// A safetensors file of one bfloat16 tensor, written by hand so that its bytes begin where a test wants them.
enum BFloat16File {
    static func write(_ values: [Float], shape: [Int], padding: Int) throws -> (SafetensorsFile, URL) {
        let size = 2 * values.count
        var header = #"{"w":{"dtype":"BF16","shape":\#(shape),"data_offsets":[0,\#(size)]}}"#
        header += String(repeating: " ", count: (4 - header.utf8.count % 4) % 4 + padding)
        var data = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
        data.append(contentsOf: header.utf8)
        for value in values { withUnsafeBytes(of: bfloat16Bits(value).littleEndian) { data.append(contentsOf: $0) } }
        let url = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).safetensors")
        try data.write(to: url)
        return (try SafetensorsFile(contentsOf: url), url)
    }

    static func remove(_ url: URL) { try? FileManager.default.removeItem(at: url) }
}
