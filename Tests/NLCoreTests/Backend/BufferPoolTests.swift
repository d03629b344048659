import Testing

@testable import NLCore

@Suite struct BufferPoolTests {
    @Test func classesThatAreAskedForNoMoreGoBack() {
        var state = BufferPool.State()
        state.idle = [64: [1, 2], 128: [3], 256: [4]]
        state.idleBytes = 512
        state.tensors = BufferPool.staleAfter + 10
        state.lastOfClass = [64: 9, 128: 10, 512: 3]
        #expect(state.takeStale().sorted() == [1, 2, 4])
        #expect(state.idle == [128: [3]] && state.idleBytes == 128)
        #expect(state.takeStale().isEmpty)
    }
}
