import GraphRuntime
import Ops
import Testing

/// softmax(s · Q · Kᵀ + mask) · V as exporters write it, with chances to spoil it.
@Suite struct AttentionFusionTests {
    /// Where the scores are scaled.
    enum Scale: CaseIterable { case none, scores, quotient, query, bothOperands }

    private struct Form {
        var batch = 2
        var heads = 3
        /// Heads of the keys and values.
        var keyHeads = 3
        var queries = 5
        var keys = 7
        /// Whether heads are folded into the batch, as in torch.bmm's form.
        var isFolded = false
        /// Whether keys are transposed in one step from [B, S, H, E] to [B, H, E, S].
        var hasJoinedKeys = false
        /// The extents that keys are folded to for their transpose alone, as torch.onnx with dynamo writes it; nil for no folding.
        var foldedKeys: [Int64]?
        var isKeyTransposed = true
        var scale = Scale.scores
        var factorShape: [Int] = []
        var mask: [Int]?
        var isMaskFirst = false
        var axis: Int64 = -1
        var softmax = "Softmax"
        /// Whether a Cast to the type that is there already follows the softmax, as torch.onnx writes it.
        var hasCast = false
        var mergesHeads = true
        let width = 4

        func build(_ g: inout FusionGraph) throws -> (y: ValueID, inner: [ValueID]) {
            let query = try scaled(&g, split(&g, queries, heads), scale == .query || scale == .bothOperands)
            let key = try scaled(&g, transposedKeys(&g), scale == .bothOperands)
            let value = try split(&g, keys, keyHeads)
            let product = g.node("MatMul", query, key)
            var inner = [product]
            var scores = try scaled(&g, product, scale == .scores)
            if scale == .quotient { scores = g.node("Div", product, try g.scalar(2, factorShape)) }
            inner.append(scores)
            if let mask {
                let addend = try g.input(mask)
                scores = isMaskFirst ? g.node("Add", addend, scores) : g.node("Add", scores, addend)
                inner.append(scores)
            }
            var weights = g.node(softmax, scores, attributes: NodeAttributes(["axis": .int(axis)]))
            inner.append(weights)
            if hasCast {
                weights = g.node("Cast", weights, attributes: NodeAttributes(["to": .int(Int64(g.dtype.rawValue))]))
            }
            let attended = g.node("MatMul", weights, value)
            return (mergesHeads ? try merged(&g, attended) : attended, inner)
        }

        /// [B, rows, H, E] as [B, H, rows, E] or [B·H, rows, E].
        private func split(_ g: inout FusionGraph, _ rows: Int, _ heads: Int) throws -> ValueID {
            let x = try g.input([batch, rows, heads, width])
            return try folded(&g, g.node("Transpose", x, attributes: permutation([0, 2, 1, 3])), [heads, rows, width])
        }

        private func transposedKeys(_ g: inout FusionGraph) throws -> ValueID {
            if hasJoinedKeys {
                let x = try g.input([batch, keys, keyHeads, width])
                return g.node("Transpose", x, attributes: permutation([0, 2, 3, 1]))
            }
            guard isKeyTransposed else {
                return try g.input(isFolded ? [batch * heads, width, keys] : [batch, heads, width, keys])
            }
            let key = try split(&g, keys, keyHeads)
            if let foldedKeys {
                let folded = g.node("Reshape", key, g.constant(try Tensor(foldedKeys)))
                let transposed = g.node("Transpose", folded, attributes: permutation([0, 2, 1]))
                let shape = [batch, keyHeads, width, keys].map { Int64($0) }
                return g.node("Reshape", transposed, g.constant(try Tensor(shape)))
            }
            return g.node("Transpose", key, attributes: permutation(isFolded ? [0, 2, 1] : [0, 1, 3, 2]))
        }

        private func folded(_ g: inout FusionGraph, _ x: ValueID, _ extents: [Int]) throws -> ValueID {
            guard isFolded else { return x }
            let shape = [batch * extents[0], extents[1], extents[2]].map { Int64($0) }
            return g.node("Reshape", x, g.constant(try Tensor(shape)))
        }

        /// [B, rows, H, E] again.
        private func merged(_ g: inout FusionGraph, _ x: ValueID) throws -> ValueID {
            var current = x
            if isFolded {
                let shape = [batch, heads, queries, width].map { Int64($0) }
                current = g.node("Reshape", x, g.constant(try Tensor(shape)))
            }
            return g.node("Transpose", current, attributes: permutation([0, 2, 1, 3]))
        }

        private func scaled(_ g: inout FusionGraph, _ x: ValueID, _ isScaled: Bool) throws -> ValueID {
            isScaled ? g.node("Mul", x, try g.scalar(0.5, factorShape)) : x
        }

        private func permutation(_ axes: [Int64]) -> NodeAttributes { NodeAttributes(["perm": .ints(axes)]) }

        func count(_ dtype: DType = .float32) throws -> Int {
            var g = FusionGraph(dtype)
            let y = try build(&g).y
            return try g.fusions(y)["Attention"] ?? 0
        }

        /// How many nodes are left.
        func nodeCount() throws -> Int {
            var g = FusionGraph()
            let y = try build(&g).y
            return try g.nodeCount(y)
        }
    }

    @Test(arguments: [.float32, .float16] as [DType], Scale.allCases) func fires(dtype: DType, scale: Scale) throws {
        for isFolded in [false, true] {
            #expect(try Form(isFolded: isFolded, scale: scale).count(dtype) == 1)
            #expect(try Form(isFolded: isFolded, scale: scale, hasCast: true).count(dtype) == 1)
            #expect(try Form(isFolded: isFolded, scale: scale, mergesHeads: false).count(dtype) == 1)
            #expect(try Form(isFolded: isFolded, scale: scale, factorShape: [1]).count(dtype) == 1)
        }
        #expect(try Form(hasJoinedKeys: true, scale: scale).count(dtype) == 1)
        #expect(try Form(foldedKeys: [-1, 7, 4], scale: scale).count(dtype) == 1)
        for isMaskFirst in [false, true] {
            for mask in [[2, 1, 5, 7], [2, 3, 5, 7], [5, 7], [1, 1, 1, 7]] {
                #expect(try Form(scale: scale, mask: mask, isMaskFirst: isMaskFirst).count(dtype) == 1)
            }
        }
    }

    /// The transposes around it become strides.
    /// A key that a mask hides from every query still makes NaN of them where it, or its value, is infinite: 0 · ∞, as written out.
    @Test(arguments: [false, true], [Float.infinity, .greatestFiniteMagnitude])
    func infinitiesOfHiddenKeys(isValue: Bool, limit: Float) throws {
        var g = FusionGraph()
        let (query, key, value) = (try g.input([1, 2, 40, 16]), try g.input([1, 2, 16, 40]), try g.input([1, 2, 40, 16]))
        let place = isValue ? value : key
        var numbers = try #require(g[place]).array(of: Float.self)
        numbers[isValue ? 35 * 16 + 3 : 3 * 40 + 35] = .infinity
        g[place] = try Tensor(numbers, shape: #require(g[place]).shape)
        let hidden = (0..<40 * 40).map { $0 % 40 >= 30 ? -limit : 0 }
        let scores = g.node("Add", g.node("MatMul", query, key), g.constant(try Tensor(hidden, shape: Shape([40, 40]))))
        let weights = g.node("Softmax", scores, attributes: NodeAttributes(["axis": .int(-1)]))
        let y = g.node("MatMul", weights, value)
        let (fused, written, _) = try g.results(y, threads: ThreadPool(threadCount: 2))
        let (found, expected) = (try fused.array(of: Float.self), try written.array(of: Float.self))
        #expect(expected.contains { $0.isNaN })
        #expect(found.map(\.isNaN) == expected.map(\.isNaN))
    }

    @Test func readsHeadsWhereTheyLie() throws {
        #expect(try Form().nodeCount() == 1)
        #expect(try Form(hasJoinedKeys: true).nodeCount() == 1)
        #expect(try Form(foldedKeys: [-1, 7, 4]).nodeCount() == 1)
        #expect(try Form(mask: [2, 1, 5, 7]).nodeCount() == 1)
        #expect(try Form(isFolded: true).nodeCount() == 1)
        #expect(try Form(mergesHeads: false).nodeCount() == 1)
        // One head, and extents of which several are the same.
        #expect(try Form(heads: 1, keyHeads: 1).nodeCount() <= 2)
        #expect(try Form(batch: 3, queries: 3, keys: 3).nodeCount() == 1)
        #expect(try Form(batch: 4, heads: 4, keyHeads: 4, queries: 4, keys: 4, isFolded: true).nodeCount() == 1)
    }

    @Test(arguments: [false, true]) func refuses(isFolded: Bool) throws {
        #expect(try Form(isFolded: isFolded).count(.float64) == 0)
        // Over the queries in the place of the keys, and another function.
        #expect(try Form(isFolded: isFolded, axis: -2).count() == 0)
        #expect(try Form(queries: 7, isFolded: isFolded, axis: -2).count() == 0)
        #expect(try Form(isFolded: isFolded, axis: 0).count() == 0)
        #expect(try Form(isFolded: isFolded, softmax: "LogSoftmax").count() == 0)
        #expect(try Form(isFolded: isFolded, softmax: "Hardmax").count() == 0)
        // Keys that come column by column.
        #expect(try Form(isFolded: isFolded, isKeyTransposed: false).count() == 0)
        // A factor that adds an axis.
        let rank = isFolded ? 3 : 4
        #expect(
            try Form(isFolded: isFolded, factorShape: Array(repeating: 1, count: rank + 1), mergesHeads: false).count() == 0)
        for mask in [nil, isFolded ? nil : [2, 1, 5, 7]] {
            let form = Form(isFolded: isFolded, mask: mask)
            var g = FusionGraph()
            let count = try form.build(&g).inner.count
            for index in 0..<count {
                var written = FusionGraph()
                let (y, inner) = try form.build(&written)
                #expect(try written.fusions(y, inner[index]).isEmpty, "inner value \(index) is an output")
                let reader = written.node("Neg", inner[index])
                #expect(try written.fusions(y, reader).isEmpty, "inner value \(index) is read elsewhere")
            }
        }
    }

    @Test func refusesOtherBroadcasts() throws {
        // Keys that are read as if they were wider.
        #expect(try Form(foldedKeys: [-1, 4, 7]).count() == 0)
        // One head of keys and values for all of the queries'.
        #expect(try Form(keyHeads: 1).count() == 0)
        // A mask with more axes than the scores, and one on scores without heads.
        #expect(try Form(mask: [1, 2, 1, 5, 7], mergesHeads: false).count() == 0)
        #expect(try Form(isFolded: true, mask: [6, 5, 7]).count() == 0)
    }

    /// What is merged may be read elsewhere too: the attention then stays with its heads first.
    @Test func keepsHeadsThatAreReadElsewhere() throws {
        var g = FusionGraph()
        let form = Form(mergesHeads: false)
        let attended = try form.build(&g).y
        let merged = g.node("Transpose", attended, attributes: NodeAttributes(["perm": .ints([0, 2, 1, 3])]))
        let other = g.node("Neg", attended)
        #expect(try g.fusions(merged, other) == ["Attention": 1])
        #expect(try g.fusions(merged, attended) == ["Attention": 1])
    }
}
