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
        #expect(
            try conv(.float32, [2, 3, 5, 4], [6, 3, 1, 2], bias: [6, 1, 1], hasBias: true) == ["Conv+scale": 1])
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

@Suite struct GatedMatMulFusionTests {
    private struct Form {
        var left = [2, 3, 5]
        var right = [5, 34]
        var hasBias = true
        var isConstant = true
        var isInFile = false
        var hasResidual = false
        var readsProduct = false

        func counts(_ dtype: DType = .float32) throws -> [String: Int] {
            var g = FusionGraph(dtype)
            let width = right[right.count - 1]
            var product = g.node(
                "MatMul", try g.input(left), isConstant ? try g.weights(right, isInFile: isInFile) : try g.input(right))
            if hasBias { product = g.node("Add", product, try g.weights([width], isInFile: isInFile)) }
            if hasResidual { product = g.node("Add", product, try g.input(left.dropLast() + [width])) }
            let (values, gate) = g.nodes("Split", product, attributes: NodeAttributes(["axis": .int(-1)]))
            let erf = g.node("Erf", g.node("Div", gate, try g.scalar(Float(2).squareRoot())))
            let gelu = g.node("Mul", g.node("Mul", gate, g.node("Add", erf, try g.scalar(1))), try g.scalar(0.5))
            let y = g.node("Mul", values, gelu)
            return try readsProduct ? g.fusions(y, g.node("Neg", product)) : g.fusions(y)
        }
    }

    @Test(arguments: floatTypes, [false, true]) func fires(dtype: DType, isInFile: Bool) throws {
        // Parts of panels; one panel, several; a few rows, parts of tiles, more than one slice of rows; more columns than a block.
        for (left, right) in [
            ([2, 3, 5], [5, 34]), ([4, 6], [6, 32]), ([1, 40], [40, 64]), ([2, 17, 40], [40, 96]), ([3, 300, 70], [70, 64]),
            ([1300, 33], [33, 128]), ([30, 900], [900, 1344]),
        ] {
            let form = Form(left: left, right: right, isInFile: isInFile)
            #expect(try form.counts(dtype) == ["GELU": 1, "GEGLU": 1, "MatMul+bias": 1, "MatMul+GEGLU": 1])
        }
        // Without a bias; by a matrix that is computed.
        for form in [Form(hasBias: false, isInFile: isInFile), Form(right: [5, 64], hasBias: false, isConstant: false)] {
            #expect(try form.counts(dtype) == ["GELU": 1, "GEGLU": 1, "MatMul+GEGLU": 1])
        }
    }

    @Test func refuses() throws {
        func count(_ form: Form, _ dtype: DType = .float32) throws -> Int { try form.counts(dtype)["MatMul+GEGLU"] ?? 0 }
        #expect(try count(Form(), .float64) == 0)
        // A matrix for each of the batch; a sum of two values, and one that somebody else reads; nothing to add up.
        #expect(try count(Form(right: [2, 5, 34])) == 0)
        #expect(try count(Form(hasResidual: true)) == 0)
        #expect(try count(Form(readsProduct: true)) == 0)
        #expect(try count(Form(left: [2, 0], right: [0, 34])) == 0)
    }
}
