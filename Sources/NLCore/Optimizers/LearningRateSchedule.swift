import Glibc

/// The learning rate of each step: a linear warm-up, then half a cosine down to a floor (Loshchilov & Hutter 2017).
///
/// A pure function of the step, so a resumed run needs nothing but its number.
public struct LearningRateSchedule: Sendable, Hashable, Codable {
    /// The rate at the end of the warm-up.
    public var peak: Double
    /// The rate of the last step.
    public var floor: Double
    /// Steps until the peak; 0 starts there.
    public var warmupSteps: Int
    /// Steps in all.
    public var totalSteps: Int

    /// A schedule over `totalSteps` steps.
    public init(peak: Double, floor: Double, warmupSteps: Int, totalSteps: Int) {
        self.peak = peak
        self.floor = floor
        self.warmupSteps = warmupSteps
        self.totalSteps = totalSteps
    }

    /// The rate of a step, counted from 0. Beyond the last step it stays at the floor.
    public func rate(at step: Int) -> Double {
        if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
        let length = max(1, totalSteps - 1 - warmupSteps)
        let progress = min(1, Double(step - warmupSteps) / Double(length))
        return floor + (peak - floor) * 0.5 * (1 + cos(.pi * progress))
    }
}
