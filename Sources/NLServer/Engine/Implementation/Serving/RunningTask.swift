import Foundation
import NLCore

/// One piece of work of the decode thread: a generation or a scoring. Used on that thread alone.
protocol RunningTask: AnyObject {
    /// Which weights it reads: tasks of one generation share a pass.
    var space: PublishedSpace { get }
    /// What it wants to read in the coming step, at most `limit` tokens; nil while it waits for its consumer.
    func nextInput(limit: Int) throws(EngineError) -> StreamInput<Float>?
    /// Takes what the step gave.
    func take(_ state: StreamState<Float>, logits: Tensor<Float>) throws(EngineError)
    /// Whether it is done, or nobody wants it any more.
    var isOver: Bool { get }
    /// It was over, failed, or was cut off by shutdown: tells its consumer and gives back what it holds.
    func close(_ error: EngineError?)
}
