import Foundation

/// Reading whole files of a model's folder, or of a person's: they are untrusted, so their size is bounded, and a pipe or a device, which
/// would never end, isn't waited for.
package enum BoundedFile {
    /// Why a file couldn't be read; `reason` completes a sentence that names the file.
    package struct ReadError: Error, Sendable {
        package let reason: String
    }

    /// - Parameters:
    ///   - limit: the most bytes that the file may have.
    ///   - takesPipes: whether what isn't a regular file is read to its end too: for files that a person names.
    package static func read(_ url: URL, limit: Int, takesPipes: Bool = false) throws(ReadError) -> [UInt8] {
        let descriptor = unsafe open(url.path, O_RDONLY | O_CLOEXEC | (takesPipes ? 0 : O_NONBLOCK))
        guard descriptor >= 0 else { throw ReadError(reason: unsafe String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw ReadError(reason: unsafe String(cString: strerror(errno))) }
        let kind = status.st_mode & S_IFMT
        guard kind != S_IFDIR else { throw ReadError(reason: "it is a folder, expected a file") }
        guard kind == S_IFREG || takesPipes else { throw ReadError(reason: "it isn't a regular file") }
        guard Int(status.st_size) <= limit else {
            throw ReadError(reason: "it has \(status.st_size) bytes, expected at most \(limit)")
        }
        var bytes: [UInt8] = []
        try reserve(Int(status.st_size), in: &bytes)
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe Foundation.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw ReadError(reason: unsafe String(cString: strerror(errno)))
            }
            if count == 0 { break }
            // The file may have grown since.
            guard bytes.count + count <= limit else { throw ReadError(reason: "it has more than \(limit) bytes") }
            if bytes.count + count > bytes.capacity { try reserve(2 * bytes.capacity + count, in: &bytes) }
            bytes += chunk[..<count]
        }
        return bytes
    }

    private static func reserve(_ count: Int, in bytes: inout [UInt8]) throws(ReadError) {
        guard LargeArray.fits(bytes: count) else {
            throw ReadError(reason: "there is too little memory for it: \(count) bytes are needed at once")
        }
        bytes.reserveCapacity(count)
    }
}
