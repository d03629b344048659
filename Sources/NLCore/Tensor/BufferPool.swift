import Glibc
import Synchronization

/// Recycles the memory of tensors.
///
/// A training step allocates the same sizes again and again; returning large blocks to the system each time costs
/// a page fault for every 4 KiB touched. Sizes are rounded up to classes (eighths of a power of two, so at most
/// 12.5 % is lost), and a freed block waits in its class for the next tensor of that size. Sizes that are asked for no
/// more, as those of tensors that have grown, go back to the system before it is asked for others.
enum BufferPool {
    /// Blocks are aligned to this many bytes: a cache line, and an AVX-512 register.
    static let alignment = 64
    /// Idle memory above this many bytes goes back to the system.
    static let idleLimitBytes = 1 << 30
    /// A class that none of so many tensors was of is asked for no more.
    static let staleAfter: UInt64 = 1 << 15
    /// From this size on the system is asked for large pages.
    static let largePageBytes = 4 << 20

    struct State {
        var idle: [Int: [UInt]] = [:]
        var idleBytes = 0
        var liveBytes = 0
        var peakBytes = 0
        var systemAllocations = 0
        /// Tensors so far, and how many there were when one was last of a class.
        var tensors: UInt64 = 0
        var lastOfClass: [Int: UInt64] = [:]

        /// Takes out the blocks of classes that are asked for no more.
        mutating func takeStale() -> [UInt] {
            var stale: [UInt] = []
            for (size, blocks) in idle where tensors - lastOfClass[size, default: 0] > BufferPool.staleAfter {
                stale += blocks
                idleBytes -= size * blocks.count
                (idle[size], lastOfClass[size]) = (nil, nil)
            }
            return stale
        }
    }

    private static let state = Mutex(State())

    static func take(bytes: Int) -> UnsafeMutableRawPointer {
        let size = sizeClass(bytes)
        let (recycled, stale): (UInt?, [UInt]) = state.withLock { state in
            state.liveBytes += size
            state.peakBytes = max(state.peakBytes, state.liveBytes)
            state.tensors += 1
            state.lastOfClass[size] = state.tensors
            guard let block = state.idle[size]?.popLast() else {
                state.systemAllocations += 1
                return (nil, state.takeStale())
            }
            state.idleBytes -= size
            return (block, [])
        }
        for block in stale { free(UnsafeMutableRawPointer(bitPattern: block)) }
        if let recycled, let pointer = UnsafeMutableRawPointer(bitPattern: recycled) { return pointer }
        if let fresh = allocate(size) { return fresh }
        // What waits for tensors of other sizes may be what is missing.
        freeIdle()
        if let fresh = allocate(size) { return fresh }
        fatalError(
            "out of memory: \(size) bytes for a tensor, with \(usage.liveBytes) bytes in others. Give the process more "
                + "memory, or serve less at once (--max-concurrent, --max-spaces).")
    }

    private static func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        guard let fresh = aligned_alloc(alignment, size) else { return nil }
        // Fewer misses when a matrix is read from end to end: a fifth more bandwidth on Zen 1. Refusal costs nothing.
        if size >= largePageBytes { madvise(fresh, size, MADV_HUGEPAGE) }
        return fresh
    }

    private static func freeIdle() {
        let blocks = state.withLock { state in
            defer { (state.idle, state.idleBytes) = ([:], 0) }
            return state.idle.values.flatMap(\.self)
        }
        for block in blocks { free(UnsafeMutableRawPointer(bitPattern: block)) }
    }

    static func giveBack(_ pointer: UnsafeMutableRawPointer, bytes: Int) {
        let size = sizeClass(bytes)
        let keep = state.withLock { state in
            state.liveBytes -= size
            state.lastOfClass[size] = state.tensors
            guard state.idleBytes + size <= idleLimitBytes else { return false }
            state.idleBytes += size
            state.idle[size, default: []].append(UInt(bitPattern: pointer))
            return true
        }
        if !keep { free(pointer) }
    }

    /// Bytes held by living tensors now, at most so far, and how often the system was asked for memory.
    static var usage: (liveBytes: Int, peakBytes: Int, systemAllocations: Int) {
        state.withLock { ($0.liveBytes, $0.peakBytes, $0.systemAllocations) }
    }

    private static func sizeClass(_ bytes: Int) -> Int {
        let wanted = max(bytes, alignment)
        let step = max(alignment, 1 << max(0, Int.bitWidth - (wanted - 1).leadingZeroBitCount - 4))
        return (wanted + step - 1) / step * step
    }
}

/// Memory held by tensors, for statistics and tests.
public enum TensorMemory {
    /// Bytes in living tensors.
    public static var liveBytes: Int { BufferPool.usage.liveBytes }
    /// The most bytes that living tensors ever held at once.
    public static var peakBytes: Int { BufferPool.usage.peakBytes }
    /// How often a tensor needed fresh memory from the system; constant in a steady state.
    public static var systemAllocations: Int { BufferPool.usage.systemAllocations }
}
