import Foundation
import GraphRuntime
import Synchronization
import TestSupport
import Testing

@Suite struct ThreadPoolTests {
    @Test(arguments: [1, 2, 3, 8]) func everyIndexRunsOnce(threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        for count in [0, 1, 2, 7, 1000] {
            let counts = Mutex([Int](repeating: 0, count: count))
            pool.forEach(count) { index in counts.withLock { $0[index] += 1 } }
            #expect(counts.withLock { $0 }.allSatisfy { $0 == 1 })
        }
    }

    @Test func rangesCoverEverything() {
        let pool = ThreadPool(threadCount: 3)
        for count in [0, 1, 5, 1000, 12345] {
            for grain in [1, 7, 100_000] {
                let seen = Mutex([Range<Int>]())
                pool.forEachRange(count, grain: grain) { range in seen.withLock { $0.append(range) } }
                let ranges = seen.withLock { $0 }.sorted { $0.lowerBound < $1.lowerBound }
                #expect(ranges.flatMap { Array($0) } == Array(0..<count))
            }
        }
    }

    @Test func callsMayNest() throws {
        let pool = ThreadPool(threadCount: 2)
        let total = Atomic<Int>(0)
        unsafe try pool.forEach(4, scratchBytes: 64) { _, outer in
            unsafe outer.storeBytes(of: 1, as: UInt8.self)
            let inner = Result {
                unsafe try pool.forEach(5, scratchBytes: 64) { _, inner in
                    unsafe inner.storeBytes(of: 2, as: UInt8.self)
                    _ = total.wrappingAdd(1, ordering: .relaxed)
                }
            }
            if case .failure = inner { total.store(-1000, ordering: .relaxed) }
            // The scratch memory of a nested call is another one.
            if unsafe outer.load(as: UInt8.self) != 1 { total.store(-1000, ordering: .relaxed) }
        }
        #expect(total.load(ordering: .relaxed) == 20)
    }

    /// More memory than an address can name is refused before any work, and the pool goes on.
    @Test(arguments: [1, 2, 5]) func refusesScratchWithoutMemory(threads: Int) throws {
        let pool = ThreadPool(threadCount: threads)
        let calls = Atomic<Int>(0)
        for count in [1, 2, 100] {
            let error = #expect(throws: TensorError.self) {
                try pool.forEach(count, scratchBytes: 1 << 60) { _, _ in _ = calls.wrappingAdd(1, ordering: .relaxed) }
            }
            #expect(error?.message.contains("\(1 << 60) bytes that each thread needs") == true)
            expectError("no memory for") {
                unsafe try pool.withWorkspace(byteCount: 1 << 60) { _ in _ = calls.wrappingAdd(1, ordering: .relaxed) }
            }
        }
        #expect(calls.load(ordering: .relaxed) == 0)
        unsafe try pool.forEach(7, scratchBytes: 1000) { _, scratch in
            unsafe scratch.storeBytes(of: 1, toByteOffset: 999, as: UInt8.self)
            _ = calls.wrappingAdd(1, ordering: .relaxed)
        }
        #expect(calls.load(ordering: .relaxed) == 7)
    }

    /// Where the system refuses some threads and gives later ones, every tile still runs once, each with scratch memory that no
    /// other thread has at the same time.
    @Test(arguments: [[0], [1], [0, 2], [0, 1, 2], [0, 1, 2, 3]]) func refusedThreadsLeaveNoGaps(refused: [Int]) throws {
        let pool = ThreadPool(threadCount: 5) { !refused.contains($0) }
        #expect(pool.threadCount == 5 - refused.count)
        pool.startRecording()
        let size = 4096
        for _ in 0..<50 {
            let counts = Mutex([Int](repeating: 0, count: 64))
            let spoiled = Atomic<Int>(0)
            unsafe try pool.forEach(64, scratchBytes: size) { index, scratch in
                let own = UInt8(index)
                unsafe scratch.initializeMemory(as: UInt8.self, repeating: own, count: size)
                for place in 0..<size where unsafe scratch.load(fromByteOffset: place, as: UInt8.self) != own {
                    _ = spoiled.wrappingAdd(1, ordering: .relaxed)
                }
                counts.withLock { $0[index] += 1 }
            }
            #expect(counts.withLock { $0 } == [Int](repeating: 1, count: 64))
            #expect(spoiled.load(ordering: .relaxed) == 0)
        }
        #expect(pool.stopRecording().allSatisfy { (0..<pool.threadCount).contains($0.worker) })
    }

    @Test func manyShortJobs() {
        let pool = ThreadPool(threadCount: 2)
        let total = Atomic<Int>(0)
        for _ in 0..<20_000 { pool.forEach(2) { _ in _ = total.wrappingAdd(1, ordering: .relaxed) } }
        #expect(total.load(ordering: .relaxed) == 40_000)
    }

    /// Between two jobs threads may have gone to sleep, may be about to, or may still watch; some wake when a job is over already.
    @Test(arguments: [2, 3, 8]) func jobsAfterPauses(threads: Int) {
        let pool = ThreadPool(threadCount: threads)
        let total = Atomic<Int>(0)
        for job in 0..<400 {
            pool.forEach(1 + job % 7) { _ in _ = total.wrappingAdd(1, ordering: .relaxed) }
            usleep(UInt32(job % 20) * 20)
        }
        #expect(total.load(ordering: .relaxed) == (0..<400).reduce(0) { $0 + 1 + $1 % 7 })
    }

    @Test func poolsShareNothing() async {
        let pool = ThreadPool(threadCount: 2)
        await withTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let total = Atomic<Int>(0)
                    for _ in 0..<500 { pool.forEach(3) { _ in _ = total.wrappingAdd(1, ordering: .relaxed) } }
                    return total.load(ordering: .relaxed)
                }
            }
            for await count in group { #expect(count == 1500) }
        }
    }
}
