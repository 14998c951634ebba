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

    /// The elements of a tensor of floating-point numbers.
    ///
    /// - Throws: ``FormatError`` for another type, and where an element isn't finite.
    func floats(_ name: String) throws -> [Float] {
        guard let entry = entries[name] else { throw FormatError(reason: "it has no tensor \"\(name)\"") }
        func words<Word: FixedWidthInteger>(_ type: Word.Type) -> [Word] {
            let size = Word.bitWidth / 8
            return stride(from: entry.bytes.lowerBound, to: entry.bytes.upperBound, by: size).map { start in
                (0..<size).reduce(0) { $0 | Word(bytes[start + $1]) << Word(8 * $1) }
            }
        }
        let values: [Float]
        switch entry.dtype {
        case "F32": values = words(UInt32.self).map(Float.init(bitPattern:))
        case "F64": values = words(UInt64.self).map { Float(Double(bitPattern: $0)) }
        case "BF16": values = words(UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
        case "F16":
            let count = entry.bytes.count / 2
            let half = try Tensor(dtype: .float16, shape: Shape([count]), bytes: Array(bytes[entry.bytes]))
            values = try HalfPrecision.widen(half).array(of: Float.self)
        default:
            throw FormatError(
                reason:
                    "its tensor \"\(name.shortened(to: String.longestName))\" has the type \(entry.dtype), expected F32, F16, BF16 or F64"
            )
        }
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
