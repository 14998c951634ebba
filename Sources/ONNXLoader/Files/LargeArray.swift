import GraphRuntime

/// Memory for arrays that grow with a picture or a file.
///
/// A Swift array ends the process where the system refuses its memory. So whoever makes a large one asks first.
package enum LargeArray {
    /// What is smaller isn't asked for: it comes from memory that the process has.
    private static let smallest = 1 << 20

    /// Whether the system gives that many bytes at once.
    package static func fits(bytes: Int) -> Bool {
        guard bytes >= smallest else { return true }
        // Taken and given back: under a limit of address space, or of what the system promises, this fails as the array would.
        return (try? TensorStorage(byteCount: bytes)) != nil
    }
}
