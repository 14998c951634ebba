import Foundation
import SDPipeline
import TestSupport
import Testing

/// Against numbers drawn by torch, see Tests/References/random_normal.py.
@Suite struct TorchGeneratorTests {
    struct Draw: Decodable {
        let kind: String
        let count: Int
        let head: [Word]
        let tail: [Word]?
        let hash: String?
    }

    /// A bit pattern in hexadecimal, or a plain integer.
    enum Word: Decodable {
        case bits(UInt64)
        case integer(Int)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Int.self) {
                self = .integer(value)
            } else {
                self = .bits(try #require(UInt64(try container.decode(String.self), radix: 16)))
            }
        }

        var value: UInt64 {
            switch self {
            case .bits(let bits): bits
            case .integer(let integer): UInt64(integer)
            }
        }
    }

    struct Sequence: Decodable {
        let seed: String
        let draws: [Draw]
    }

    static let file = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../References/torch-numbers.json").standardizedFileURL

    private func bits(_ kind: String, _ count: Int, from generator: inout TorchGenerator) throws -> [UInt64] {
        switch kind {
        case "randn": return generator.randn(count: count).map { UInt64($0.bitPattern) }
        case "rand": return generator.rand(count: count).map { UInt64($0.bitPattern) }
        case "randn64": return generator.randnDouble(count: count).map(\.bitPattern)
        case "rand64": return generator.randDouble(count: count).map(\.bitPattern)
        case "randint": return generator.randint(below: 1000, count: count).map { UInt64($0) }
        default: throw CocoaError(.featureUnsupported)
        }
    }

    private func hash(_ words: [UInt64], bytes: Int) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for word in words {
            for byte in 0..<bytes {
                hash = (hash ^ (word >> (8 * UInt64(byte)) & 0xff)) &* 0x100_0000_01b3
            }
        }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    @Test func drawsTorchsNumbersBitForBit() throws {
        let sequences = try JSONDecoder().decode([Sequence].self, from: Data(contentsOf: Self.file))
        #expect(sequences.count == 87)
        for sequence in sequences {
            var generator: TorchGenerator
            if sequence.seed.hasPrefix("-") {
                generator = TorchGenerator(signedSeed: try #require(Int64(sequence.seed)))
            } else {
                generator = TorchGenerator(seed: try #require(UInt64(sequence.seed)))
            }
            for (step, draw) in sequence.draws.enumerated() {
                let place = "seed \(sequence.seed), draw \(step): \(draw.kind) of \(draw.count)"
                let words = try bits(draw.kind, draw.count, from: &generator)
                #expect(words.count == draw.count, "\(place)")
                expectEqual(Array(words.prefix(draw.head.count)), draw.head.map(\.value), "\(place)")
                if let tail = draw.tail, let expected = draw.hash {
                    #expect(Array(words.suffix(tail.count)) == tail.map(\.value), "\(place)")
                    #expect(hash(words, bytes: draw.kind.hasSuffix("64") ? 8 : 4) == expected, "\(place)")
                }
            }
        }
    }

    @Test func onlyTheLow32BitsOfTheSeedCount() {
        var small = TorchGenerator(seed: 5)
        var large = TorchGenerator(seed: 5 + (1 << 32))
        expectEqual(small.randn(count: 100), large.randn(count: 100))
    }

    @Test func aCountOfNoneOrLessDrawsNothing() {
        var generator = TorchGenerator(seed: 0)
        #expect(generator.randn(count: 0).isEmpty)
        #expect(generator.randn(count: -3).isEmpty)
        #expect(generator.rand(count: -1).isEmpty)
        #expect(generator.randint(below: 0, count: 2) == [0, 0])
        var fresh = TorchGenerator(seed: 0)
        _ = fresh.randint(below: 7, count: 2)
        expectEqual(generator.randn(count: 20), fresh.randn(count: 20))
    }
}
