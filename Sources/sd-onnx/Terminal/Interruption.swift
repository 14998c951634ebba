import Dispatch
import Foundation
import SDPipeline

/// Ends the program on Ctrl-C and its like, but leaves no half file.
enum Interruption {
    private static let writing = DispatchSemaphore(value: 1)
    /// How long an interrupt waits for files that are being written; a slow disk must not keep the program alive.
    private static let patience = DispatchTimeInterval.seconds(2)
    /// How long it waits for somebody to read standard error.
    private static let messageMilliseconds: Int32 = 200
    /// Interrupts, and the limit on processor time.
    private static let numbers = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXCPU]

    /// From now on a signal that asks the program to end does so when files being written are complete, or where that takes long,
    /// removed. The program then dies of that signal, so that shells and loops of scripts see an interrupt as such. Signals that were
    /// ignored when the program started, as by nohup and for background jobs of scripts, stay ignored.
    ///
    /// To be called before there are other threads: they inherit that these signals wait for the one thread that takes them.
    static func install() {
        // First: a signal that comes from here on waits, and is neither lost nor ends the program between two steps.
        change(SIG_BLOCK, numbers)
        for number in numbers {
            let before = signal(number, SIG_DFL)
            guard unsafe unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) else { continue }
            signal(number, SIG_IGN)
            change(SIG_UNBLOCK, [number])
        }
        // Without a thread for them they end the program as they come.
        if !startWaiting() { change(SIG_UNBLOCK, numbers) }
    }

    /// Lets signals end the process as they come, for a program that takes this one's place: it would inherit that they wait.
    static func leave() { change(SIG_UNBLOCK, numbers) }

    /// Runs `body`, which writes files, so that an interrupt comes before or after it.
    static func whileWriting<Result>(_ body: () throws -> Result) rethrows -> Result {
        writing.wait()
        defer { writing.signal() }
        return try body()
    }

    /// Starts the thread that takes signals; false where the system has no more threads.
    private static func startWaiting() -> Bool {
        #if canImport(Darwin)
            var thread: pthread_t?
            let status = pthread_create(
                &thread, nil,
                { _ in
                    Interruption.end(on: Interruption.takeSignal())
                    return nil
                }, nil)
        #else
            var thread = pthread_t()
            let status = unsafe pthread_create(
                &thread, nil,
                { _ in
                    Interruption.end(on: Interruption.takeSignal())
                    return nil
                }, nil)
        #endif
        return status == 0
    }

    /// Blocks or unblocks signals for the calling thread, and those that it starts.
    private static func change(_ how: some BinaryInteger, _ numbers: [Int32]) {
        var signals = set(of: numbers)
        unsafe pthread_sigmask(Int32(how), &signals, nil)
    }

    private static func set(of numbers: [Int32]) -> sigset_t {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for number in numbers { unsafe sigaddset(&signals, number) }
        return signals
    }

    /// Waits for one of the signals that this thread inherited as blocked.
    private static func takeSignal() -> Int32 {
        var blocked = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, nil, &blocked)
        var signals = set(of: numbers.filter { unsafe sigismember(&blocked, $0) == 1 })
        var number: Int32 = 0
        while unsafe sigwait(&signals, &number) != 0 {}
        return number
    }

    private static func end(on number: Int32) {
        _ = writing.wait(timeout: .now() + patience)
        AtomicFile.removePending {
            let cause = number == SIGXCPU ? "Ended at the limit on processor time (ulimit -t)" : "Interrupted"
            var reader = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
            if unsafe poll(&reader, 1, messageMilliseconds) > 0 {
                StandardStreams.printError(
                    (StandardStreams.isErrorTerminal ? "\n" : "") + "\(cause); no file was left half written.")
            }
            signal(number, SIG_DFL)
            change(SIG_UNBLOCK, [number])
            raise(number)
            // The first process of a container doesn't die of signals. Static destructors would run under the threads that compute.
            _exit(128 + number)
        }
    }
}
