import GraphRuntime
import ONNXLoader
import TestSupport
import Testing

/// Tensors built byte by byte: the forms that onnx doesn't write, and the ones that are wrong.
@Suite struct TensorTests {
    @Test func valuesThatAreNotPacked() throws {
        let ints = try loadTensor(tensorProto("w", type: 7, dims: [3]) { for value in [5, -6, 7] { $0.int(7, Int64(value)) } })
        try expectEqual(ints, [5, -6, 7] as [Int64])
        let floats = try loadTensor(
            tensorProto("w", type: 1, dims: [4]) { proto in
                for value in [Float(1), 2] {
                    proto.tag(4, 5)
                    proto.raw(littleEndian([value]))
                }
                proto.data(4, littleEndian([3, 4]))
            })
        try expectEqual(floats, [1, 2, 3, 4] as [Float])
    }

    @Test func packedFieldInPieces() throws {
        let tensor = try loadTensor(
            tensorProto("w", type: 6, dims: [2, 2]) { proto in
                proto.packed(5, [1, -2])
                proto.packed(5, [])
                proto.packed(5, [3])
                proto.int(5, 4)
            })
        try expectEqual(tensor, [1, -2, 3, 4] as [Int32])
    }

    @Test func lastOfSeveralRawDataHolds() throws {
        let tensor = try loadTensor(
            tensorProto("w", type: 1, dims: [1]) { proto in
                proto.data(9, [0, 0, 0, 0, 0, 0, 0, 0])
                proto.data(9, littleEndian([2]))
            })
        try expectEqual(tensor, [2] as [Float])
    }

    @Test func emptyFieldBesideTheValues() throws {
        let tensor = try loadTensor(
            tensorProto("w", type: 1, dims: [1]) { proto in
                proto.data(9, [])
                proto.data(4, littleEndian([2]))
            })
        try expectEqual(tensor, [2] as [Float])
    }

    @Test func boolsBecomeZeroAndOne() throws {
        let raw = try loadTensor(tensorProto("w", type: 9, dims: [3]) { $0.data(9, [0, 255, 2]) })
        #expect(Array(raw.bytes) == [0, 1, 1])
        let typed = try loadTensor(tensorProto("w", type: 9, dims: [3]) { $0.packed(5, [0, 255, 1]) })
        #expect(Array(typed.bytes) == [0, 1, 1])
    }

    @Test func fourBitsInBothForms() throws {
        for type in [21, 22, 23] {
            let raw = try loadTensor(tensorProto("w", type: Int64(type), dims: [3]) { $0.data(9, [0x21, 0x03]) })
            let typed = try loadTensor(tensorProto("w", type: Int64(type), dims: [3]) { $0.packed(5, [0x21, 0x03]) })
            #expect(Array(raw.bytes) == [0x21, 0x03])
            #expect(Array(typed.bytes) == [0x21, 0x03])
        }
    }

    @Test func smallTypesWithAndWithoutSign() throws {
        let tensor = try loadTensor(tensorProto("w", type: 10, dims: [2]) { $0.packed(5, [-1, 0xFFFE]) })
        #expect(Array(tensor.bytes) == [0xFF, 0xFF, 0xFE, 0xFF])
    }

    @Test func zeroElements() throws {
        #expect(try loadTensor(tensorProto("w", type: 1, dims: [0, 4])).shape.dimensions == [0, 4])
        #expect(try loadTensor(tensorProto("w", type: 7, dims: [0]) { $0.data(9, []) }).count == 0)
        #expect(try loadTensor(tensorProto("w", type: 8, dims: [0])).strings == [])
    }

    /// Whatever the offset in the file, elements arrive as they are, also through a span, and through the widening of fp16.
    @Test(arguments: 0..<8) func misalignedValues(_ shift: Int) throws {
        let values = (0..<5000).map { Float($0) }
        var graph = Proto()
        graph.string(10, String(repeating: "x", count: shift))
        graph.message(5, tensorProto("w", type: 1, dims: [5000]) { $0.data(9, littleEndian(values)) })
        let halves = (0..<5000).map { Float16(Float($0 % 2000)) }
        graph.message(
            5, tensorProto("h", type: 10, dims: [5000]) { unsafe $0.data(9, halves.withUnsafeBytes { unsafe Array($0) }) })
        let loaded = try loadGraph(modelBytes(graph))
        let tensor = try #require(loaded.initializer("w"))
        try expectEqual(tensor, values)
        let sum = try tensor.withSpan(of: Float.self) { span in
            var sum = 0.0
            for index in 0..<span.count { sum += Double(span[index]) }
            return sum
        }
        #expect(sum == 4999 * 2500)
        #expect(try tensor.aligned().isAligned)
        let wide = try HalfPrecision.widen(try #require(loaded.initializer("h")))
        try expectEqual(wide, halves.map { Float($0) })
    }

    @Test func wrongLengths() {
        func fail(_ text: String, type: Int64 = 1, dims: [Int64] = [3], _ add: (inout Proto) -> Void = { _ in }) {
            expectFailure(.tensor, text) { _ = try loadTensor(tensorProto("w", type: type, dims: dims, add: add)) }
        }
        fail("tensor \"w\": raw_data has 8 bytes, but float32[3] takes 12") { $0.data(9, littleEndian([1, 2])) }
        fail("raw_data has 16 bytes") { $0.data(9, littleEndian([1, 2, 3, 4])) }
        fail("raw_data has 2 bytes, but uint4[5] takes 3", type: 21, dims: [5]) { $0.data(9, [1, 2]) }
        fail("2 numbers don't fill") { $0.data(4, littleEndian([1, 2])) }
        fail("numbers don't fill") { $0.data(4, [0, 0, 0, 0, 0]) }
        fail("2 numbers are given", type: 7) { $0.packed(7, [1, 200]) }
        fail("more numbers are given", type: 7) { $0.packed(7, [1, 2, 3, 4]) }
        fail("has no values")
        fail("has no values", dims: [])
        fail("2 strings", type: 8) { for value in ["a", "b"] { $0.string(6, value) } }
    }

    @Test func wrongFields() {
        func fail(
            _ kind: LoadError.Kind, _ text: String, type: Int64, dims: [Int64] = [1], _ add: (inout Proto) -> Void = { _ in }
        ) {
            expectFailure(kind, text) { _ = try loadTensor(tensorProto("w", type: type, dims: dims, add: add)) }
        }
        fail(.tensor, "field 7 of TensorProto, expected 4", type: 1) { $0.packed(7, [1]) }
        fail(.tensor, "in two fields", type: 1) {
            $0.packed(7, [1]); $0.data(9, [0, 0, 0, 0])
        }
        fail(.tensor, "300 is no int8", type: 3) { $0.packed(5, [300]) }
        fail(.tensor, "is no uint32", type: 12) { $0.packed(11, [1 << 32]) }
        fail(.tensor, "70000 is no float16", type: 10) { $0.packed(5, [70000]) }
        fail(.tensor, "a field of numbers", type: 8) { $0.data(9, [1]) }
        fail(.tensor, "string_data", type: 1) { $0.string(6, "1") }
        fail(.unsupported, "isn't UTF-8", type: 8) { $0.data(6, [0xFF]) }
        fail(.unsupported, "element type 99 isn't known", type: 99)
        fail(.unsupported, "element type 0 isn't known", type: 0)
        fail(.unsupported, "segments", type: 1) { $0.message(3, Proto()) }
        fail(.unsupported, "data location 7", type: 1) { $0.int(14, 7) }
    }

    @Test func hostileShapes() {
        func fail(_ text: String, _ dims: [Int64]) {
            for field in [9, 5] {
                expectFailure(.tensor, text) {
                    _ = try loadTensor(tensorProto("w", type: 6, dims: dims) { $0.data(field, [1, 2, 3, 4]) })
                }
            }
        }
        fail("negative", [-1])
        fail("negative", [2, .min])
        fail("too many elements", [.max, .max])
        fail("too many elements", [1 << 32, 1 << 32])
        expectFailure(.tensor, "raw_data has 4 bytes") {
            _ = try loadTensor(tensorProto("w", type: 6, dims: [1 << 40]) { $0.data(9, [1, 2, 3, 4]) })
        }
        expectFailure(.tensor, "at most 4 numbers") {
            _ = try loadTensor(tensorProto("w", type: 6, dims: [1 << 40]) { $0.data(5, [1, 2, 3, 4]) })
        }
    }

    @Test func wrongSparseTensors() {
        func fail(
            _ kind: LoadError.Kind, _ text: String, values: [Float] = [1, 2], indices: [Int64], dims: [Int64],
            rank: Int64? = nil
        ) {
            expectFailure(kind, text) {
                var sparse = Proto()
                sparse.message(1, floatTensor("s", values))
                let shape = rank.map { [Int64(indices.count) / $0, $0] } ?? [Int64(indices.count)]
                sparse.message(2, tensorProto("", type: 7, dims: shape) { $0.packed(7, indices) })
                for extent in dims { sparse.int(3, extent) }
                var graph = Proto()
                graph.message(15, sparse)
                _ = try loadGraph(modelBytes(graph))
            }
        }
        fail(.tensor, "sparse tensor \"s\": the index 6", indices: [1, 6], dims: [2, 3])
        fail(.tensor, "the index -1", indices: [-1, 2], dims: [2, 3])
        fail(.tensor, "not above the one before", indices: [2, 2], dims: [2, 3])
        fail(.tensor, "the index 3 is outside of axis 1", indices: [0, 0, 1, 3], dims: [2, 3], rank: 2)
        fail(.tensor, "expected indices int64[2]", indices: [0, 1, 2], dims: [2, 3])
        fail(.limit, "loading takes more than 2147483648 bytes of memory", indices: [0, 1], dims: [1 << 40])
        fail(.tensor, "negative", indices: [0, 1], dims: [-5])
        expectFailure(.tensor, "both values and indices") {
            var graph = Proto()
            graph.message(15, Proto())
            _ = try loadGraph(modelBytes(graph))
        }
    }
}
