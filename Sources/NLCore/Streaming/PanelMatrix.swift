/// A weight matrix as it is read: transposed, and cut into panels of ``panelWidth`` outputs that lie one after another.
///
/// A token alone is bound by the memory that the weights come through. In a panel they lie in the order in which the
/// product takes them, so reading them is one straight run, and the panels are the parts that threads share.
struct PanelMatrix<S: TensorScalar>: Sendable {
    /// Length of a row that goes in, and of one that comes out.
    let inputs: Int
    let outputs: Int
    /// Wᵀ by panels: `[inputs, panelWidth]` each, the last as narrow as it is.
    private let panels: Tensor<S>

    private static var panelWidth: Int { 128 }
    /// Rows that a part has at most: a prompt's products are cut both ways.
    private static var mostRows: Int { 128 }
    /// Weights below which waking another thread costs more than it brings.
    private static var leastShared: Int { 1 << 15 }

    /// A matrix from its rows by output, in parts one below the other: `[out, in]` each, as checkpoints hold them.
    init(_ parts: [Tensor<S>]) {
        inputs = parts[0].shape[1]
        outputs = parts.reduce(0) { $0 + $1.shape[0] }
        panels = Tensor(uninitialized: [inputs * outputs])
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
        if inputs * outputs * bands < Self.leastShared {
            for part in 0..<across * bands { multiply(part: part, of: rows, x, into: y, accumulate) }
        } else {
            inParallel(across * bands) { multiply(part: $0, of: rows, x, into: y, accumulate) }
        }
    }

    /// One panel for one band of rows; the bands of a panel follow one another.
    private func multiply(
        part: Int, of rows: Int, _ x: UnsafePointer<S>, into y: UnsafeMutablePointer<S>, _ accumulate: Bool
    ) {
        let bands = (rows + Self.mostRows - 1) / Self.mostRows
        let left = part / bands * Self.panelWidth
        let top = part % bands * Self.mostRows
        let width = min(Self.panelWidth, outputs - left)
        multiplySmall(
            min(Self.mostRows, rows - top), width, inputs, x + top * inputs, inputs, panels.pointer + left * inputs,
            width, y + top * outputs + left, outputs, accumulate: accumulate)
    }
}
