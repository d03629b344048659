import NLCore

/// One piece of work of the decode thread: a generation or a scoring. Used on that thread alone.
protocol RunningTask: AnyObject {
    /// Which weights it reads: tasks of one generation share a pass.
    var space: PublishedSpace { get }
    /// What its part of the next step costs, in tokens of input read; 0 for one token written; nil while it waits for
    /// its consumer.
    var nextCost: Int? { get }
    /// What it reads in this step; nil if it turns out to be over.
    func nextInput() throws(EngineError) -> StreamInput<Float>?
    /// Takes what the step gave.
    ///
    /// - Parameter logits: `[tokens, V]` if it wanted them all, else the last token's, `[1, V]`.
    func take(_ state: StreamState<Float>, logits: Tensor<Float>) throws(EngineError)
    /// Whether it is done, or nobody wants it any more.
    var isOver: Bool { get }
    /// It is over, has failed, or is cut off by shutdown: tells its consumer, and gives back what it holds. Called at
    /// least once; only the first end of a task counts.
    func close(_ error: EngineError?)
}
