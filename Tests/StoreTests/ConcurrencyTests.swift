import Foundation
import Synchronization
import Testing

@testable import Store

/// Would catch: callers on many threads that see half a transaction or lose one.
@Suite(.timeLimit(.minutes(10))) struct ConcurrencyTests {
    @Test func manyThreadsLoseNothingAndSeeNoHalfTransaction() throws {
        let database = TemporaryDatabase()
        let threadCount = 8
        let rounds = 25
        try database.withStore { store, _ throws in
            let failures = Mutex<[String]>([])
            DispatchQueue.concurrentPerform(iterations: threadCount) { thread in
                do {
                    try store.transaction {
                        _ = try $0.createSession(id: "s\(thread)", space: "default", .sample(seed: UInt64(thread)))
                    }
                    for round in 0..<rounds {
                        // Two documents at a time: an odd number is half a transaction.
                        try store.transaction { tx in
                            for half in 0...1 {
                                let id = "\(thread)/\(round)/\(half)"
                                _ = try tx.accept(DocumentDraft(id: id, text: id, tokenCount: 1))
                            }
                        }
                        let draft = try SessionDraft.sample(seed: UInt64(thread * 1_000 + round))
                        try store.transaction { _ = try $0.saveSession("s\(thread)", draft) }
                        let (count, blobs) = try store.read { reader in
                            (
                                try reader.documentCounts(space: "default")[.queued] ?? 0,
                                try reader.session("s\(thread)").blobs
                            )
                        }
                        if !count.isMultiple(of: 2) { failures.withLock { $0.append("\(count) documents") } }
                        if blobs != draft.state.blobs { failures.withLock { $0.append("s\(thread) round \(round)") } }
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
            #expect(failures.withLock(\.self) == [])
            let page = try store.read {
                try $0.documents(space: "default", PageRequest(limit: 1_000, order: .oldestFirst))
            }
            #expect(page.items.count == threadCount * rounds * 2)
            #expect(page.items.map(\.sequence) == page.items.map(\.sequence).sorted())
        }
        try database.expectSound()
    }
}
