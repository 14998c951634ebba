/// The header of an `.npy` file: magic string, version, and a Python dictionary with descr, fortran_order and shape.
struct NPYHeader {
    private static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
    private static let largestLength = 1 << 20
    /// numpy's own limit (64 since version 2).
    private static let largestRank = 64

    let dtype: NPYArray.DType
    let isBigEndian: Bool
    let isFortranOrder: Bool
    let shape: [Int]
    /// Where the elements begin.
    let end: Int

    init(_ bytes: [UInt8]) throws {
        guard bytes.count >= 10, bytes.starts(with: Self.magic) else {
            throw NPYError("it doesn't begin with numpy's magic string")
        }
        let version = (bytes[6], bytes[7])
        let lengthSize: Int
        switch version {
        case (1, 0): lengthSize = 2
        case (2, 0), (3, 0): lengthSize = 4
        default: throw NPYError("its version is \(version.0).\(version.1), expected 1.0, 2.0 or 3.0")
        }
        let start = 8 + lengthSize
        guard bytes.count >= start else { throw NPYError("its header is cut off") }
        let length = bytes[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.largestLength else {
            throw NPYError("its header has \(length) bytes, at most \(Self.largestLength) are accepted")
        }
        end = start + length
        guard bytes.count >= end else { throw NPYError("its header is cut off") }
        var parser = NPYHeaderParser(text: bytes[start..<end])
        let fields = try parser.dictionary()
        guard fields.count == 3, case .text(let descr)? = fields["descr"],
            case .flag(let isFortran)? = fields["fortran_order"], case .numbers(let shape)? = fields["shape"]
        else {
            throw NPYError("its header must have descr (a plain type), fortran_order and shape, and nothing else")
        }
        guard shape.count <= Self.largestRank else {
            throw NPYError("it has \(shape.count) dimensions, at most \(Self.largestRank) are accepted")
        }
        guard let order = descr.first, "<>|=".contains(order), let dtype = NPYArray.DType(rawValue: String(descr.dropFirst()))
        else {
            let known = NPYArray.DType.allCases.map(\.rawValue).joined(separator: ", ")
            throw NPYError("its elements have type '\(descr)', expected one of \(known) with < or >", kind: .unsupported)
        }
        self.dtype = dtype
        isBigEndian = order == ">"
        isFortranOrder = isFortran
        self.shape = shape
    }

    /// The bytes of an array's elements.
    static func byteCount(shape: [Int], dtype: NPYArray.DType) throws -> Int {
        var count = dtype.size
        // Zero first, so that sizes beside it can't overflow.
        if shape.contains(0), shape.allSatisfy({ $0 >= 0 }) { return 0 }
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { throw NPYError("its shape \(shape) is impossible") }
            count = product
        }
        return count
    }

    static func encoded(dtype: NPYArray.DType, shape: [Int]) -> [UInt8] {
        let order = dtype.size == 1 ? "|" : "<"
        let sizes = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
        let text = "{'descr': '\(order)\(dtype.rawValue)', 'fortran_order': False, 'shape': (\(sizes)), }"
        // The elements begin at a multiple of 64; a line end closes the header.
        func padded(_ prefix: Int) -> [UInt8] {
            let used = prefix + text.utf8.count + 1
            return Array(text.utf8) + [UInt8](repeating: 0x20, count: (64 - used % 64) % 64) + [0x0A]
        }
        let short = padded(10)
        if let length = UInt16(exactly: short.count) {
            return magic + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + short
        }
        let long = padded(12)
        return magic + [2, 0] + [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: long.count >> $0) } + long
    }
}

/// Reads the Python literal of a header: a flat dictionary of texts, truth values and tuples of whole numbers.
struct NPYHeaderParser {
    enum Value: Equatable {
        case text(String)
        case flag(Bool)
        case numbers([Int])
    }

    private var rest: ArraySlice<UInt8>

    init(text: ArraySlice<UInt8>) { rest = text }

    mutating func dictionary() throws -> [String: Value] {
        var result: [String: Value] = [:]
        try expect("{")
        while !accept("}") {
            let key = try text()
            try expect(":")
            guard result.updateValue(try value(), forKey: key) == nil else {
                throw NPYError("its header has \(key) twice")
            }
            if !accept(",") {
                try expect("}")
                break
            }
        }
        skipSpace()
        guard rest.isEmpty else { throw NPYError("its header has something behind the dictionary") }
        return result
    }

    private mutating func value() throws -> Value {
        skipSpace()
        switch rest.first {
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "("): return .numbers(try tuple())
        default: break
        }
        for (word, flag) in [("True", true), ("False", false)] where rest.starts(with: word.utf8) {
            rest = rest.dropFirst(word.utf8.count)
            return .flag(flag)
        }
        throw NPYError("its header can't be read (structured types and objects aren't supported)", kind: .unsupported)
    }

    private mutating func tuple() throws -> [Int] {
        var result: [Int] = []
        try expect("(")
        while !accept(")") {
            skipSpace()
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard let number = Int(String(decoding: digits, as: UTF8.self)) else {
                throw NPYError("its shape has something that isn't a size")
            }
            result.append(number)
            rest = rest.dropFirst(digits.count)
            // Python 2 wrote long integers with an L.
            if rest.first == UInt8(ascii: "L") { rest = rest.dropFirst() }
            if !accept(",") {
                try expect(")")
                break
            }
        }
        return result
    }

    private mutating func text() throws -> String {
        skipSpace()
        guard let quote = rest.first, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
            throw NPYError("its header isn't a dictionary of texts")
        }
        rest = rest.dropFirst()
        guard let end = rest.firstIndex(of: quote) else { throw NPYError("its header has a text without an end") }
        defer { rest = rest[(end + 1)...] }
        return String(decoding: rest[..<end], as: UTF8.self)
    }

    private mutating func accept(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard rest.first == UInt8(ascii: character) else { return false }
        rest = rest.dropFirst()
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard accept(character) else { throw NPYError("its header lacks a \(character)") }
    }

    private mutating func skipSpace() {
        rest = rest.drop { $0 == 0x20 || $0 == 0x0A || $0 == 0x09 || $0 == 0x0D }
    }
}
