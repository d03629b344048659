/// Why an evaluation can't begin or go on: what was wrong, and what to do about it.
struct EvaluationError: Error, CustomStringConvertible, Equatable {
    let description: String

    init(_ description: String) { self.description = description }
}
