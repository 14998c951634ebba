import Dispatch
import Foundation
import SDPipeline

/// Ends the program on Ctrl-C and its like, but leaves no half file.
enum Interruption {
    private static let writing = DispatchSemaphore(value: 1)
    /// How long an interrupt waits for files that are being written; a slow disk must not keep the program alive.
    private static let patience = DispatchTimeInterval.seconds(2)
    // Set once, by install(); a source that nobody holds doesn't fire.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

    /// From now on an interrupt ends the program at once, with exit code 130 (143 for SIGTERM, 129 for a terminal that is gone):
    /// files being written are completed, or where that takes long, removed.
    static func install() {
        for (number, code) in [(SIGINT, Int32(130)), (SIGTERM, Int32(143)), (SIGHUP, Int32(129))] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler {
                _ = writing.wait(timeout: .now() + patience)
                AtomicFile.removePending()
                StandardStreams.printError(
                    (StandardStreams.isErrorTerminal ? "\n" : "") + "Interrupted; no file was left half written.")
                // Static destructors would run under the threads that still compute.
                _exit(code)
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Runs `body`, which writes files, so that an interrupt comes before or after it.
    static func whileWriting<Result>(_ body: () throws -> Result) rethrows -> Result {
        writing.wait()
        defer { writing.signal() }
        return try body()
    }
}
