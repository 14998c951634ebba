import Dispatch
import Foundation

/// Ends the program on Ctrl-C and SIGTERM, but never in the middle of writing files.
enum Interruption {
    private static let writing = DispatchSemaphore(value: 1)
    // Set once, by install(); a source that nobody holds doesn't fire.
    nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

    /// From now on an interrupt ends the program at once, with exit code 130 (143 for SIGTERM), after files being written are whole.
    static func install() {
        for (number, code) in [(SIGINT, Int32(130)), (SIGTERM, Int32(143))] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler {
                writing.wait()
                if StandardStreams.isErrorTerminal { StandardStreams.printError("") }
                StandardStreams.printError("Interrupted; nothing was left half written.")
                // Static destructors would run under the threads that still compute.
                _exit(code)
            }
            source.resume()
            sources.append(source)
        }
    }

    /// Runs `body` so that no interrupt ends the program in the middle of it.
    static func whileWriting<Result>(_ body: () throws -> Result) rethrows -> Result {
        writing.wait()
        defer { writing.signal() }
        return try body()
    }
}
