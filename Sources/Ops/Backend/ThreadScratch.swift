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
        pthread_key_create(&key) { pointer in
            #if canImport(Darwin)
                Unmanaged<TensorStorage>.fromOpaque(pointer).release()
            #else
                if let pointer { Unmanaged<TensorStorage>.fromOpaque(pointer).release() }
            #endif
        }
        return key
    }()

    /// Uninitialised memory for `count` floats, aligned to 64 bytes, until the thread's next call; nil where there isn't as much.
    static func floats(_ count: Int) -> UnsafeMutablePointer<Float>? {
        let byteCount = count * MemoryLayout<Float>.stride
        if let pointer = pthread_getspecific(key) {
            let storage = Unmanaged<TensorStorage>.fromOpaque(pointer)
            let held = storage.takeUnretainedValue()
            if held.byteCount >= byteCount { return held.base.assumingMemoryBound(to: Float.self) }
            pthread_setspecific(key, nil)
            storage.release()
        }
        guard let storage = try? TensorStorage(byteCount: max(byteCount, 1 << 20)) else { return nil }
        pthread_setspecific(key, Unmanaged.passRetained(storage).toOpaque())
        return storage.base.assumingMemoryBound(to: Float.self)
    }
}
