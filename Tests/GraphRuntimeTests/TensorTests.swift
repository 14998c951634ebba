import GraphRuntime
import TestSupport
import Testing

@Suite struct TensorTests {
    @Test func shapesCountAndRefuse() throws {
        #expect(try Shape([2, 3, 4]).count == 24)
        #expect(try Shape([2, 0, 4]).count == 0)
        #expect(Shape.scalar.count == 1)
        #expect(try Shape([2, 3, 4]).strides == [12, 4, 1])
        expectError("shape [2, -1] has a negative extent") { try Shape([2, -1]) }
        for extents in [[Int.max, 2], [1 << 40, 1 << 40], [Int.max, 0]] {
            expectError("shape \(extents) has too many elements") { try Shape(extents) }
        }
        #expect(try Shape([2, 3]).axis(-1) == 1)
        expectError("axis 2 is outside of the 2 axes of [2, 3]") { try Shape([2, 3]).axis(2) }
    }

    @Test func shapesBroadcast() throws {
        #expect(try Shape([2, 1, 4]).broadcast(with: Shape([3, 1])) == Shape([2, 3, 4]))
        #expect(try Shape([0]).broadcast(with: Shape([1])) == Shape([0]))
        #expect(try Shape.scalar.broadcast(with: Shape([5])) == Shape([5]))
        expectError("shapes [2] and [3] don't broadcast") { try Shape([2]).broadcast(with: Shape([3])) }
        #expect(try Shape([3, 1]).broadcastStrides(to: Shape([2, 3, 4])) == [0, 1, 0])
    }

    @Test func tensorsCheckTheirElements() throws {
        expectError("3 values don't fill shape [2]") { try Tensor([Float](repeating: 0, count: 3), shape: Shape([2])) }
        let tensor = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: Shape([2, 3]))
        expectError("expected a tensor of int32, found float32") { try tensor.array(of: Int32.self) }
        expectError("[2, 3] has 6 elements and can't become [4]") { try tensor.reshaped(to: Shape([4])) }
        try expectEqual(tensor.reshaped(to: Shape([3, 2])), [1, 2, 3, 4, 5, 6] as [Float])
        let storage = try TensorStorage(byteCount: 16)
        expectError("a float32 tensor of shape [4] doesn't fit 16 bytes from 4 on") {
            try Tensor(dtype: .float32, shape: Shape([4]), storage: storage, byteOffset: 4)
        }
    }

    @Test func halvesWidenExactly() throws {
        let patterns = (0...UInt16.max).map { Float16(bitPattern: $0) }
        let wide = try HalfPrecision.widen(try Tensor(patterns)).array(of: Float.self)
        for (pattern, value) in zip(patterns, wide) {
            #expect(pattern.isNaN ? value.isNaN : value.bitPattern == Float(pattern).bitPattern)
        }
    }

    @Test func floatsNarrowToTheNearest() throws {
        var random = SplitMix(state: 3)
        var floats = (0..<200_000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
        // Every half, both neighbours of it, and the midpoints where ties to even decide.
        for pattern in 0..<UInt16(0x7C00) {
            let value = Float(Float16(bitPattern: pattern))
            let middle = (value + Float(Float16(bitPattern: pattern).nextUp)) / 2
            floats += [value, value.nextUp, value.nextDown, middle, -middle, middle.nextUp, middle.nextDown]
        }
        let halves = try MutableTensor(dtype: .float16, shape: Shape([floats.count]))
        let brains = try MutableTensor(dtype: .bfloat16, shape: Shape([floats.count]))
        try HalfPrecision.narrow(Tensor(floats), into: halves)
        try HalfPrecision.narrow(Tensor(floats), into: brains)
        let found = try halves.tensor.array(of: Float16.self)
        let foundBrains = try brains.tensor.array(of: BFloat16.self)
        var wrong = 0
        for (index, value) in floats.enumerated() {
            let expected = Float16(value)
            if value.isNaN ? !found[index].isNaN : found[index].bitPattern != expected.bitPattern { wrong += 1 }
            let brain = foundBrains[index].float
            if value.isNaN {
                if !brain.isNaN { wrong += 1 }
            } else if abs(value) < 3.38e38, abs(brain - value) > abs(value) / 256 + .leastNormalMagnitude {
                wrong += 1
            }
        }
        #expect(wrong == 0)
    }
}
