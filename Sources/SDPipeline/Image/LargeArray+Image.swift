import ONNXLoader

extension LargeArray {
    /// - Throws: ``ImageError/notEnoughMemory(bytes:)`` where the system doesn't give that many bytes at once.
    package static func ask(bytes: Int) throws {
        guard fits(bytes: bytes) else { throw ImageError.notEnoughMemory(bytes: bytes) }
    }
}
