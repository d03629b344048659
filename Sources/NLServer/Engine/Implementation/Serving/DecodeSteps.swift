import NLCore

/// The tasks of the decode thread, and what one step does with them.
struct DecodeSteps {
    /// Tokens of input read in one step, all tasks together, beyond the last segment begun.
    private static let readingBudget = 256

    private struct Slot {
        let task: any RunningTask
        /// The step it was part of last.
        var served = 0
    }

    /// Tasks that read the same weights, and what they read in this step.
    private struct Batch {
        let space: PublishedSpace
        var tasks: [any RunningTask] = []
        var inputs: [StreamInput<Float>] = []
    }

    /// In the order of arrival, which is their order in a batch.
    private var slots: [Slot] = []
    private var number = 0
    private let batchLimit: Int

    init(batchLimit: Int) { self.batchLimit = batchLimit }

    var count: Int { slots.count }

    /// Tasks that do not wait for their consumers.
    var activeCount: Int { slots.count { $0.task.nextCost != nil } }

    mutating func add(_ task: any RunningTask) { slots.append(Slot(task: task)) }

    /// Lets go of tasks that are over.
    mutating func sweep() {
        slots.removeAll { slot in
            guard slot.task.isOver else { return false }
            slot.task.close(nil)
            return true
        }
    }

    /// Cuts all tasks off.
    mutating func cut(_ error: EngineError) {
        for slot in slots { slot.task.close(error) }
        slots = []
    }

    /// Advances whoever's turn it is; says whether it was anybody's.
    mutating func step() -> Bool {
        number += 1
        let chosen = choose()
        var batches: [Batch] = []
        for index in chosen {
            slots[index].served = number
            let task = slots[index].task
            do throws(EngineError) {
                guard let input = try task.nextInput() else { continue }
                // Those of the generation that came first go first.
                let place = batches.firstIndex { $0.space === task.space } ?? batches.endIndex
                if place == batches.endIndex { batches.append(Batch(space: task.space)) }
                batches[place].tasks.append(task)
                batches[place].inputs.append(input)
            } catch {
                task.close(error)
            }
        }
        for index in batches.indices { Self.advance(&batches[index]) }
        return !chosen.isEmpty
    }

    /// Whose turn it is: those longest without one first, until the batch is full; of those that read, until the
    /// budget is used up.
    private func choose() -> [Int] {
        var budget = Self.readingBudget
        var chosen: [Int] = []
        for index in slots.indices.sorted(by: { (slots[$0].served, $0) < (slots[$1].served, $1) }) {
            guard chosen.count < batchLimit else { break }
            guard let cost = slots[index].task.nextCost, cost == 0 || budget > 0 else { continue }
            budget -= cost
            chosen.append(index)
        }
        return chosen.sorted()
    }

    /// `inout`, so that the states are never held twice: they would be copied before they are written.
    private static func advance(_ batch: inout Batch) {
        do throws(StreamError) {
            let logits = try StreamingHope.advance(&batch.inputs, weights: batch.space.weights)
            for (index, task) in batch.tasks.enumerated() {
                do throws(EngineError) {
                    try task.take(batch.inputs[index].state.handOver(), logits: logits[index])
                } catch {
                    task.close(error)
                }
            }
        } catch {
            // Tokens are checked before they come here, so this is a fault of ours; nobody's session has changed.
            for task in batch.tasks { task.close(.numerics(message: "The batch could not be read: \(error).")) }
        }
    }
}
