import COpenSSL
public import Foundation

/// A SHA-256 digest: the name of a chunk, a state, a document, a model file.
public struct SHA256Digest: Sendable, Hashable, CustomStringConvertible {
    /// Length of a digest in bytes.
    public static let byteCount = 32

    // Four words instead of an array: digests are set members and dictionary keys, and need no allocation.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// The digest of bytes in memory.
    public init(of buffer: UnsafeRawBufferPointer) {
        var hasher = SHA256Hasher()
        hasher.update(buffer)
        self = hasher.finalize()
    }

    /// The digest of `data`.
    public init(of data: Data) {
        self = data.withUnsafeBytes { SHA256Digest(of: $0) }
    }

    /// The digest of the UTF-8 bytes of `text`.
    public init(of text: String) {
        var text = text
        self = text.withUTF8 { SHA256Digest(of: UnsafeRawBufferPointer($0)) }
    }

    /// A digest read back from its 32 bytes; nil for any other length.
    public init?(bytes: Data) {
        guard bytes.count == Self.byteCount else { return nil }
        self = bytes.withUnsafeBytes { SHA256Digest(loading: $0) }
    }

    /// A digest read back from 64 hexadecimal digits; nil for anything else.
    public init?(hex: String) {
        let digits = Array(hex.utf8)
        guard digits.count == 2 * Self.byteCount else { return nil }
        var bytes = [UInt8]()
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.value(ofDigit: digits[index]), let low = Self.value(ofDigit: digits[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        self = bytes.withUnsafeBytes { SHA256Digest(loading: $0) }
    }

    init(loading buffer: UnsafeRawBufferPointer) {
        precondition(buffer.count == Self.byteCount, "a SHA-256 digest has 32 bytes, got \(buffer.count)")
        func word(_ index: Int) -> UInt64 {
            UInt64(bigEndian: buffer.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        words = (word(0), word(1), word(2), word(3))
    }

    /// The 32 bytes, most significant first.
    public var data: Data {
        var data = Data(capacity: Self.byteCount)
        for word in [words.0, words.1, words.2, words.3] {
            withUnsafeBytes(of: word.bigEndian) { data.append(contentsOf: $0) }
        }
        return data
    }

    /// 64 lowercase hexadecimal digits.
    public var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: data.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Same as ``hex``.
    public var description: String { hex }

    /// Whether two digests are the same 32 bytes.
    public static func == (a: SHA256Digest, b: SHA256Digest) -> Bool { a.words == b.words }

    /// Hashes the digest's words.
    public func hash(into hasher: inout Hasher) {
        // A digest is already uniformly distributed: one word of it is enough.
        hasher.combine(words.0)
    }

    private static func value(ofDigit digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

/// SHA-256 over a stream of bytes, by the system's libcrypto; the only file that imports it.
public struct SHA256Hasher: ~Copyable {
    private let context: OpaquePointer

    /// Starts an empty digest.
    ///
    /// - Precondition: libcrypto offers SHA-256 (``requireAvailable()``), and there is memory for it.
    public init() {
        guard let context = Self.begin() else { fatalError("\(SHA256Unavailable())") }
        self.context = context
    }

    /// Tries libcrypto out: which algorithms it offers is a matter of its configuration.
    ///
    /// - Throws: ``SHA256Unavailable``.
    public static func requireAvailable() throws(SHA256Unavailable) {
        guard let context = begin() else { throw SHA256Unavailable() }
        EVP_MD_CTX_free(context)
    }

    private static func begin() -> OpaquePointer? {
        guard let context = EVP_MD_CTX_new() else { return nil }
        if EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 { return context }
        EVP_MD_CTX_free(context)
        return nil
    }

    /// Adds bytes.
    public mutating func update(_ buffer: UnsafeRawBufferPointer) {
        let status = EVP_DigestUpdate(context, buffer.baseAddress, buffer.count)
        precondition(status == 1, "EVP_DigestUpdate failed")
    }

    /// Ends the stream.
    public consuming func finalize() -> SHA256Digest {
        withUnsafeTemporaryAllocation(byteCount: SHA256Digest.byteCount, alignment: 8) { bytes in
            var length = UInt32(0)
            let status = EVP_DigestFinal_ex(context, bytes.baseAddress, &length)
            precondition(status == 1 && length == 32, "EVP_DigestFinal_ex failed")
            return SHA256Digest(loading: UnsafeRawBufferPointer(bytes))
        }
    }

    deinit { EVP_MD_CTX_free(context) }
}

/// libcrypto computes no SHA-256.
public struct SHA256Unavailable: Error, Sendable, CustomStringConvertible {
    /// What is wrong and what to do.
    public var description: String {
        "libcrypto offers no SHA-256: see whether OPENSSL_CONF, or the system's openssl.cnf, activates a provider that "
            + "has it (default or fips), and whether the process is out of memory"
    }
}
