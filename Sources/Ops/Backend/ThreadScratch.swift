import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Memory that each thread keeps for packing, given back when the thread ends.
enum ThreadScratch {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key) { pointer in
            #if canImport(Darwin)
                Unmanaged<TensorStorage>.fromOpaque(pointer).release()
            #else
                if let pointer = unsafe pointer { unsafe Unmanaged<TensorStorage>.fromOpaque(pointer).release() }
            #endif
        }
        return key
    }()

    /// Uninitialised memory for `count` floats, aligned to 64 bytes, until the thread's next call; nil where there isn't as much.
    static func floats(_ count: Int) -> UnsafeMutablePointer<Float>? {
        let byteCount = count * MemoryLayout<Float>.stride
        if let pointer = unsafe pthread_getspecific(key) {
            let storage = unsafe Unmanaged<TensorStorage>.fromOpaque(pointer)
            let held = unsafe storage.takeUnretainedValue()
            if held.byteCount >= byteCount { return unsafe held.base.assumingMemoryBound(to: Float.self) }
            pthread_setspecific(key, nil)
            unsafe storage.release()
        }
        guard let storage = try? TensorStorage(byteCount: max(byteCount, 1 << 20)) else { return nil }
        unsafe pthread_setspecific(key, Unmanaged.passRetained(storage).toOpaque())
        return unsafe storage.base.assumingMemoryBound(to: Float.self)
    }
}
