import COpenBLASControl
import Synchronization

/// The buffers of 128 MB of addresses that OpenBLAS's calls work in: one for each call that runs at the same time, reserved here
/// before, since a call that gets none tries for ever.
enum OpenBLASBuffers {
    /// OpenBLAS has room for twice as many as the threads that it was built for, and ends the process beyond.
    private static let most = 64

    private struct State {
        /// Buffers that OpenBLAS has reserved.
        var reserved = 0
        /// Calls that run now.
        var used = 0
    }

    private static let state = Mutex(State())

    /// Runs `call`, which calls OpenBLAS once.
    ///
    /// - Returns: false, without having run it, where there is no memory for its buffer.
    static func whileHoldingOne(_ call: () -> Void) -> Bool {
        let isGranted = state.withLock { state in
            if state.used == state.reserved {
                guard state.reserved < most, openblas_add_buffer() != 0 else { return false }
                state.reserved += 1
            }
            state.used += 1
            return true
        }
        guard isGranted else { return false }
        call()
        state.withLock { $0.used -= 1 }
        return true
    }
}
