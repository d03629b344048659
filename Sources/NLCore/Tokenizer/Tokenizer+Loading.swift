public import struct Foundation.Data
public import struct Foundation.URL

extension Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// - Throws: ``TokenizerError`` if the file cannot be read, is damaged, or asks for what is not supported.
    public convenience init(contentsOf url: URL) throws(TokenizerError) {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FileMapping(path: url.path).withBytes(Array.init)
        } catch {
            throw .unreadable(path: url.path, reason: "\(error.operation) failed: \(systemErrorMessage(error.code))")
        }
        try self.init(TokenizerFile(json: bytes))
    }

    /// Reads the content of a `tokenizer.json`.
    ///
    /// - Throws: ``TokenizerError`` if it is damaged or asks for what is not supported.
    public convenience init(json: Data) throws(TokenizerError) {
        try self.init(TokenizerFile(json: Array(json)))
    }
}
