import GraphRuntime
import Ops
import Testing

@Suite struct BiasFusionTests {
    private func matMul(
        _ dtype: DType, _ left: [Int], _ right: [Int], bias: [Int], isConstant: Bool = true, isFlipped: Bool = false
    ) throws -> [String: Int] {
        var g = FusionGraph(dtype)
        let product = g.node("MatMul", try g.input(left), try g.weights(right))
        let addend = isConstant ? try g.weights(bias) : try g.input(bias)
        return try g.fusions(isFlipped ? g.node("Add", addend, product) : g.node("Add", product, addend))
    }

    @Test(arguments: floatTypes) func matMulFires(dtype: DType) throws {
        let once = ["MatMul+bias": 1]
        #expect(try matMul(dtype, [2, 3, 5], [5, 7], bias: [7]) == once)
        #expect(try matMul(dtype, [2, 3, 5], [5, 7], bias: [7], isFlipped: true) == once)
        #expect(try matMul(dtype, [3, 5], [5, 7], bias: [1, 7]) == once)
        #expect(try matMul(dtype, [4, 3, 5], [4, 5, 7], bias: [7]) == once)
        #expect(try matMul(dtype, [7, 7], [7, 7], bias: [7]) == once)
        #expect(try matMul(dtype, [3, 5], [5, 1], bias: [1]) == once)
        #expect(try matMul(dtype, [3, 0], [0, 4], bias: [4]) == once)
    }

    @Test func matMulRefuses() throws {
        #expect(try matMul(.float64, [3, 5], [5, 7], bias: [7]).isEmpty)
        #expect(try matMul(.float32, [3, 5], [5, 7], bias: [7], isConstant: false).isEmpty)
        // One number for each row, each element, or all; a new axis; vectors.
        #expect(try matMul(.float32, [7, 7], [7, 7], bias: [7, 1]).isEmpty)
        #expect(try matMul(.float32, [7, 7], [7, 7], bias: [7, 7]).isEmpty)
        #expect(try matMul(.float32, [3, 5], [5, 7], bias: [1]).isEmpty)
        #expect(try matMul(.float32, [3, 5], [5, 7], bias: [1, 1, 7]).isEmpty)
        #expect(try matMul(.float32, [3, 5], [5, 1], bias: [3, 1]).isEmpty)
        #expect(try matMul(.float32, [3, 5], [5, 1], bias: [4]).isEmpty)
        #expect(try matMul(.float32, [3, 3], [3], bias: [3]).isEmpty)
        #expect(try matMul(.float32, [5], [5, 7], bias: [7]).isEmpty)
        var g = FusionGraph()
        let product = g.node("MatMul", try g.input([3, 5]), try g.weights([5, 7]))
        let first = g.node("Add", product, try g.weights([7]))
        #expect(try g.fusions(first, product).isEmpty)
        // Two biases: the second stays an Add.
        let second = g.node("Add", first, try g.weights([7]))
        #expect(try g.fusions(second) == ["MatMul+bias": 1])
        #expect(try g.fusions(second, g.node("Neg", product)).isEmpty)
    }

    private func conv(
        _ dtype: DType, _ input: [Int], _ weights: [Int], bias: [Int], isConstant: Bool = true, hasBias: Bool = false
    ) throws -> [String: Int] {
        var g = FusionGraph(dtype)
        let (x, w) = (try g.input(input), try g.weights(weights))
        let product = hasBias ? g.node("Conv", x, w, try g.weights([weights[0]])) : g.node("Conv", x, w)
        return try g.fusions(g.node("Add", product, isConstant ? try g.weights(bias) : try g.input(bias)))
    }

    @Test(arguments: floatTypes) func convFires(dtype: DType) throws {
        let once = ["Conv+bias": 1]
        #expect(try conv(dtype, [2, 3, 5, 4], [6, 3, 1, 2], bias: [6, 1, 1]) == once)
        #expect(try conv(dtype, [2, 3, 5, 4], [6, 3, 1, 2], bias: [1, 6, 1, 1]) == once)
        #expect(try conv(dtype, [2, 3, 5, 4], [6, 3, 1, 2], bias: []) == once)
        #expect(try conv(dtype, [2, 3, 5], [6, 3, 1], bias: [6, 1]) == once)
        #expect(try conv(dtype, [5, 5, 5, 5], [5, 5, 1, 1], bias: [5, 1, 1]) == once)
        #expect(try conv(dtype, [1, 5, 5, 5], [1, 5, 1, 1], bias: [1]) == once)
    }

    @Test func convRefuses() throws {
        #expect(try conv(.float64, [2, 3, 5, 4], [6, 3, 1, 2], bias: [6, 1, 1]).isEmpty)
        #expect(try conv(.float32, [2, 3, 5, 4], [6, 3, 1, 2], bias: [6, 1, 1], isConstant: false).isEmpty)
        #expect(try conv(.float32, [2, 3, 5, 4], [6, 3, 1, 2], bias: [6, 1, 1], hasBias: true).isEmpty)
        // Along pictures, rows and columns of as many as there are channels; a new axis.
        #expect(try conv(.float32, [5, 5, 5, 5], [5, 5, 1, 1], bias: [5]).isEmpty)
        #expect(try conv(.float32, [5, 5, 5, 5], [5, 5, 1, 1], bias: [5, 1]).isEmpty)
        #expect(try conv(.float32, [5, 5, 5, 5], [5, 5, 1, 1], bias: [5, 1, 1, 1]).isEmpty)
        #expect(try conv(.float32, [1, 5, 5, 5], [1, 5, 1, 1], bias: [5, 1, 1]).isEmpty)
        #expect(try conv(.float32, [2, 3, 5, 4], [6, 3, 1, 2], bias: [1, 1, 1, 1, 1]).isEmpty)
        var g = FusionGraph()
        let product = g.node("Conv", try g.input([1, 3, 5, 5]), try g.weights([2, 3, 3, 3]))
        let y = g.node("Add", product, try g.weights([2, 1, 1]))
        #expect(try g.fusions(y, product).isEmpty)
    }
}

@Suite struct ResidualFusionTests {
    private func counts(
        _ left: [Int], _ right: [Int], residual: [Int], dtype: DType = .float32, hasBias: Bool = true, isConstant: Bool = false,
        isFlipped: Bool = false
    ) throws -> [String: Int] {
        var g = FusionGraph(dtype)
        var product = g.node("MatMul", try g.input(left), try g.weights(right))
        if hasBias { product = g.node("Add", product, try g.weights([right[right.count - 1]])) }
        let addend = isConstant ? try g.weights(residual) : try g.input(residual)
        return try g.fusions(isFlipped ? g.node("Add", addend, product) : g.node("Add", product, addend))
    }

    @Test(arguments: floatTypes) func fires(dtype: DType) throws {
        for (left, right, shape) in [
            ([2, 3, 5], [5, 7], [2, 3, 7]), ([40, 17], [17, 70], [40, 70]), ([4, 3, 5], [4, 5, 7], [4, 3, 7]),
            ([3, 5], [5, 1], [3, 1]), ([3, 0], [0, 4], [3, 4]), ([2, 300], [300, 3], [2, 3]),
            ([130, 70], [70, 600], [130, 600]),
        ] {
            for isFlipped in [false, true] {
                let both = try counts(left, right, residual: shape, dtype: dtype, isFlipped: isFlipped)
                #expect(both == ["MatMul+bias": 1, "MatMul+residual": 1])
            }
            #expect(try counts(left, right, residual: shape, dtype: dtype, hasBias: false) == ["MatMul+residual": 1])
        }
    }

    @Test func refuses() throws {
        #expect(try counts([3, 5], [5, 7], residual: [3, 7], dtype: .float64).isEmpty)
        let bias = ["MatMul+bias": 1]
        // A constant, and values that broadcast, or that the product broadcasts to.
        #expect(try counts([3, 5], [5, 7], residual: [3, 7], isConstant: true) == bias)
        #expect(try counts([3, 5], [5, 7], residual: [1, 7]) == bias)
        #expect(try counts([3, 5], [5, 7], residual: [3, 1]) == bias)
        #expect(try counts([3, 5], [5, 7], residual: [2, 3, 7]) == bias)
        #expect(try counts([1, 5], [5, 7], residual: [3, 7]) == bias)
        // The product twice, a product that somebody else reads, and a second residual.
        var g = FusionGraph()
        let product = g.node("MatMul", try g.input([3, 5]), try g.weights([5, 7]))
        #expect(try g.fusions(g.node("Add", product, product)).isEmpty)
        let sum = g.node("Add", product, try g.input([3, 7]))
        #expect(try g.fusions(sum, g.node("Neg", product)).isEmpty)
        #expect(try g.fusions(sum, product).isEmpty)
        #expect(try g.fusions(g.node("Add", sum, try g.input([3, 7]))) == ["MatMul+residual": 1])
    }
}
