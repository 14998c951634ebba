import CSpinWait
import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A fixed set of threads on which kernels run their tiles; the calling thread works along.
///
/// Calls from several threads at once, and calls from inside a tile, are safe: who finds the pool taken runs its tiles itself.
public final class ThreadPool: Sendable {
    /// Threads that share a job, the calling one among them; 1 or more.
    public let threadCount: Int
    private let crew: Crew
    private let handles: [pthread_t]

    /// The machine's physical cores as the operating system grants them to this process, 1 at least.
    public static let defaultThreadCount: Int = PhysicalCores.count()

    /// - Parameter threadCount: 1 to 1024; numbers outside are brought into that range.
    public convenience init(threadCount: Int = ThreadPool.defaultThreadCount) {
        self.init(threadCount: threadCount, maySpawn: { _ in true })
    }

    /// - Parameter maySpawn: asked before each thread is started, with the number of those asked for before; where it answers false,
    ///   the thread counts as one that the system refuses.
    package init(threadCount: Int, maySpawn: (_ attempt: Int) -> Bool) {
        let count = min(max(threadCount, 1), 1024)
        crew = Crew(workers: count)
        var handles: [pthread_t] = []
        for attempt in 0..<count - 1 where maySpawn(attempt) {
            // Numbered by those that did start: a worker's number is less than `threadCount`, whichever of them the system refuses.
            if let handle = crew.start(worker: handles.count + 1) { handles.append(handle) }
        }
        self.handles = handles
        // Where the system gives fewer threads, those that there are share the work.
        self.threadCount = handles.count + 1
    }

    deinit {
        crew.stop()
        for handle in handles { pthread_join(handle, nil) }
    }

    /// What one thread did of one job.
    public struct WorkSpan: Sendable {
        /// 0 is the thread that called the pool.
        public let worker: Int
        /// Nanoseconds on the clock of ``NodeEvent/start``.
        public let start: UInt64
        /// When it ended, on the clock of ``start``, in nanoseconds.
        public let end: UInt64

        /// A span of work; times in nanoseconds.
        public init(worker: Int, start: UInt64, end: UInt64) {
            self.worker = worker
            self.start = start
            self.end = end
        }
    }

    /// From now on notes when each thread works, until ``stopRecording()``; 4 million spans at most are kept.
    public func startRecording() { crew.recording.store(true, ordering: .relaxed) }

    /// - Returns: what was noted since ``startRecording()``, in the order of the ends. Work that a thread does alone, outside of a job
    ///   for all, isn't there.
    public func stopRecording() -> [WorkSpan] {
        crew.recording.store(false, ordering: .relaxed)
        return crew.takeRecords()
    }

    /// Calls `body` once for every index in 0..<count, on all threads, each index as soon as a thread is free.
    public func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
        run(count, prepare: { _ in }) { index, _, _ in body(index) }
    }

    /// As ``forEach(_:_:)``, with `scratchCount` elements of uninitialised scratch memory that belong to the thread for the time of the
    /// call.
    ///
    /// - Throws: ``TensorError`` where there isn't as much memory for every thread; `body` wasn't called then.
    public func forEach<Element: TensorElement>(
        _ count: Int, scratch: Element.Type, scratchCount: Int,
        _ body: @Sendable (_ index: Int, _ scratch: inout MutableSpan<Element>) -> Void
    ) throws(TensorError) {
        unsafe try forEach(count, scratchBytes: scratchCount * MemoryLayout<Element>.stride) { index, memory in
            var span = unsafe UnsafeMutableBufferPointer(
                start: memory.assumingMemoryBound(to: Element.self), count: scratchCount
            ).mutableSpan
            body(index, &span)
        }
    }

    /// As ``forEach(_:_:)``, with uninitialised scratch memory of at least `scratchBytes`, aligned to 64 bytes, that belongs to the
    /// thread for the time of the call.
    ///
    /// - Throws: ``TensorError`` where there isn't as much memory for every thread; `body` wasn't called then.
    package func forEach(
        _ count: Int, scratchBytes: Int, _ body: @Sendable (Int, UnsafeMutableRawPointer) -> Void
    ) throws(TensorError) {
        try run(
            count, prepare: { slots throws(TensorError) in try crew.reserve(scratchBytes, for: slots) },
            { index, place, scratches in unsafe body(index, scratches[place].base) })
    }

    /// Calls `body` once for every index in 0..<count, on all threads, and returns its results in their order.
    public func map<Result: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Result) -> [Result] {
        unsafe Array(unsafeUninitializedCapacity: max(count, 0)) { results, initializedCount in
            nonisolated(unsafe) let first = results.baseAddress
            forEach(count) { index in if let first = unsafe first { unsafe (first + index).initialize(to: body(index)) } }
            initializedCount = max(count, 0)
        }
    }

    /// Splits 0..<count into ranges of at least `grain` and calls `body` for each; one range, on this thread, for small counts.
    public func forEachRange(_ count: Int, grain: Int, _ body: @Sendable (Range<Int>) -> Void) {
        guard count > 0 else { return }
        let pieces = min(max(count / max(grain, 1), 1), threadCount * 4)
        if pieces == 1 || threadCount == 1 { return body(0..<count) }
        let step = (count + pieces - 1) / pieces
        forEach((count + step - 1) / step) { piece in body(piece * step..<min((piece + 1) * step, count)) }
    }

    /// Calls `body` once, on this thread, with uninitialised memory of at least `byteCount`, aligned to 64 bytes, that the pool keeps
    /// for the next call.
    ///
    /// - Throws: ``TensorError`` where there isn't as much memory, and what `body` throws.
    package func withWorkspace<Result>(
        byteCount: Int, _ body: (UnsafeMutableRawPointer) throws(TensorError) -> Result
    ) throws(TensorError) -> Result {
        let slot = crew.borrowSlot()
        defer { crew.returnSlot(slot) }
        return unsafe try body(try crew.reserve(byteCount, for: slot..<slot + 1)[0].base)
    }

    /// - Parameters:
    ///   - prepare: called with the slots of all threads before any calls `body`: in the middle of a job, a thread that finds no memory
    ///     could only give up.
    ///   - body: called with an index, the place among those slots of the thread that calls it, and what `prepare` returned.
    private func run<Prepared: Sendable, Failure>(
        _ count: Int, prepare: (_ slots: Range<Int>) throws(Failure) -> Prepared,
        _ body: @Sendable (_ index: Int, _ place: Int, Prepared) -> Void
    ) throws(Failure) {
        guard count > 0 else { return }
        if count == 1 || threadCount == 1 || !crew.claim() {
            // A call from inside a tile finds the pool taken; its scratch must not be that of the tile around it.
            let slot = crew.borrowSlot()
            defer { crew.returnSlot(slot) }
            let prepared = try prepare(slot..<slot + 1)
            for index in 0..<count { body(index, 0, prepared) }
            return
        }
        defer { crew.release() }
        let prepared = try prepare(0..<threadCount)
        withoutActuallyEscaping(body) { body in crew.perform(count) { index, worker in body(index, worker, prepared) } }
    }
}

/// What the threads of a pool share; outlives none of them. Sent to them unchecked: what isn't atomic or in a mutex is written by the
/// thread that claimed the crew alone, before it wakes the others.
@safe
private final class Crew: @unchecked Sendable {
    typealias Job = @Sendable (_ index: Int, _ worker: Int) -> Void

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let taken = Atomic<Bool>(false)
    /// Grows with every job; what idle threads watch.
    private let generation = Atomic<Int>(0)
    private let next = Atomic<Int>(0)
    /// Twice the number of threads that take part in the current job beside the calling one, and 1 as long as others may join it: who
    /// comes late isn't waited for.
    private let gate = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    // Written by the claiming thread before `generation` grows, read by workers afterwards.
    private var job: Job?
    private var count = 0
    let recording = Atomic<Bool>(false)
    private let records = Mutex<[ThreadPool.WorkSpan]>([])
    private static let largestRecordCount = 4_000_000
    private let slots: Int
    private let scratches: Mutex<[TensorStorage?]>
    private let freeSlots: Mutex<[Int]>

    /// Threads that sleep until `generation` grows.
    private let sleepers = Atomic<Int>(0)
    /// Whether the calling thread sleeps until `gate` is 0.
    private let callerSleeps = Atomic<Bool>(false)
    /// Nanoseconds for which an idle thread looks for what it waits for before it sleeps: to wake a thread of a virtual machine's core
    /// that has nothing else to do takes 50 µs and more, and the gap between two shared kernels is mostly shorter. With more threads than
    /// cores, who looks keeps others from working.
    private let patience: UInt64

    init(workers: Int) {
        slots = workers
        patience = workers <= ThreadPool.defaultThreadCount ? 100_000 : 1000
        scratches = Mutex(Array(repeating: nil, count: workers))
        freeSlots = Mutex([])
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(wake, nil)
        unsafe pthread_cond_init(done, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe pthread_cond_destroy(wake)
        unsafe pthread_cond_destroy(done)
        unsafe mutex.deallocate()
        unsafe wake.deallocate()
        unsafe done.deallocate()
    }

    func start(worker: Int) -> pthread_t? {
        final class Start {
            let crew: Crew
            let worker: Int
            init(_ crew: Crew, _ worker: Int) {
                self.crew = crew
                self.worker = worker
            }
        }
        let argument = unsafe Unmanaged.passRetained(Start(self, worker))
        #if canImport(Darwin)
            var handle: pthread_t?
            let status = pthread_create(
                &handle, nil,
                { pointer in
                    let start = Unmanaged<Start>.fromOpaque(pointer).takeRetainedValue()
                    start.crew.work(start.worker)
                    return nil
                }, unsafe argument.toOpaque())
        #else
            var handle = pthread_t()
            let status = unsafe pthread_create(
                &handle, nil,
                { pointer in
                    guard let pointer = unsafe pointer else { return nil }
                    let start = unsafe Unmanaged<Start>.fromOpaque(pointer).takeRetainedValue()
                    start.crew.work(start.worker)
                    return nil
                }, unsafe argument.toOpaque())
        #endif
        guard status == 0 else {
            unsafe argument.release()
            return nil
        }
        return handle
    }

    func claim() -> Bool { taken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged }

    func release() { taken.store(false, ordering: .releasing) }

    func perform(_ count: Int, _ job: @escaping Job) {
        self.job = job
        self.count = count
        next.store(0, ordering: .relaxed)
        gate.store(1, ordering: .releasing)
        // In one order with `sleepers`: who counts itself there looks at the generation once more, with the mutex.
        generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) != 0 {
            unsafe pthread_mutex_lock(mutex)
            unsafe pthread_cond_broadcast(wake)
            unsafe pthread_mutex_unlock(mutex)
        }
        drain(worker: 0)
        gate.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        if !watch({ gate.load(ordering: .acquiring) == 0 }) {
            unsafe pthread_mutex_lock(mutex)
            callerSleeps.store(true, ordering: .sequentiallyConsistent)
            while gate.load(ordering: .sequentiallyConsistent) != 0 { unsafe pthread_cond_wait(done, mutex) }
            callerSleeps.store(false, ordering: .relaxed)
            unsafe pthread_mutex_unlock(mutex)
        }
        self.job = nil
    }

    /// Looks until a condition is met, for ``patience`` at most.
    ///
    /// - Returns: whether it was.
    @inline(__always)
    private func watch(_ isMet: () -> Bool) -> Bool {
        var end: UInt64?
        while true {
            for _ in 0..<32 {
                if isMet() { return true }
                csw_pause()
            }
            let now = DispatchTime.now().uptimeNanoseconds
            if let end, now >= end { return isMet() }
            end = end ?? now + patience
        }
    }

    func stop() {
        unsafe pthread_mutex_lock(mutex)
        stopping.store(true, ordering: .releasing)
        unsafe pthread_cond_broadcast(wake)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Memory of as many bytes for each of these slots, which keep it for the next call.
    func reserve(_ byteCount: Int, for slots: Range<Int>) throws(TensorError) -> [TensorStorage] {
        try scratches.withLock { scratches throws(TensorError) in
            let missing = slots.upperBound - scratches.count
            if missing > 0 { scratches += Array(repeating: nil, count: missing) }
            var result: [TensorStorage] = []
            for slot in slots {
                if let kept = scratches[slot], kept.byteCount >= byteCount {
                    result.append(kept)
                    continue
                }
                // Given back first: there may be no room for both.
                scratches[slot] = nil
                do {
                    let made = try TensorStorage(byteCount: byteCount)
                    scratches[slot] = made
                    result.append(made)
                } catch {
                    throw TensorError("no memory for the \(byteCount) bytes that each thread needs to work with")
                }
            }
            return result
        }
    }

    /// A scratch slot beyond those of the workers, for calls that run outside of the pool's job.
    func borrowSlot() -> Int {
        freeSlots.withLock { free in
            if let slot = free.popLast() { return slot }
            borrowed += 1
            return slots + borrowed - 1
        }
    }

    func returnSlot(_ slot: Int) { freeSlots.withLock { $0.append(slot) } }

    /// Guarded by `freeSlots`.
    private var borrowed = 0

    private func work(_ worker: Int) {
        var seen = 0
        while true {
            if !watch({ generation.load(ordering: .acquiring) != seen || stopping.load(ordering: .relaxed) }) {
                unsafe pthread_mutex_lock(mutex)
                sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
                while generation.load(ordering: .sequentiallyConsistent) == seen, !stopping.load(ordering: .acquiring) {
                    unsafe pthread_cond_wait(wake, mutex)
                }
                sleepers.wrappingSubtract(1, ordering: .relaxed)
                unsafe pthread_mutex_unlock(mutex)
            }
            if stopping.load(ordering: .acquiring) { return }
            seen = generation.load(ordering: .acquiring)
            guard joins() else { continue }
            drain(worker: worker)
            if gate.wrappingSubtract(2, ordering: .sequentiallyConsistent).newValue == 0,
                callerSleeps.load(ordering: .sequentiallyConsistent)
            {
                unsafe pthread_mutex_lock(mutex)
                unsafe pthread_cond_signal(done)
                unsafe pthread_mutex_unlock(mutex)
            }
        }
    }

    /// Takes part in the current job, unless its tiles are given away already.
    private func joins() -> Bool {
        var found = gate.load(ordering: .relaxed)
        while found & 1 == 1 {
            let (exchanged, original) = gate.compareExchange(expected: found, desired: found + 2, ordering: .acquiring)
            if exchanged { return true }
            found = original
        }
        return false
    }

    func takeRecords() -> [ThreadPool.WorkSpan] {
        records.withLock { records in
            defer { records = [] }
            return records
        }
    }

    private func drain(worker: Int) {
        guard let job else { return }
        guard recording.load(ordering: .relaxed) else {
            drain(job, worker: worker)
            return
        }
        let start = DispatchTime.now().uptimeNanoseconds
        let done = drain(job, worker: worker)
        let end = DispatchTime.now().uptimeNanoseconds
        // Who came too late for a tile did nothing.
        guard done > 0 else { return }
        records.withLock { records in
            guard records.count < Self.largestRecordCount else { return }
            records.append(ThreadPool.WorkSpan(worker: worker, start: start, end: end))
        }
    }

    /// - Returns: how many tiles the thread did.
    @discardableResult
    private func drain(_ job: Job, worker: Int) -> Int {
        var done = 0
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < count else { return done }
            job(index, worker)
            done += 1
        }
    }
}
