import NIOCore

/// Cuts a stream of bytes into lines, with bounded memory: a line over the limit is told, not kept.
struct LineSplitter {
    enum Line: Equatable {
        case text(ByteBuffer)
        /// Longer than `limit`; its bytes are gone.
        case tooLong
    }

    /// Longest line in bytes, its line break not counted.
    let limit: Int
    /// Lines seen so far, blank ones included: the number of the line returned last.
    private(set) var lineNumber = 0
    private var input = ByteBuffer()
    /// How much of `input` holds no line break: not searched again.
    private var searched = 0
    private var isSkipping = false

    /// Bytes held of lines that have not ended.
    var bufferedBytes: Int { input.readableBytes }

    init(limit: Int) {
        self.limit = limit
    }

    mutating func append(_ bytes: ByteBuffer) {
        input.discardReadBytes()
        input.writeImmutableBuffer(bytes)
    }

    /// The next whole line, without LF or CR LF; blank lines are counted and passed over.
    mutating func next() -> Line? {
        while let length = lengthToBreak() {
            guard var line = input.readSlice(length: length) else { return nil }
            input.moveReaderIndex(forwardBy: 1)
            searched = 0
            if let line = finish(&line) { return line }
        }
        // No line break in sight: what is already too long need not be kept.
        if input.readableBytes > limit + 1 {  // + 1: it may end in the CR of a CR LF
            isSkipping = true
            input.clear()
            searched = 0
        }
        return nil
    }

    /// What follows the last line break when the stream has ended.
    mutating func last() -> Line? {
        guard input.readableBytes > 0 || isSkipping else { return nil }
        var line = input
        input.clear()
        return finish(&line)
    }

    private mutating func lengthToBreak() -> Int? {
        let view = input.readableBytesView.dropFirst(searched)
        guard let index = view.firstIndex(of: UInt8(ascii: "\n")) else {
            searched = input.readableBytes
            return nil
        }
        return index - input.readerIndex
    }

    /// `nil` for a blank line.
    private mutating func finish(_ line: inout ByteBuffer) -> Line? {
        lineNumber += 1
        defer { isSkipping = false }
        if isSkipping { return .tooLong }
        if line.readableBytesView.last == UInt8(ascii: "\r") {
            line.moveWriterIndex(to: line.writerIndex - 1)
        }
        if line.readableBytes > limit { return .tooLong }
        let isBlank = line.readableBytesView.allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        return isBlank ? nil : .text(line)
    }
}
