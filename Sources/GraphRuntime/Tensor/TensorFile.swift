import Foundation

/// A tensor in a file of its own, which is mapped to read it.
///
/// A page of text comes first: a title that says what the tensor is, its type and extents, and a checksum. The elements follow.
enum TensorFile {
    /// A page, so that elements are as aligned as those of a tensor in memory.
    private static let headerByteCount = 4096
    /// Bytes of a title that leave room for the rest of the page.
    static let longestTitle = 2500
    /// How temporary names end.
    private static let partial = "partial"

    /// The title and what follows it.
    private static func header(_ title: String, _ dtype: DType, _ shape: Shape, checksum: UInt64) -> String {
        let extents = shape.dimensions.map(String.init).joined(separator: " ")
        return title + "\ntype \(dtype.rawValue)\nextents \(extents)\nchecksum \(checksum)\n"
    }

    /// Writes a tensor under a temporary name, which then becomes that of the file: readers find all of it or none. After a power cut the
    /// file may have another content, which its checksum shows.
    ///
    /// - Parameters:
    ///   - title: may have several lines, and at most ``longestTitle`` bytes.
    ///   - tensor: not of strings.
    /// - Returns: why it couldn't be written, as a part of a sentence; nil where it could.
    static func write(_ tensor: Tensor, title: String, to path: String, threads: ThreadPool) -> String? {
        let header = Array(header(title, tensor.dtype, tensor.shape, checksum: tensor.checksum(threads: threads)).utf8)
        guard header.count <= headerByteCount else { return "its title is too long" }
        let page = header + [UInt8](repeating: 0, count: headerByteCount - header.count)
        let temporary = "\(path).\(UUID().uuidString).\(partial)"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { return reason(errno) }
        var failure = unsafe page.withUnsafeBytes { unsafe write($0, to: descriptor) }
        if failure == nil {
            failure = withExtendedLifetime(tensor.storage) {
                unsafe write(UnsafeRawBufferPointer(start: tensor.start, count: tensor.byteCount), to: descriptor)
            }
        }
        if close(descriptor) != 0, failure == nil { failure = reason(errno) }
        if failure == nil, unsafe rename(temporary, path) != 0 { failure = reason(errno) }
        if failure != nil { unsafe unlink(temporary) }
        return failure
    }

    /// Removes what writes that were killed left in a folder an hour ago and more.
    static func removePartialFiles(in folder: String) {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.hasSuffix(".\(partial)") {
            let path = "\(folder)/\(name)"
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            guard let date = attributes?[.modificationDate] as? Date, date.timeIntervalSinceNow < -3600 else { continue }
            unsafe unlink(path)
        }
    }

    /// The tensor that was written with this title; nil where there is no such file, or its content is another.
    static func read(_ path: String, title: String, threads: ThreadPool) -> Tensor? {
        guard let storage = TensorStorage.mapping(file: path), storage.byteCount >= headerByteCount,
            let page = try? Tensor(dtype: .uint8, shape: Shape([headerByteCount]), storage: storage)
        else { return nil }
        let text = page.bytes.prefix { $0 != 0 }
        guard text.starts(with: title.utf8) else { return nil }
        let lines = text.dropFirst(title.utf8.count).split(separator: UInt8(ascii: "\n")).map {
            $0.split(separator: UInt8(ascii: " ")).dropFirst().map { String(decoding: $0, as: UTF8.self) }
        }
        guard lines.count == 3, let dtype = lines[0].first.flatMap(Int32.init).flatMap(DType.init), dtype != .string,
            let checksum = lines[2].first.flatMap(UInt64.init),
            let shape = try? Shape(lines[1].map { Int($0) ?? -1 }),
            dtype.byteCount(of: shape.count) == storage.byteCount - headerByteCount,
            text.elementsEqual(header(title, dtype, shape, checksum: checksum).utf8),
            let tensor = try? Tensor(dtype: dtype, shape: shape, storage: storage, byteOffset: headerByteCount),
            tensor.checksum(threads: threads) == checksum
        else { return nil }
        return tensor
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> String? {
        var rest = unsafe bytes[...]
        while unsafe !rest.isEmpty {
            let written = unsafe Foundation.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0 {
                if errno == EINTR { continue }
                return reason(errno)
            }
            unsafe rest = unsafe rest.dropFirst(written)
        }
        return nil
    }

    private static func reason(_ number: Int32) -> String { unsafe String(cString: strerror(number)) }
}
