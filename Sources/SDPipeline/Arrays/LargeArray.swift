import GraphRuntime

/// Memory for arrays that grow with a picture.
///
/// A Swift array ends the process where the system refuses its memory. So whoever makes a large one asks first.
enum LargeArray {
    /// What is smaller isn't asked for: it comes from memory that the process has.
    private static let smallest = 1 << 20

    /// - Throws: ``ImageError/notEnoughMemory(bytes:)`` where the system doesn't give that many bytes at once.
    static func ask(bytes: Int) throws {
        guard bytes >= smallest else { return }
        // Taken and given back: under a limit of address space, or of what the system promises, this fails as the array would.
        do { _ = try TensorStorage(byteCount: bytes) } catch { throw ImageError.notEnoughMemory(bytes: bytes) }
    }
}
