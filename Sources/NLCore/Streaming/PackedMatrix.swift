internal import CKernels

/// A weight matrix held in fewer bits than it is multiplied in: laid out in strips as the kernel reads them
/// (`packed_body.h`), expanded in registers, summed in `Float`.
///
/// `@unchecked Sendable`: written only by its initialiser.
final class PackedMatrix: @unchecked Sendable {
    /// Length of a row that goes in, and of one that comes out.
    let inputs: Int
    let outputs: Int
    /// bf16, bf16-both or int8.
    let form: WeightPrecision.Form
    private let held: nl_weights
    private let instructions: InstructionSet
    private let strips: UnsafeMutableRawPointer
    /// One for each output of an int8 matrix.
    private let scales: [Float]

    /// Outputs of a strip. A part of a product begins at one of its multiples.
    private var width: Int { nl_strip_outputs(instructions.isa) }
    private var stripBytes: Int { nl_strip_bytes(instructions.isa, held, inputs) }

    /// What it takes.
    var byteCount: Int { (outputs + width - 1) / width * stripBytes + scales.count * MemoryLayout<Float>.size }

    /// Lays out a matrix from its rows by output, in parts one below the other.
    ///
    /// - Parameters:
    ///   - parts: `[out, in]` each. Those held in a file in bfloat16 are read from there.
    ///   - form: bf16 or bf16-both, rounded to nearest, ties to even; or int8.
    init(_ parts: [Tensor<Float>], _ form: WeightPrecision.Form, on instructions: InstructionSet = .best) {
        let inputs = parts[0].shape[1]
        let outputs = parts.reduce(0) { $0 + $1.shape[0] }
        let width = nl_strip_outputs(instructions.isa)
        let held: nl_weights = form == .int8 ? .int8 : .bfloat16
        let stripBytes = nl_strip_bytes(instructions.isa, held, inputs)
        let count = (outputs + width - 1) / width
        let strips = BufferPool.take(bytes: count * stripBytes)
        var scales = [Float](repeating: 0, count: form == .int8 ? outputs : 0)
        let sources = parts.map(WeightRows.init)
        scales.withUnsafeMutableBufferPointer { scales in
            let scales = SendableBuffer(scales)
            inParallel(count) { strip in
                let first = strip * width
                let last = min(first + width, outputs)
                var rows = [UnsafeRawPointer?](repeating: nil, count: width)
                let scratch = Tensor<Float>(uninitialized: [width, (inputs + 1) / 2])
                let widened = Tensor<Float>(uninitialized: [form == .int8 ? inputs : 0])
                let bytesPerRow = (inputs + 1) / 2 * MemoryLayout<Float>.size
                for output in first..<last {
                    let (source, row) = Self.find(output, sources)
                    let room = UnsafeMutableRawPointer(scratch.pointer) + (output - first) * bytesPerRow
                    switch held {
                    case .bfloat16: rows[output - first] = source.bfloat16(row, room)
                    case .int8:
                        let quantized = room.assumingMemoryBound(to: Int8.self)
                        scales.base[output] = nl_quantize(
                            instructions.isa, inputs, source.floats(row, widened.pointer), quantized)
                        rows[output - first] = UnsafeRawPointer(quantized)
                    }
                }
                rows.withUnsafeBufferPointer {
                    nl_pack_strip(instructions.isa, held, inputs, $0.baseAddress!, strips + strip * stripBytes)
                }
            }
        }
        (self.inputs, self.outputs, self.form, self.instructions) = (inputs, outputs, form, instructions)
        (self.held, self.strips, self.scales) = (held, strips, scales)
    }

    deinit {
        BufferPool.giveBack(strips, bytes: (outputs + width - 1) / width * stripBytes)
    }

    private static func find(_ output: Int, _ sources: [WeightRows]) -> (WeightRows, Int) {
        var row = output
        for source in sources {
            if row < source.count { return (source, row) }
            row -= source.count
        }
        preconditionFailure("output \(output) is of no part")
    }

    /// y ← W x (+ y) for some outputs from `first` on, a multiple of 128.
    ///
    /// - Parameters:
    ///   - x: `[rows, inputs]`.
    ///   - y: of the first row and output, `outputs` apart from row to row.
    func multiply(
        _ rows: Int, outputs count: Int, from first: Int, _ x: UnsafePointer<Float>,
        into y: UnsafeMutablePointer<Float>,
        accumulate: Bool
    ) {
        scales.withUnsafeBufferPointer { scales in
            nl_packed_product(
                instructions.isa, held, rows, count, inputs, x, inputs, strips + first / width * stripBytes,
                scales.isEmpty ? nil : scales.baseAddress! + first, y, outputs, accumulate)
        }
    }

    /// The inputs of ``multiply(rounded:from:_:outputs:from:into:accumulate:)``: rounded to bfloat16, to nearest, ties to even.
    struct RoundedInputs: Sendable {
        fileprivate let rows: Tensor<Float>
        fileprivate let rowBytes: Int

        fileprivate func row(_ number: Int) -> UnsafeMutableRawPointer {
            UnsafeMutableRawPointer(rows.pointer) + number * rowBytes
        }
    }

    /// Rounds inputs, once for all outputs.
    ///
    /// - Parameter x: `[rows, inputs]`.
    func round(_ rows: Int, _ x: UnsafePointer<Float>) -> RoundedInputs {
        let bytes = nl_rounded_bytes(instructions.isa, inputs)
        let scalar = MemoryLayout<Float>.size
        let rounded = RoundedInputs(
            rows: Tensor(uninitialized: [(rows * bytes + scalar - 1) / scalar]), rowBytes: bytes)
        let (instructions, inputs) = (instructions, inputs)
        let x = SendablePointer(x)
        rowBlocks(rows, inputs) { start, count in
            nl_round_inputs(
                instructions.isa, count, inputs, x.base + start * inputs, inputs, rounded.row(start))
        }
        return rounded
    }

    /// y ← W x (+ y) as ``multiply(_:outputs:from:_:into:accumulate:)``, with inputs that were rounded too.
    ///
    /// - Parameters:
    ///   - row: the first of the rounded rows.
    ///   - y: of that row and the first output.
    func multiply(
        rounded x: RoundedInputs, from row: Int, _ rows: Int, outputs count: Int, from first: Int,
        into y: UnsafeMutablePointer<Float>, accumulate: Bool
    ) {
        nl_rounded_product(
            instructions.isa, rows, count, inputs, x.row(row), strips + first / width * stripBytes, y, outputs,
            accumulate)
    }

    /// The weights of one output as the product takes them: a row of the matrix, `[inputs]`.
    func copyRow(_ output: Int, to y: UnsafeMutablePointer<Float>) {
        nl_unpack_output(
            instructions.isa, held, inputs, strips + output / width * stripBytes, output % width,
            scales.isEmpty ? 1 : scales[output], y)
    }
}

/// A tensor's rows as they are laid out: from the file, if they wait there in the form that is wanted.
private struct WeightRows {
    let count: Int
    private let width: Int
    private let stored: UnsafeRawPointer?
    private let tensor: Tensor<Float>

    init(_ tensor: Tensor<Float>) {
        self.tensor = tensor
        (count, width) = (tensor.shape[0], tensor.shape[1])
        stored = tensor.storage.deferred?.bfloat16
    }

    /// Where the row's floats are: in the tensor, or widened from the file's into `room`.
    func floats(_ row: Int, _ room: UnsafeMutablePointer<Float>) -> UnsafePointer<Float> {
        guard let stored else { return UnsafePointer(tensor.pointer + row * width) }
        let bytes = stored + row * width * MemoryLayout<UInt16>.size
        for index in 0..<width {
            room[index] = float(bfloat16Bits: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self))
        }
        return UnsafePointer(room)
    }

    /// Where the row's bfloat16s are: in the file, or rounded into `room`.
    func bfloat16(_ row: Int, _ room: UnsafeMutableRawPointer) -> UnsafeRawPointer {
        if let stored { return stored + row * width * MemoryLayout<UInt16>.size }
        let rounded = room.assumingMemoryBound(to: UInt16.self)
        BFloat16.round(width, tensor.pointer + row * width, rounded)
        return UnsafeRawPointer(rounded)
    }
}

/// Memory that the parts of a section only read.
private struct SendablePointer: @unchecked Sendable {
    let base: UnsafePointer<Float>

    init(_ base: UnsafePointer<Float>) { self.base = base }
}

/// Memory that the parts of a section write apart from one another.
private struct SendableBuffer: @unchecked Sendable {
    let base: UnsafeMutablePointer<Float>

    init(_ buffer: UnsafeMutableBufferPointer<Float>) {
        base = buffer.baseAddress ?? UnsafeMutablePointer(bitPattern: MemoryLayout<Float>.alignment)!
    }
}
