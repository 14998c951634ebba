import Foundation
import GraphRuntime
import ONNXLoader

/// Tensors by name in the format of Hugging Face's safetensors: eight bytes with the length of a JSON header, the header, and the tensors'
/// bytes one after another, little-endian.
struct SafetensorsFile: Sendable {
    /// Why a file can't be read; `reason` completes a sentence that names the file.
    struct FormatError: Error, Sendable {
        let reason: String
    }

    /// A tensor in the file.
    struct Entry: Sendable {
        /// As the file writes it, such as `F32`.
        let dtype: String
        let shape: [Int]
        /// In the file.
        let bytes: Range<Int>
    }

    /// The longest header; that of the format's own reader.
    private static let longestHeader = 100_000_000
    private static let bitsOfElement = [
        "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32,
        "U32": 32,
        "F32": 32, "F64": 64, "I64": 64, "U64": 64,
    ]

    /// The tensors by their names.
    let entries: [String: Entry]
    /// Texts that the file states beside them.
    let metadata: [String: String]
    private let bytes: [UInt8]

    /// - Throws: ``FormatError`` where the bytes aren't such a file.
    init(bytes: [UInt8]) throws(FormatError) {
        guard bytes.count >= 8 else {
            throw FormatError(reason: "it has \(bytes.count) bytes, expected a safetensors file of 10 or more")
        }
        let length = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << (8 * UInt64($1)) }
        guard length <= UInt64(Self.longestHeader) else {
            throw FormatError(
                reason: "its header has \(length) bytes by its first eight, expected at most \(Self.longestHeader)")
        }
        let start = 8 + Int(length)
        guard start <= bytes.count else {
            throw FormatError(
                reason: "its header has \(length) bytes by its first eight, and the file \(bytes.count) in all: it is cut off")
        }
        let header: [String: HeaderValue]
        do { header = try JSONText.decode([String: HeaderValue].self, from: Array(bytes[8..<start])) } catch let error
            as JSONText.FormatError
        {
            throw FormatError(reason: "its header can't be read: \(error.reason)")
        } catch {
            throw FormatError(
                reason: "its header isn't one of a safetensors file: expected dtype, shape and data_offsets of each tensor")
        }
        var entries: [String: Entry] = [:]
        var metadata: [String: String] = [:]
        for (name, value) in header {
            switch value {
            case .metadata(let texts) where name == "__metadata__": metadata = texts
            case .tensor(let tensor) where name != "__metadata__":
                entries[name] = try Self.entry(
                    tensor, name: name.shortened(to: String.longestName), dataStart: start, fileSize: bytes.count)
            default: throw FormatError(reason: "its header's \"\(name.shortened(to: String.longestName))\" isn't a tensor")
            }
        }
        var end = start
        for (name, entry) in entries.sorted(by: {
            ($0.value.bytes.lowerBound, $0.value.bytes.upperBound) < ($1.value.bytes.lowerBound, $1.value.bytes.upperBound)
        }) {
            guard entry.bytes.lowerBound >= end else {
                throw FormatError(reason: "its tensor \"\(name.shortened(to: String.longestName))\" overlaps another")
            }
            end = entry.bytes.upperBound
        }
        self.entries = entries
        self.metadata = metadata
        self.bytes = bytes
    }

    /// What a file states beside its tensors, which aren't read.
    static func metadata(of url: URL) throws -> [String: String] {
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        guard let start = try handle.read(upToCount: 8), start.count == 8 else { return [:] }
        let length = start.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(longestHeader), let text = try handle.read(upToCount: Int(length)) else { return [:] }
        let header = try JSONText.decode([String: HeaderValue].self, from: [UInt8](text))
        guard case .metadata(let texts)? = header["__metadata__"] else { return [:] }
        return texts
    }

    private static func entry(
        _ tensor: HeaderTensor, name: String, dataStart: Int, fileSize: Int
    ) throws(FormatError) -> Entry {
        guard let bits = bitsOfElement[tensor.dtype] else {
            throw FormatError(
                reason: "its tensor \"\(name)\" has the type \(tensor.dtype.shortened(to: 40)), which isn't known")
        }
        var count = 1
        for extent in tensor.shape {
            let (product, isTooMuch) = count.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !isTooMuch else {
                throw FormatError(
                    reason:
                        "its tensor \"\(name)\" has the shape \(tensor.shape.prefix(8)), expected extents of 0 or more that can be held"
                )
            }
            count = product
        }
        let (size, isTooMuch) = count.multipliedReportingOverflow(by: bits / 8)
        let offsets = tensor.offsets
        guard !isTooMuch, offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= fileSize - dataStart,
            offsets[1] - offsets[0] == size
        else {
            throw FormatError(
                reason:
                    "its tensor \"\(name)\" of shape \(tensor.shape.prefix(8)) and type \(tensor.dtype) is at \(offsets.prefix(4)), expected a range of its size "
                    + "within the \(fileSize - dataStart) bytes behind the header")
        }
        return Entry(dtype: tensor.dtype, shape: tensor.shape, bytes: dataStart + offsets[0]..<dataStart + offsets[1])
    }

    /// The first element of a tensor of whole numbers; nil for other types.
    func integer(_ name: String) -> Int? {
        let sizes = ["I8": 1, "U8": 1, "I16": 2, "I32": 4, "I64": 8]
        guard let entry = entries[name], let size = sizes[entry.dtype], entry.bytes.count >= size else { return nil }
        let value = (0..<size).reduce(UInt64(0)) { $0 | UInt64(bytes[entry.bytes.lowerBound + $1]) << UInt64(8 * $1) }
        let unused = UInt64(64 - 8 * size)
        return entry.dtype == "U8" ? Int(value) : Int(Int64(bitPattern: value << unused) >> Int64(unused))
    }

    /// Bytes from the first tensor's on: what AUTOMATIC1111's web interface and kohya's scripts hash, so that other metadata makes no
    /// other file.
    var tensorBytes: ArraySlice<UInt8> {
        let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
        return bytes[(8 + length)...]
    }

    /// The elements of a tensor of floating-point numbers.
    ///
    /// - Throws: ``FormatError`` for another type, and where an element isn't finite.
    func floats(_ name: String) throws -> [Float] {
        guard let entry = entries[name] else { throw FormatError(reason: "it has no tensor \"\(name)\"") }
        let types: [String: DType] = ["F32": .float32, "F64": .float64, "BF16": .bfloat16, "F16": .float16]
        guard let dtype = types[entry.dtype] else {
            throw FormatError(
                reason:
                    "its tensor \"\(name.shortened(to: String.longestName))\" has the type \(entry.dtype), expected F32, F16, BF16 or F64"
            )
        }
        let tensor = try Tensor(dtype: dtype, shape: Shape([entry.shape.reduce(1, *)]), bytes: Array(bytes[entry.bytes]))
        let values =
            dtype == .float64
            ? try tensor.array(of: Double.self).map { Float($0) } : try HalfPrecision.widen(tensor).array(of: Float.self)
        guard let other = values.first(where: { !$0.isFinite }) else { return values }
        throw FormatError(
            reason: "its tensor \"\(name.shortened(to: String.longestName))\" has the value \(other), expected finite numbers")
    }
}

private struct HeaderTensor: Decodable {
    let dtype: String
    let shape: [Int]
    /// Where the tensor begins and ends behind the header.
    let offsets: [Int]

    private enum CodingKeys: String, CodingKey {
        case dtype, shape
        case offsets = "data_offsets"
    }
}

private enum HeaderValue: Decodable {
    case tensor(HeaderTensor)
    case metadata([String: String])

    init(from decoder: any Decoder) throws {
        if let texts = try? [String: String](from: decoder) {
            self = .metadata(texts)
        } else {
            self = .tensor(try HeaderTensor(from: decoder))
        }
    }
}
