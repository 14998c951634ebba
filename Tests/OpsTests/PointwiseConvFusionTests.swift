import GraphRuntime
import Ops
import Testing

@Suite struct PointwiseConvFusionTests {
    enum Side: CaseIterable { case before, behind }

    /// A Conv with a Transpose before it or behind it, and chances to spoil that.
    private struct Form {
        var side: Side
        /// Of the pictures that the Conv reads, channels first.
        var input = [2, 5, 7, 13]
        var outputChannels = 3
        var kernel = 1
        var group: Int64 = 1
        var stride: Int64 = 1
        var hasBias = true
        var isConstant = true
        var isInFile = false
        var permutation: [Int64]?
        var readsMiddle = false

        func counts(_ dtype: DType = .float32) throws -> [String: Int] {
            var g = FusionGraph(dtype)
            let rank = input.count
            let spatial = Array(2..<Int64(rank))
            let channelsFirst = [0, Int64(rank - 1)] + (1..<Int64(rank - 1))
            let permutation = permutation ?? (side == .before ? channelsFirst : [0] + spatial + [1])
            let transposition = NodeAttributes(["perm": .ints(permutation)])
            let weightShape = [outputChannels, input[1] / Int(group)] + Array(repeating: kernel, count: rank - 2)
            let attributes = NodeAttributes([
                "group": .int(group), "strides": .ints(spatial.map { _ in stride }),
                "pads": .ints((0..<2 * (rank - 2)).map { _ in Int64(kernel / 2) }),
            ])
            func conv(_ x: ValueID, _ g: inout FusionGraph) throws -> ValueID {
                let weights = isConstant ? try g.weights(weightShape, isInFile: isInFile) : try g.input(weightShape)
                guard hasBias else { return g.node("Conv", x, weights, attributes: attributes) }
                return g.node("Conv", x, weights, try g.weights([outputChannels], isInFile: isInFile), attributes: attributes)
            }
            let middle: ValueID
            let y: ValueID
            switch side {
            case .before:
                // As the permutation has it, the Conv reads `input`.
                var shape = input
                for (axis, source) in permutation.enumerated() { shape[Int(source)] = input[axis] }
                middle = g.node("Transpose", try g.input(shape), attributes: transposition)
                y = try conv(middle, &g)
            case .behind:
                middle = try conv(try g.input(input), &g)
                y = g.node("Transpose", middle, attributes: transposition)
            }
            return try readsMiddle ? g.fusions(y, g.node("Neg", middle)) : g.fusions(y)
        }

        func count(_ dtype: DType = .float32) throws -> Int {
            try counts(dtype)[side == .before ? "Transpose+Conv" : "Conv+Transpose"] ?? 0
        }
    }

    @Test(arguments: floatTypes, Side.allCases) func fires(dtype: DType, side: Side) throws {
        // One of everything, parts of tiles and panels, more rows than are kept, one spatial axis and three.
        for (input, outputs) in [
            ([1, 1, 1, 1], 1), ([2, 5, 7, 13], 3), ([1, 40, 9, 4], 70), ([3, 33, 40, 41], 34), ([2, 6, 50], 9),
            ([1, 17, 3, 5, 7], 20),
        ] {
            for (hasBias, isInFile) in [(true, false), (true, true), (false, true)] {
                let form = Form(side: side, input: input, outputChannels: outputs, hasBias: hasBias, isInFile: isInFile)
                #expect(try form.count(dtype) == 1)
            }
        }
        #expect(try Form(side: side, isConstant: false).count(dtype) == 1)
    }

    @Test(arguments: Side.allCases) func refuses(side: Side) throws {
        #expect(try Form(side: side).count(.float64) == 0)
        // Kernels of more pixels, groups, strides; another order of the axes; a value that somebody else reads.
        #expect(try Form(side: side, kernel: 3).count() == 0)
        #expect(try Form(side: side, input: [2, 6, 7, 13], group: 3).count() == 0)
        #expect(try Form(side: side, stride: 2).count() == 0)
        #expect(try Form(side: side, input: [2, 5, 7, 7], permutation: [0, 1, 3, 2]).count() == 0)
        #expect(
            try Form(side: side, input: [2, 5, 7, 7], permutation: side == .before ? [0, 2, 3, 1] : [0, 3, 1, 2]).count() == 0)
        #expect(try Form(side: side, input: [2, 5, 7, 7], permutation: [3, 0, 1, 2]).count() == 0)
        #expect(try Form(side: side, readsMiddle: true).count() == 0)
    }
}
