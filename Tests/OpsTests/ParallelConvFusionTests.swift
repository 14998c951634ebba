import GraphRuntime
import Ops
import Testing

/// Branches of one input whose sum is one convolution; each graph gives the same with the optimizer on and off.
@Suite struct ParallelConvFusionTests {
    private static let padded = NodeAttributes(["pads": .ints([1, 1, 1, 1])])

    private func norm(_ g: inout FusionGraph, _ x: ValueID, _ channels: Int) throws -> ValueID {
        let p = try [0, 1, 2].map { _ in try g.weights([channels]) }
        let variance = g.constant(try Tensor((0..<channels).map { 0.25 + Float($0 % 7) / 4 }))
        return g.node("BatchNormalization", x, p[0], p[1], p[2], variance)
    }

    /// The block of RepVGG (a 3×3 and a 1×1 convolution, and the input, each normalised) in both orders of each sum.
    @Test(arguments: [1, 2, 8], [false, true]) func mergesBlocks(group: Int, isTurned: Bool) throws {
        var g = FusionGraph()
        let x = try g.input([2, 8, 7, 9])
        func conv(_ kernel: [Int], _ values: KeyValuePairs<String, AttributeValue>) throws -> ValueID {
            let weights = try g.weights([8, 8 / group] + kernel)
            return try norm(&g, g.node("Conv", x, weights, attributes: NodeAttributes(values)), 8)
        }
        let branches = [
            try conv([3, 3], ["pads": .ints([1, 1, 1, 1]), "group": .int(Int64(group))]),
            try conv([1, 1], ["group": .int(Int64(group))]), try norm(&g, x, 8),
        ]
        let sum =
            isTurned
            ? g.node("Add", branches[2], g.node("Add", branches[1], branches[0]))
            : g.node("Add", g.node("Add", branches[0], branches[1]), branches[2])
        let y = g.node("Relu", sum)
        #expect(try g.nodeCount(y) == 1)
        // Of several fusions that come before shapes are known, the last one counts.
        #expect(try g.fusions(y) == ["Conv+Conv": 1, "Conv+activation": 1])
    }

    /// Several 1×1 convolutions and a scaled input, as MobileOne has them.
    @Test func mergesPointwiseConvolutions() throws {
        var g = FusionGraph()
        let x = try g.input([1, 6, 5, 4])
        var sum = try norm(&g, x, 6)
        for bias in [false, true, false] {
            let w = try g.weights([6, 6, 1, 1])
            sum = g.node("Add", sum, bias ? g.node("Conv", x, w, try g.weights([6])) : g.node("Conv", x, w))
        }
        #expect(try g.nodeCount(sum) == 1)
        #expect(try g.fusions(sum) == ["Conv+Conv": 1])
    }

    @Test func mergesOneAxisAndDilations() throws {
        var g = FusionGraph()
        let x = try g.input([2, 4, 23])
        let wide = NodeAttributes(["pads": .ints([6, 6]), "dilations": .ints([3]), "strides": .ints([2])])
        let first = g.node("Conv", x, try g.weights([5, 4, 5]), attributes: wide)
        let second = g.node("Conv", x, try g.weights([5, 4, 5]), attributes: wide)
        let third = g.node("Conv", x, try g.weights([5, 4, 1]), attributes: NodeAttributes(["strides": .ints([2])]))
        let y = g.node("Add", g.node("Add", third, first), second)
        #expect(try g.nodeCount(y) == 1)
        #expect(try g.fusions(y) == ["Conv+Conv": 1])
    }

    @Test func refusesBranches() throws {
        func count(
            _ other: (inout FusionGraph, _ x: ValueID, _ first: ValueID) throws -> [ValueID]
        ) throws -> Int {
            var g = FusionGraph()
            let x = try g.input([1, 4, 6, 6])
            let first = g.node("Conv", x, try g.weights([4, 4, 3, 3]), attributes: Self.padded)
            return try g.fusions(other(&g, x, first))["Conv+Conv", default: 0]
        }
        func sum(_ g: inout FusionGraph, _ first: ValueID, _ second: ValueID) -> [ValueID] { [g.node("Add", first, second)] }
        func conv(_ g: inout FusionGraph, _ x: ValueID, _ w: ValueID, _ attributes: NodeAttributes) -> ValueID {
            g.node("Conv", x, w, attributes: attributes)
        }
        #expect(try count { g, x, y in sum(&g, y, conv(&g, x, try g.weights([4, 4, 3, 3]), Self.padded)) } == 1)
        // Another input, windows in other places, other outputs that broadcast, and what others read too.
        #expect(
            try count { g, _, y in
                let other = try g.input([1, 4, 6, 6])
                return sum(&g, y, conv(&g, other, try g.weights([4, 4, 3, 3]), Self.padded))
            } == 0)
        let shifted = NodeAttributes(["pads": .ints([2, 1, 0, 1])])
        #expect(try count { g, x, y in sum(&g, y, conv(&g, x, try g.weights([4, 4, 3, 3]), shifted)) } == 0)
        let grown = NodeAttributes(["pads": .ints([0, 1, 1, 0])])
        #expect(try count { g, x, y in sum(&g, y, conv(&g, x, try g.weights([4, 4, 2, 2]), grown)) } == 0)
        let grouped = NodeAttributes(["pads": .ints([1, 1, 1, 1]), "group": .int(2)])
        #expect(try count { g, x, y in sum(&g, y, conv(&g, x, try g.weights([4, 2, 3, 3]), grouped)) } == 0)
        #expect(try count { g, x, y in sum(&g, y, conv(&g, x, try g.weights([1, 4, 3, 3]), Self.padded)) } == 0)
        #expect(
            try count { g, x, y in
                let second = conv(&g, x, try g.weights([4, 4, 3, 3]), Self.padded)
                return sum(&g, y, second) + [second]
            } == 0)
        #expect(try count { g, _, y in sum(&g, y, y) } == 0)
        // Weights whose terms would leave the range.
        for weight: Float in [1e19, 3e38, .infinity, .nan] {
            #expect(
                try count { g, x, y in
                    let w = g.constant(try Tensor([Float](repeating: weight, count: 144), shape: Shape([4, 4, 3, 3])))
                    return sum(&g, y, conv(&g, x, w, Self.padded))
                } == 0)
        }
        // Fewer channels than the input has.
        var g = FusionGraph()
        let x = try g.input([1, 4, 6, 6])
        let narrow = conv(&g, x, try g.weights([1, 4, 3, 3]), Self.padded)
        #expect(try g.fusions(g.node("Add", try norm(&g, x, 4), narrow))["Conv+Conv"] == nil)
    }

    /// What no shape was inferred for yet may be anything: it is refused, or an error, and takes no memory.
    @Test func refusesHugeExtents() throws {
        let shapes: [([Int], Int64)] = [
            ([1 << 48, 0, 1, 1], 1), ([1 << 20, 1 << 20, 0, 3], 1), ([0, 1 << 40, 3, 3], 1), ([4, 4, 3, 3], 1 << 62),
            ([4, 4, 3, 3], .max),
        ]
        for (shape, group) in shapes {
            var g = FusionGraph()
            let x = try g.input([1, 4, 6, 6])
            let count = shape.contains(0) ? 0 : 144
            let w = g.constant(try Tensor([Float](repeating: 1, count: count), shape: Shape(shape)))
            let y = g.node("Conv", x, w, attributes: NodeAttributes(["group": .int(group), "pads": .ints([1, 1, 1, 1])]))
            for other in [g.node("Relu", x), try norm(&g, x, 4)] {
                #expect((try? g.fusions(g.node("Add", y, other)))?["Conv+Conv"] == nil)
            }
        }
    }

    /// A mean of many standard deviations is subtracted before anything is rounded.
    @Test(arguments: [(1, true), (1e4, false)] as [(Float, Bool)])
    func keepsFarMeans(mean: Float, isMerged: Bool) throws {
        var g = FusionGraph()
        let x = try g.input([1, 2, 5, 5])
        let y = g.node("Conv", x, try g.weights([2, 2, 3, 3]), attributes: Self.padded)
        let (scale, bias) = (try g.weights([2]), try g.weights([2]))
        let (means, variances) = (g.constant(try Tensor([mean, 0])), g.constant(try Tensor([1 as Float, 1])))
        let sum = g.node("Add", y, g.node("BatchNormalization", x, scale, bias, means, variances))
        #expect(try g.fusions(sum)["Conv+Conv"] == (isMerged ? 1 : nil))
    }

    /// Weights that a session may be given other values for stay.
    @Test func keepsReplaceableWeights() throws {
        var g = FusionGraph()
        let (x, w) = (try g.input([1, 2, 4, 4]), try g.weights([3, 2, 3, 3]))
        let y = g.node("Add", g.node("Conv", x, w), g.node("Conv", x, try g.weights([3, 2, 3, 3])))
        g.graph.replaceable = [w]
        #expect(try g.fusions(y)["Conv+Conv"] == nil)
    }
}
