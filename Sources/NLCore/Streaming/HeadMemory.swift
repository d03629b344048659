internal import CKernels

/// One head of one memory, W̄ = W_0 + Δ̄, in reading layout.
///
/// W_0 is shared by all streams, Δ̄ is this stream's. They are multiplied apart and the results added, since Δ̄ decays
/// within a chunk; where it doesn't, ``HeadSums`` are read.
struct HeadMemory<S: TensorScalar> {
    /// d and m.
    let head: Int
    let hidden: Int
    /// W1_0ᵀ `[m, d]`, W2_0ᵀ `[d, m]` and W1_0 `[d, m]`.
    let w1T: UnsafePointer<S>
    let w2T: UnsafePointer<S>
    let w1: UnsafePointer<S>
    /// Δ̄1ᵀ `[m, d]` and Δ̄2ᵀ `[d, m]`.
    let delta1T: UnsafeMutablePointer<S>
    let delta2T: UnsafeMutablePointer<S>

    /// Asks for Δ̄, which comes from main memory where many streams are served, while something else is computed.
    func prefetch() {
        let bytes = head * hidden * MemoryLayout<S>.stride
        nl_prefetch_pages(delta2T, bytes)
        nl_prefetch_pages(delta1T, bytes)
    }
}

/// A chunk that is being written into one head of one memory: rows `0 ..< capacity`, of which some are known.
struct OpenChunk<S: TensorScalar> {
    /// Tokens of a whole chunk: C of the main memory, C_p of the others.
    let capacity: Int
    /// k and v, `[capacity, d]`.
    let key: UnsafePointer<S>
    let value: UnsafePointer<S>
    /// η and log α, `[capacity]`.
    let stepSize: UnsafePointer<S>
    let logRetention: UnsafePointer<S>
    /// κ of W1, `[capacity, m]`; κ of W2 is `key`.
    let hiddenKey: UnsafeMutablePointer<S>
    /// w of W1 `[capacity, d]` and of W2 `[capacity, m]`.
    let w1: UnsafeMutablePointer<S>
    let w2: UnsafeMutablePointer<S>
    /// Whether the −η W κκᵀ term of DGD is in force.
    let usesDelta: Bool
}

/// The decay between the rows of a chunk, for `count` new rows behind `known` ones.
///
/// All in differences of log γ: nothing is divided by a γ that has underflowed.
struct ChunkDecay<S: TensorScalar> {
    /// Rows known before.
    let known: Int
    /// Rows that are new.
    let count: Int
    /// log γ_s, the prefix sums of log α, for every row up to the last new one.
    let logGamma: UnsafeMutablePointer<S>
    /// γ_{t−1} of the new rows.
    let before: UnsafeMutablePointer<S>
    /// γ_{t−1}/γ_s of the new rows t, 0 where s ≥ t: `[count, capacity]`.
    let matrix: UnsafeMutablePointer<S>

    init(_ rows: OpenChunk<S>, known: Int, count: Int, _ scratch: inout Scratch<S>) {
        self.known = known
        self.count = count
        let capacity = rows.capacity
        logGamma = scratch.take(capacity)
        before = scratch.take(count)
        matrix = scratch.take(count * capacity)
        var sum: S = 0
        for row in 0..<known + count {
            sum += rows.logRetention[row]
            logGamma[row] = sum
        }
        for new in 0..<count {
            let row = known + new
            let last = row == 0 ? 0 : logGamma[row - 1]
            before[new] = S.exponential(last)
            let line = matrix + new * capacity
            for s in 0..<row { line[s] = S.exponential(Swift.min(last - logGamma[s], 0)) }
            (line + row).update(repeating: 0, count: capacity - row)
        }
    }

    static func scratchCount(_ capacity: Int, _ count: Int) -> Int {
        Scratch<S>.rounded(capacity) + Scratch<S>.rounded(count) + Scratch<S>.rounded(count * capacity)
    }
}
