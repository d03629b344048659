/// A weight matrix as it is read: transposed, and cut into panels of ``panelWidth`` outputs that lie one after another.
///
/// A token alone is bound by the memory that the weights come through. In a panel they lie in the order in which the
/// product takes them, so reading them is one straight run, and the panels are the parts that threads share. Where fewer
/// bits than a `Float`'s hold the weights, the panels are made of strips (``PackedMatrix``), and less has to be read.
struct PanelMatrix<S: TensorScalar>: Sendable {
    /// Length of a row that goes in, and of one that comes out.
    let inputs: Int
    let outputs: Int
    private let held: Held
    /// What it was laid out from: another matrix of the same tensors is the same matrix.
    let sources: [TensorStorage<S>]

    private enum Held: Sendable {
        /// Wᵀ by panels: `[inputs, panelWidth]` each, the last as narrow as it is.
        case panels(Tensor<S>)
        case packed(PackedMatrix)
    }

    private static var panelWidth: Int { 128 }
    /// Rows that a part has at most: a prompt's products are cut both ways.
    private static var mostRows: Int { 128 }
    /// Weights below which waking another thread costs more than it brings.
    private static var leastShared: Int { 1 << 15 }

    /// A matrix from its rows by output, in parts one below the other: `[out, in]` each, as checkpoints hold them.
    ///
    /// - Parameter form: for `Float`; other scalars are held as they are.
    init(_ parts: [Tensor<S>], _ form: WeightPrecision.Form = .f32) {
        inputs = parts[0].shape[1]
        outputs = parts.reduce(0) { $0 + $1.shape[0] }
        sources = parts.map(\.storage)
        if form != .f32, let parts = parts as? [Tensor<Float>] {
            held = .packed(PackedMatrix(parts, form))
        } else {
            held = .panels(Self.panels(parts, inputs, outputs))
        }
    }

    private static func panels(_ parts: [Tensor<S>], _ inputs: Int, _ outputs: Int) -> Tensor<S> {
        let panels = Tensor<S>(uninitialized: [inputs * outputs])
        let (height, width, to) = (inputs, outputs, panels.pointer)
        var top = 0
        for part in parts {
            let (from, first, count) = (part.pointer, top, part.shape[0])
            inParallel((count + 15) / 16) { band in
                for row in band * 16..<min(band * 16 + 16, count) {
                    let output = first + row
                    let left = output / Self.panelWidth * Self.panelWidth
                    let panelWidth = min(Self.panelWidth, width - left)
                    let target = to + left * height + (output - left)
                    for input in 0..<height { target[input * panelWidth] = from[row * height + input] }
                }
            }
            top += count
        }
        return panels
    }

    /// What it is held in.
    var form: WeightPrecision.Form {
        if case .packed(let matrix) = held { matrix.form } else { .f32 }
    }

    /// What it takes.
    var byteCount: Int {
        switch held {
        case .panels(let panels): panels.count * MemoryLayout<S>.size
        case .packed(let matrix): matrix.byteCount
        }
    }

    /// Copies the row of one output, `[inputs]`, if the matrix is packed; returns whether it is.
    func packedRow(_ output: Int, to y: UnsafeMutablePointer<S>) -> Bool {
        guard case .packed(let matrix) = held else { return false }
        matrix.copyRow(output, to: UnsafeMutableRawPointer(y).assumingMemoryBound(to: Float.self))
        return true
    }

    /// y ← W x (+ y) for each row, on all of the lane's threads.
    ///
    /// How the work is cut depends on the sizes alone, and a row's result not on how it is cut where products treat
    /// each row alike.
    ///
    /// - Parameters:
    ///   - x: `[rows, inputs]`.
    ///   - y: `[rows, outputs]`.
    func multiply(
        _ rows: Int, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, accumulate: Bool = false
    ) {
        let across = (outputs + Self.panelWidth - 1) / Self.panelWidth
        let bands = (rows + Self.mostRows - 1) / Self.mostRows
        let rounded: PackedMatrix.RoundedInputs? =
            if case .packed(let matrix) = held, matrix.form == .bf16Both {
                matrix.round(rows, UnsafeRawPointer(x).assumingMemoryBound(to: Float.self))
            } else { nil }
        if inputs * outputs * bands < Self.leastShared {
            for part in 0..<across * bands { multiply(part: part, of: rows, x, rounded, into: y, accumulate) }
        } else {
            inParallel(across * bands) { multiply(part: $0, of: rows, x, rounded, into: y, accumulate) }
        }
    }

    /// One panel for one band of rows; the bands of a panel follow one another.
    private func multiply(
        part: Int, of rows: Int, _ x: UnsafePointer<S>, _ rounded: PackedMatrix.RoundedInputs?,
        into y: UnsafeMutablePointer<S>, _ accumulate: Bool
    ) {
        let bands = (rows + Self.mostRows - 1) / Self.mostRows
        let left = part / bands * Self.panelWidth
        let top = part % bands * Self.mostRows
        let width = min(Self.panelWidth, outputs - left)
        let count = min(Self.mostRows, rows - top)
        let (x, y) = (x + top * inputs, y + top * outputs + left)
        switch held {
        case .panels(let panels):
            multiplySmall(
                count, width, inputs, x, inputs, panels.pointer + left * inputs, width, y, outputs,
                accumulate: accumulate)
        case .packed(let matrix):  // of `Float`s alone
            if let rounded {
                matrix.multiply(
                    rounded: rounded, from: top, count, outputs: width, from: left,
                    into: UnsafeMutableRawPointer(y).assumingMemoryBound(to: Float.self), accumulate: accumulate)
                return
            }
            matrix.multiply(
                count, outputs: width, from: left, UnsafeRawPointer(x).assumingMemoryBound(to: Float.self),
                into: UnsafeMutableRawPointer(y).assumingMemoryBound(to: Float.self), accumulate: accumulate)
        }
    }
}
