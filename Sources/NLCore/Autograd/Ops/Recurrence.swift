/// Operations of the chunked delta rule (spec §2, "Chunked form").
///
/// `G` groups (stream × head), `C` positions of the chunk, `o` output width of a layer.
extension Variable {
    /// Inclusive prefix sums over the last axis: log γ from log α.
    public func cumulativeSum() -> Variable {
        let width = shape.last
        let rows = value.count / width
        let y = Tensor<S>(uninitialized: shape)
        for row in 0..<rows {
            var sum: S = 0
            for i in row * width..<(row + 1) * width {
                sum += value.pointer[i]
                y.pointer[i] = sum
            }
        }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for row in 0..<rows {
                var sum: S = 0
                for i in (row * width..<(row + 1) * width).reversed() {
                    sum += dy.pointer[i]
                    d[i] += sum
                }
            }
        }
    }

    /// The last axis moved one place on, starting with 0: log γ_{t−1} from log γ_t.
    public func shifted() -> Variable {
        let width = shape.last
        let rows = value.count / width
        let y = Tensor<S>.zeros(shape)
        for row in 0..<rows {
            (y.pointer + row * width + 1).update(from: value.pointer + row * width, count: width - 1)
        }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            for row in 0..<rows { S.axpy(width - 1, 1, dy.pointer + row * width + 1, d + row * width) }
        }
    }

    /// γ_{t−1}/γ_s for s < t, else 0, from log γ: `[G, C]` → `[G, C, C]`.
    ///
    /// Taken from differences of logarithms, so that nothing is divided by a γ that has underflowed.
    public func decayMatrix() -> Variable {
        let (groups, length) = (shape[0], shape[1])
        let y = Tensor<S>.zeros([groups, length, length])
        let logGamma = value.pointer
        inParallel(groups, work: y.count * 8) { g in
            for t in 1..<Swift.max(length, 1) {
                for s in 0..<t {
                    let difference = logGamma[g * length + t - 1] - logGamma[g * length + s]
                    y.pointer[(g * length + t) * length + s] = S.exponential(Swift.min(difference, 0))
                }
            }
        }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            inParallel(groups, work: y.count) { g in
                for t in 1..<Swift.max(length, 1) {
                    for s in 0..<t {
                        let at = (g * length + t) * length + s
                        let change = dy.pointer[at] * y.pointer[at]
                        d[g * length + t - 1] += change
                        d[g * length + s] -= change
                    }
                }
            }
        }
    }

    /// Solves (I + L) X = R for X, with L strictly lower triangular: one forward substitution a group.
    ///
    /// - Parameter right: R, `[G, C, o]`.
    /// - Returns: X, `[G, C, o]`, for `self` = L, `[G, C, C]` (entries on and above the diagonal are not read).
    public func solvingUnitLower(_ right: Variable) -> Variable {
        let (groups, length, width) = (shape[0], shape[1], right.shape[2])
        let x = right.value.copy()
        inParallel(groups, work: value.count * width / 2) { g in
            let l = value.pointer + g * length * length
            let rows = x.pointer + g * length * width
            for t in 1..<Swift.max(length, 1) {
                for s in 0..<t { S.axpy(width, -l[t * length + s], rows + s * width, rows + t * width) }
            }
        }
        return tape.record(x, [self, right]) { tape, dx in
            // dR = (I + L)⁻ᵀ dX, a backward substitution; dL = −dR Xᵀ below the diagonal.
            let dright = dx.copy()
            let d = tape.gradientBuffer(self)
            inParallel(groups, work: value.count * width) { g in
                let l = value.pointer + g * length * length
                let rows = dright.pointer + g * length * width
                for t in (0..<length).reversed() {
                    for s in 0..<t {
                        S.axpy(width, -l[t * length + s], rows + t * width, rows + s * width)
                        guard let d else { continue }
                        let solution = x.pointer + (g * length + s) * width
                        d[(g * length + t) * length + s] -= S.dot(width, rows + t * width, solution)
                    }
                }
            }
            tape.addGradient(right, dright)
        }
    }

    /// Each group's matrix pulled back onto the Frobenius ball: Δ · min(1, ρ / sqrt(‖Δ‖² + ε)).
    public func within(radius: S) -> Variable {
        let groups = shape[0]
        let size = value.count / groups
        let epsilon = normalizationEpsilon(S.self)
        let y = Tensor<S>.zeros(shape)
        let lengths = Tensor<S>(uninitialized: [groups])
        inParallel(groups, work: value.count) { g in
            let x = value.pointer + g * size
            let length = (S.dot(size, x, x) + epsilon).squareRoot()
            lengths.pointer[g] = length
            S.axpy(size, Swift.min(1, radius / length), x, y.pointer + g * size)
        }
        return tape.record(y, [self]) { tape, dy in
            guard let d = tape.gradientBuffer(self) else { return }
            inParallel(groups, work: value.count) { g in
                let x = value.pointer + g * size
                let length = lengths.pointer[g]
                S.axpy(size, Swift.min(1, radius / length), dy.pointer + g * size, d + g * size)
                guard radius < length else { return }
                let along = S.dot(size, dy.pointer + g * size, x)
                S.axpy(size, -radius * along / (length * length * length), x, d + g * size)
            }
        }
    }
}
