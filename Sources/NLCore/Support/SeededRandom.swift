import Glibc

/// A small, fast, seeded generator (SplitMix64, Steele et al. 2014) whose whole state is one word, so that a
/// sampler or a shuffle can be persisted and continued exactly.
public struct SeededRandom: RandomNumberGenerator, Sendable, Hashable, Codable {
    /// The generator's whole state.
    public private(set) var state: UInt64

    /// A generator that starts from `seed`.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    public mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in 0 ..< bound.
    public mutating func nextIndex(below bound: Int) -> Int { Int(next(upperBound: UInt64(bound))) }

    /// Normal with mean 0 and deviation 1 (Box and Muller 1958; the second value is dropped, so that the state
    /// stays one word).
    public mutating func nextNormal() -> Double {
        let radius = (-2 * log(1 - nextUnit())).squareRoot()
        return radius * cos(2 * .pi * nextUnit())
    }

    /// A seed made of several numbers; changing any of them changes all bits.
    public static func mix(_ parts: UInt64...) -> UInt64 {
        var random = SeededRandom(seed: 0)
        for part in parts {
            random.state ^= part
            random.state = random.next()
        }
        return random.next()
    }
}
