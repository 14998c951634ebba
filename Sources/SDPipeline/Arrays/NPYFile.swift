import Foundation
import GraphRuntime
import ONNXLoader

/// An array of numpy's `.npy` format, versions 1.0 to 3.0 (numpy.lib.format).
public struct NPYArray: Sendable, Equatable {
    /// The element types that are read and written.
    public enum DType: String, Sendable, CaseIterable {
        /// Half precision.
        case float16 = "f2"
        /// Single precision.
        case float32 = "f4"
        /// Double precision.
        case float64 = "f8"
        /// 8 bits with a sign.
        case int8 = "i1"
        /// 16 bits with a sign.
        case int16 = "i2"
        /// 32 bits with a sign.
        case int32 = "i4"
        /// 64 bits with a sign.
        case int64 = "i8"
        /// 8 bits without a sign.
        case uint8 = "u1"
        /// 16 bits without a sign.
        case uint16 = "u2"
        /// 32 bits without a sign.
        case uint32 = "u4"
        /// 64 bits without a sign.
        case uint64 = "u8"
        /// A byte that is 0 or 1.
        case bool = "b1"

        /// Bytes of an element.
        public var size: Int {
            switch self {
            case .int8, .uint8, .bool: 1
            case .float16, .int16, .uint16: 2
            case .float32, .int32, .uint32: 4
            case .float64, .int64, .uint64: 8
            }
        }
    }

    /// The type of the elements.
    public let dtype: DType
    /// The size of each dimension; empty for a single value.
    public let shape: [Int]
    /// The elements in C order, little-endian.
    public let data: [UInt8]

    /// - Throws: ``NPYError`` when the number of bytes isn't that of the shape.
    public init(dtype: DType, shape: [Int], data: [UInt8]) throws {
        let size = try NPYHeader.byteCount(shape: shape, dtype: dtype)
        guard size == data.count else {
            throw NPYError("an array of shape \(shape) and type \(dtype.rawValue) has \(size) bytes, \(data.count) were given")
        }
        self.dtype = dtype
        self.shape = shape
        self.data = data
    }

    /// Reads a file, of at most `AvailableMemory.total` bytes.
    /// - Throws: ``NPYError`` when it can't be read, isn't an `.npy` file, or holds elements of another type.
    public init(contentsOf url: URL) throws {
        let content: [UInt8]
        let limit = AvailableMemory.total
        do { content = try BoundedFile.read(url, limit: limit, takesPipes: true) } catch {
            throw NPYError("the file can't be read: \(error.reason)", path: url.path, kind: .unreadable)
        }
        do {
            try self.init(bytes: content)
        } catch let error as NPYError {
            throw NPYError(error.reason, path: url.path, kind: error.kind)
        }
    }

    /// Reads the bytes of a file. Big-endian elements and Fortran order are turned into `data`'s layout.
    /// - Throws: ``NPYError``.
    public init(bytes: [UInt8]) throws {
        let header = try NPYHeader(bytes)
        let size = try NPYHeader.byteCount(shape: header.shape, dtype: header.dtype)
        guard bytes.count - header.end == size else {
            throw NPYError(
                "its header says \(size) bytes of elements (shape \(header.shape), type \(header.dtype.rawValue)), "
                    + "the file has \(bytes.count - header.end)")
        }
        try Self.ask(bytes: header.isFortranOrder ? 2 * size : size)
        var data = Array(bytes[header.end...])
        if header.isBigEndian { Self.reverseBytes(&data, of: header.dtype.size) }
        if header.isFortranOrder { data = Self.inCOrder(data, shape: header.shape, size: header.dtype.size) }
        dtype = header.dtype
        shape = header.shape
        self.data = data
    }

    /// The content of an `.npy` file, version 1.0 (2.0 where the header is too long for it).
    public var bytes: [UInt8] { NPYHeader.encoded(dtype: dtype, shape: shape) + data }

    /// Writes a file: first under a temporary name, so that no half file is ever left.
    ///
    /// - Throws: ``NPYError`` of kind `outOfMemory`, ``AtomicFile/WriteError``.
    public func write(to url: URL) throws {
        try Self.ask(bytes: data.count)
        try AtomicFile.write(bytes, to: url)
    }

    /// - Throws: ``NPYError`` where the system doesn't give memory for that many bytes at once.
    static func ask(bytes: Int) throws {
        guard LargeArray.fits(bytes: bytes) else {
            throw NPYError("there is too little memory for it: \(bytes) bytes are needed at once", kind: .outOfMemory)
        }
    }

    private static func reverseBytes(_ data: inout [UInt8], of size: Int) {
        guard size > 1 else { return }
        for start in stride(from: 0, to: data.count, by: size) {
            for offset in 0..<size / 2 { data.swapAt(start + offset, start + size - 1 - offset) }
        }
    }

    private static func inCOrder(_ data: [UInt8], shape: [Int], size: Int) -> [UInt8] {
        guard shape.count > 1, !data.isEmpty else { return data }
        var strides = [Int](repeating: size, count: shape.count)
        for axis in 1..<shape.count { strides[axis] = strides[axis - 1] * shape[axis - 1] }
        var result: [UInt8] = []
        result.reserveCapacity(data.count)
        var index = [Int](repeating: 0, count: shape.count)
        var offset = 0
        while result.count < data.count {
            result.append(contentsOf: data[offset..<offset + size])
            // The next element in C order: the last axis runs fastest.
            for axis in shape.indices.reversed() {
                index[axis] += 1
                offset += strides[axis]
                if index[axis] < shape[axis] { break }
                offset -= strides[axis] * shape[axis]
                index[axis] = 0
            }
        }
        return result
    }
}

/// What is wrong with an `.npy` file or array. `description` is one sentence for a person.
public struct NPYError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What kind of thing went wrong.
    public enum Kind: Sendable, Equatable {
        /// The file can't be read.
        case unreadable
        /// It isn't an `.npy` file, or contradicts itself.
        case malformed
        /// Its elements are of a type that isn't read, or not of the one that is needed.
        case unsupported
        /// The system doesn't give as much memory.
        case outOfMemory
    }

    /// What kind of thing went wrong.
    public let kind: Kind
    /// What is wrong, as a part of a sentence.
    public let reason: String
    /// The file, nil for an array that isn't in one.
    public let path: String?

    init(_ reason: String, path: String? = nil, kind: Kind = .malformed) {
        self.reason = reason
        self.path = path
        self.kind = kind
    }

    public var description: String { "\(path ?? "The array") can't be used as .npy: \(reason)." }
}
