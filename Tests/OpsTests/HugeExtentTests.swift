import GraphRuntime
import Ops
import TestSupport
import Testing

/// Shapes without elements may have any extents beside the zero: nothing may be made for each of these.
@Suite struct HugeExtentTests {
    private static let huge = 1 << 40

    private func empty(_ dimensions: [Int]) throws -> Tensor { try Tensor([Float](), shape: Shape(dimensions)) }

    @Test(arguments: ["MaxPool", "AveragePool", "LpPool"]) func poolsNothing(type: String) throws {
        for dimensions in [[0, 1, Self.huge], [1, 0, Self.huge]] {
            let y = try run(
                type, version: type == "LpPool" ? 18 : 12, attributes: NodeAttributes(["kernel_shape": .ints([1])]),
                inputs: [empty(dimensions)])
            #expect(y[0].shape.dimensions == dimensions)
        }
    }

    @Test func normalizesNothing() throws {
        let (x, scale) = (try empty([Self.huge, 0]), try empty([0]))
        #expect(try run("LayerNormalization", version: 17, inputs: [x, scale, scale])[0].shape == x.shape)
        #expect(try run("RMSNormalization", version: 23, inputs: [x, scale])[0].shape == x.shape)
        // The mean of nothing, where it is asked for.
        let small = try run(
            "LayerNormalization", version: 17, inputs: [empty([3, 0]), scale, scale], outputCount: 3)
        #expect(try small[1].array(of: Float.self).allSatisfy(\.isNaN) && small[1].count == 3)
    }

    @Test func samplesNothing() throws {
        let y = try run("GridSample", version: 20, inputs: [empty([1, 0, 2, 2]), floats([0, 0, 1, 1], [1, 1, 2, 2])])
        #expect(y[0].shape.dimensions == [1, 0, 1, 2])
    }

    @Test func indexesNothing() throws {
        let indices = try Tensor([Int64](), shape: Shape([Self.huge, 0]))
        let nothing = try empty([0])
        #expect(try run("GatherND", version: 13, inputs: [nothing, indices])[0].shape.dimensions == [Self.huge, 0])
        #expect(
            try run("ScatterND", version: 18, inputs: [nothing, indices, empty([Self.huge, 0])])[0].shape.dimensions == [0])
        // Constant indices that aren't checked against the updates before the run.
        var g = FusionGraph()
        let (data, updates) = (try g.input([1]), try g.input([1]))
        let y = g.node("ScatterND", data, g.constant(indices), updates)
        #expect(throws: (any Error).self) { try g.fusions(y) }
    }

    /// Bytes other than 0 and 1 are truth values all the same.
    @Test func takesBitsForTruth() throws {
        let bytes = try Tensor([0, 1, 2, 255] as [UInt8], shape: Shape([4]))
        let y = try run(
            "BitCast", version: 26, attributes: NodeAttributes(["to": .int(Int64(DType.bool.rawValue))]), inputs: [bytes])
        #expect(try y[0].array(of: Bool.self) == [false, true, true, true])
        #expect(try Array(y[0].bytes) == [0, 1, 1, 1])
    }
}
