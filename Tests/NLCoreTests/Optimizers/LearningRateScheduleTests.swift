import NLCore
import Testing

/// The shape of the schedule at its corners.
@Suite struct LearningRateScheduleTests {
    private let schedule = LearningRateSchedule(peak: 1e-2, floor: 1e-3, warmupSteps: 10, totalSteps: 111)

    @Test func warmsUpLinearly() {
        for step in 0..<10 { #expect(abs(schedule.rate(at: step) - 1e-3 * Double(step + 1)) < 1e-15) }
    }

    @Test func fallsAsHalfACosine() {
        #expect(abs(schedule.rate(at: 10) - 1e-2) < 1e-15)
        #expect(abs(schedule.rate(at: 60) - 5.5e-3) < 1e-15)
        #expect(abs(schedule.rate(at: 110) - 1e-3) < 1e-15)
        for step in 10..<110 { #expect(schedule.rate(at: step + 1) < schedule.rate(at: step)) }
    }

    @Test func staysAtTheFloorAfterTheLastStep() {
        #expect(abs(schedule.rate(at: 1000) - 1e-3) < 1e-15)
    }

    @Test func degenerateLengthsGiveRatesInRange() {
        for (warmup, total) in [(0, 1), (5, 3), (1, 1), (0, 2)] {
            let schedule = LearningRateSchedule(peak: 1, floor: 0.1, warmupSteps: warmup, totalSteps: total)
            for step in 0...total { #expect((0.1...1).contains(schedule.rate(at: step)) || step < warmup) }
        }
    }
}
