import GraphRuntime
import Ops
import Testing

/// A pattern that a fusion takes, with what may be put in its way.
struct FusionPattern: Sendable, CustomStringConvertible {
    let description: String
    /// The fusions that have to fire.
    let fusions: [String]
    /// How far the results may be apart, relative to what the numbers that were added up are like.
    var bound: Float = 2e-6
    /// Whether the result grows with each of the replaced values.
    var isProduct = false
    /// Whether the replaced values are in scores of a softmax, or in what it weighs.
    var isAttention: Bool { fusions.contains("Attention") }
    /// Returns the result, and the inputs and constants whose values are replaced.
    let build: @Sendable (inout FusionGraph) throws -> (y: ValueID, spoiled: [ValueID])

    init(
        _ description: String, _ fusions: String..., bound: Float = 2e-6, isProduct: Bool = false,
        build: @escaping @Sendable (inout FusionGraph) throws -> (ValueID, [ValueID])
    ) {
        self.description = description
        self.fusions = fusions
        self.bound = bound
        self.isProduct = isProduct
        self.build = build
    }
}

/// No fusion may change a value beyond rounding: each is run beside the nodes that it stands for, on numbers that leave the usual range.
@Suite struct FusionValueTests {
    /// Which elements of a tensor are replaced.
    private enum Place: CaseIterable { case first, middle, last, row, alternating, all }

    private static let values: [Float] = [
        .nan, .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude * 1e3, 1e-30, 7, -7, 89, -89,
        -110, 1e10, -1e10, 1e19, -1e19, 1e30, -1e30,
        3e38, -3e38,
    ]

    private static let threads = ThreadPool(threadCount: 2)

    @Test(arguments: patterns) func keepsSpecialValues(pattern: FusionPattern) throws {
        var graph = FusionGraph()
        let (y, spoiled) = try pattern.build(&graph)
        let (_, usual, counts) = try graph.results(y, threads: Self.threads)
        for fusion in pattern.fusions { #expect(counts[fusion, default: 0] > 0, "\(fusion) doesn't fire") }
        let magnitude = try usual.array(of: Float.self).reduce(0) { max($0, abs($1)) }
        var failures: [String] = []
        for id in spoiled {
            let tensor = try #require(graph[id])
            for value in Self.values {
                for place in Place.allCases where !Self.dependsOnOrder(value, place, pattern) {
                    var copy = graph
                    copy[id] = try Self.replacing(tensor, value, place)
                    let (fused, written, _) = try copy.results(y, threads: Self.threads)
                    let factor = Self.boundFactor(value, pattern)
                    let bound = (
                        relative: pattern.bound, absolute: pattern.bound * min(factor * magnitude, 1e38)
                    )
                    guard let failure = try Self.difference(fused, written, bound, underflows: value.isSubnormal) else {
                        continue
                    }
                    failures.append("value \(id) of \(tensor.shape), \(value) \(place): \(failure)")
                }
            }
        }
        #expect(failures.isEmpty, "\(failures.count) differ: \(failures.prefix(4).joined(separator: "; "))")
    }

    /// Whether the order in which products are added up decides about more than rounding: which sum leaves the range on the way, and which of
    /// scores that are the same, and huge, is the largest, or what is left of terms that cancel out. Without vector kernels OpenBLAS computes
    /// products, and adds up its last columns in another order than the others.
    private static func dependsOnOrder(_ value: Float, _ place: Place, _ pattern: FusionPattern) -> Bool {
        guard InstructionSet.current == .plain, value.isFinite else { return false }
        let isHuge = abs(value) > 1e38 && (pattern.isProduct || pattern.isAttention)
        return isHuge || pattern.isAttention && (place == .all || place == .alternating) && abs(value) >= 1e10
    }

    /// How much farther apart than usual results may be. What is rounded of a product grows with its operands. What is rounded of a score is
    /// relative to it, and changes its exponential by as much: the vector kernels compute scores in one order, fused or not, but OpenBLAS,
    /// which computes products without them, in another.
    private static func boundFactor(_ value: Float, _ pattern: FusionPattern) -> Float {
        if pattern.isProduct && value.isFinite { return max(abs(value), 1) }
        let isRoundedOtherwise = pattern.isAttention && InstructionSet.current == .plain && abs(value) < 1000
        return isRoundedOtherwise ? min(max(abs(value), 1), 16) : 1
    }

    private static func replacing(_ tensor: Tensor, _ value: Float, _ place: Place) throws -> Tensor {
        var elements = try tensor.array(of: Float.self)
        let count = elements.count
        guard count > 0 else { return tensor }
        let width = max(tensor.shape.dimensions.last ?? 1, 1)
        let indices: [Int] =
            switch place {
            case .first: [0]
            case .middle: [count / 2]
            case .last: [count - 1]
            case .row: Array(count / 2 / width * width..<count / 2 / width * width + width)
            case .alternating: Array(stride(from: 0, to: count, by: 2))
            case .all: Array(0..<count)
            }
        for (number, index) in indices.enumerated() {
            elements[index] = place == .alternating && number % 2 == 1 ? -value : value
        }
        let result = try Tensor(elements, shape: tensor.shape)
        return tensor.storage.isMappedFile ? try MappedTensors([result]).tensors[0] : result
    }

    /// Where two results differ in more than a bound that is absolute or relative to a row's largest number, or in what isn't finite
    /// and the signs of zeros, but for those that are rounded to zero.
    private static func difference(
        _ fused: Tensor, _ written: Tensor, _ bound: (relative: Float, absolute: Float), underflows: Bool = false
    ) throws -> String? {
        let (found, expected) = (try fused.array(of: Float.self), try written.array(of: Float.self))
        guard fused.shape == written.shape else { return "shapes \(fused.shape) and \(written.shape)" }
        let width = max(fused.shape.dimensions.last ?? 1, 1)
        for (index, (a, b)) in zip(found, expected).enumerated() {
            let row = expected[index / width * width..<index / width * width + width]
            let largest = row.reduce(Float(0)) { $1.isFinite ? max($0, abs($1)) : $0 }
            let isSame =
                a.isNaN || b.isNaN
                ? a.isNaN && b.isNaN
                : a.isInfinite || b.isInfinite || (a == 0 && b == 0 && !underflows)
                    ? a == b && a.sign == b.sign
                    : abs(a - b) <= max(bound.relative * largest, bound.absolute)
            if !isSame { return "element \(index) is \(a), written out \(b)" }
        }
        return nil
    }

    /// Nothing of anything: fused operators write as much as their patterns.
    @Test(arguments: emptyPatterns) func keepsEmptyExtents(pattern: FusionPattern) throws {
        var graph = FusionGraph()
        let y = try pattern.build(&graph).y
        let (fused, written, counts) = try graph.results(y, threads: Self.threads)
        for fusion in pattern.fusions { #expect(counts[fusion, default: 0] > 0, "\(fusion) doesn't fire") }
        #expect(try Self.difference(fused, written, (pattern.bound, 0)) == nil)
    }
}

private let root = Float(2).squareRoot()

extension FusionGraph {
    fileprivate mutating func gelu(_ x: ValueID, halfFirst: Bool = false) throws -> ValueID {
        let gate = node("Add", node("Erf", node("Div", x, try scalar(root))), try scalar(1))
        if halfFirst { return node("Mul", node("Mul", x, try scalar(0.5)), gate) }
        return node("Mul", node("Mul", x, gate), try scalar(0.5))
    }

    /// The GELU by tanh, with x³ as a power or as products, its factors in the orders of three exporters.
    fileprivate mutating func geluTanh(_ x: ValueID, form: Int) throws -> ValueID {
        let (slope, curve, half, one) = (
            try scalar((2 / Float.pi).squareRoot()), try scalar(0.044715), try scalar(0.5), try scalar(1)
        )
        if form == 2 {
            let square = node("Mul", node("Mul", x, curve), x)
            let argument = node("Mul", node("Mul", x, slope), node("Add", square, one))
            return node("Mul", x, node("Mul", half, node("Add", node("Tanh", argument), one)))
        }
        let cube = form == 0 ? node("Pow", x, try scalar(3)) : node("Mul", node("Mul", x, x), x)
        let argument = node("Mul", node("Add", x, node("Mul", cube, curve)), slope)
        return node("Mul", node("Mul", x, half), node("Add", node("Tanh", argument), one))
    }

    /// RMSNorm as a quotient, a product with a quotient of 1, or one with a reciprocal.
    fileprivate mutating func rmsNormalization(_ shape: [Int], form: Int) throws -> (ValueID, [ValueID]) {
        let x = try input(shape)
        let squares = form == 0 ? node("Mul", x, x) : node("Pow", x, try scalar(2))
        let mean = node("ReduceMean", squares, attributes: NodeAttributes(["axes": .ints([-1]), "keepdims": .int(1)]))
        let root = node("Sqrt", node("Add", mean, try scalar(1e-6)))
        let normal =
            switch form {
            case 0: node("Div", x, root)
            case 1: node("Mul", x, node("Div", try scalar(1), root))
            default: node("Mul", x, node("Reciprocal", root))
            }
        let gamma = try weights([shape[shape.count - 1]])
        return (node("Mul", gamma, normal), [x, gamma])
    }

    fileprivate mutating func halves(_ x: ValueID) -> (ValueID, ValueID) {
        nodes("Split", x, attributes: NodeAttributes(["axis": .int(-1)]))
    }

    fileprivate mutating func transpose(_ x: ValueID, _ axes: [Int64]) -> ValueID {
        node("Transpose", x, attributes: NodeAttributes(["perm": .ints(axes)]))
    }

    fileprivate mutating func silu(_ x: ValueID) -> ValueID { node("Mul", x, node("Sigmoid", x)) }

    fileprivate mutating func groupNormalization(_ shape: [Int], groups: Int64) throws -> (y: ValueID, spoiled: [ValueID]) {
        let x = try input(shape)
        let grouped = node("Reshape", x, constant(try Tensor([0, groups, -1] as [Int64])))
        let ones = constant(try Tensor(Array(repeating: Float(1), count: Int(groups))))
        let zeros = constant(try Tensor(Array(repeating: Float(0), count: Int(groups))))
        let normal = node(
            "InstanceNormalization", grouped, ones, zeros, attributes: NodeAttributes(["epsilon": .float(1e-6)]))
        let back = node("Reshape", normal, constant(try Tensor(shape.map { Int64($0) })))
        let affine = [shape[1]] + Array(repeating: 1, count: shape.count - 2)
        let (gamma, beta) = (try weights(affine), try weights(affine))
        return (node("Add", node("Mul", back, gamma), beta), [x, gamma, beta])
    }

    fileprivate mutating func layerNormalization(_ shape: [Int]) throws -> (ValueID, [ValueID]) {
        func mean(_ x: ValueID) -> ValueID {
            node("ReduceMean", x, attributes: NodeAttributes(["axes": .ints([-1]), "keepdims": .int(1)]))
        }
        let x = try input(shape)
        let d = node("Sub", x, mean(x))
        let variance = mean(node("Pow", d, try scalar(2)))
        let normal = node("Div", d, node("Sqrt", node("Add", variance, try scalar(1e-5))))
        let (gamma, beta) = (try weights([shape[shape.count - 1]]), try weights([shape[shape.count - 1]]))
        return (node("Add", node("Mul", normal, gamma), beta), [x, gamma, beta])
    }

    /// softmax(s · Q · Kᵀ + mask) · V with heads split off and merged again.
    fileprivate mutating func attention(
        queries: Int, keys: Int, width: Int = 8, batch: Int = 1, mask: [Int]? = nil, scalesOperands: Bool = false,
        zeroesNaN: Bool = false
    ) throws -> (ValueID, [ValueID]) {
        let inputs = try [queries, keys, keys].map { try input([batch, $0, 2, width]) }
        var query = transpose(inputs[0], [0, 2, 1, 3])
        var key = transpose(transpose(inputs[1], [0, 2, 1, 3]), [0, 1, 3, 2])
        if scalesOperands {
            query = node("Mul", query, try scalar(0.5))
            key = node("Mul", key, try scalar(0.5))
        }
        var scores = node("MatMul", query, key)
        if !scalesOperands { scores = node("Mul", scores, try scalar(-0.25)) }
        var spoiled = inputs
        if let mask {
            let addend = try input(mask)
            scores = node("Add", scores, addend)
            spoiled.append(addend)
        }
        var weights = node("Softmax", scores, attributes: NodeAttributes(["axis": .int(-1)]))
        if zeroesNaN { weights = node("Where", node("IsNaN", weights), try scalar(0), weights) }
        return (transpose(node("MatMul", weights, transpose(inputs[2], [0, 2, 1, 3])), [0, 2, 1, 3]), spoiled)
    }

    /// X · W (+ bias) with weights that are packed ahead, or not.
    fileprivate mutating func product(
        rows: Int, k: Int, n: Int, hasBias: Bool = true, isInFile: Bool
    ) throws -> (y: ValueID, spoiled: [ValueID]) {
        let (x, w) = (try input([1, rows, k]), try weights([k, n], isInFile: isInFile))
        let y = node("MatMul", x, w)
        guard hasBias else { return (y, [x, w]) }
        let bias = try weights([n])
        return (node("Add", y, bias), [x, w, bias])
    }

    fileprivate mutating func convolution(
        _ input: [Int], _ weights: [Int], hasBias: Bool = true, isInFile: Bool = false
    ) throws -> (y: ValueID, spoiled: [ValueID]) {
        let (x, w) = (try self.input(input), try self.weights(weights, isInFile: isInFile))
        let kernel = Int64(weights[2])
        let y = node(
            "Conv", x, w,
            attributes: NodeAttributes([
                "kernel_shape": .ints([kernel, kernel]), "pads": .ints(Array(repeating: kernel / 2, count: 4)),
            ]))
        guard hasBias else { return (y, [x, w]) }
        let bias = try self.weights([weights[0], 1, 1])
        return (node("Add", y, bias), [x, w, bias])
    }
}

private let patterns: [FusionPattern] =
    [
        FusionPattern("SiLU", "SiLU") { g in
            let x = try g.input([3, 37])
            return (g.silu(x), [x])
        },
        FusionPattern("quick GELU", "SiLU") { g in
            let x = try g.input([3, 37])
            return (g.node("Mul", x, g.node("Sigmoid", g.node("Mul", x, try g.scalar(1.702)))), [x])
        },
        FusionPattern("GroupNormalization", "GroupNormalization") { try $0.groupNormalization([2, 6, 4, 5], groups: 3) },
        FusionPattern("GroupNormalization of large groups", "GroupNormalization") {
            try $0.groupNormalization([1, 4, 72, 64], groups: 1)
        },
        FusionPattern("GroupNormalization and SiLU", "GroupNormalization+SiLU") { g in
            let (y, spoiled) = try g.groupNormalization([2, 6, 4, 5], groups: 3)
            return (g.silu(y), spoiled)
        },
    ]
    + [false, true].map { halfFirst in
        FusionPattern("GELU, \(halfFirst ? "the half first" : "the half last")", "GELU") { g in
            let x = try g.input([3, 37])
            return (try g.gelu(x, halfFirst: halfFirst), [x])
        }
    }
    + [false, true].map { halfFirst in
        // The error of a GELU is relative to its argument, and its factor may be large.
        FusionPattern(
            "GEGLU, \(halfFirst ? "the half first" : "the half last")", "GELU", "GEGLU", bound: 1e-4, isProduct: true
        ) { g in
            let x = try g.input([3, 34])
            let (a, b) = g.halves(x)
            return (g.node("Mul", a, try g.gelu(b, halfFirst: halfFirst)), [x])
        }
    }
    + [3, 40].flatMap { rows in
        [false, true].map { isInFile in
            FusionPattern(
                "\(rows) rows, GEGLU\(isInFile ? ", packed" : "")", "GEGLU", "MatMul+GEGLU", bound: 1e-4, isProduct: true
            ) { g in
                let (product, spoiled) = try g.product(rows: rows, k: 24, n: 64, isInFile: isInFile)
                let (a, b) = g.halves(product)
                return (g.node("Mul", a, try g.gelu(b)), spoiled)
            }
        }
    }
    + [0, 1, 2].map { form in
        FusionPattern("GELU by tanh, form \(form)", "GELU") { g in
            let x = try g.input([3, 37])
            return (try g.geluTanh(x, form: form), [x])
        }
    }
    + [(5, 0), (32, 1), (100, 2)].map { width, form in
        FusionPattern("RMSNormalization of \(width)", "RMSNormalization") {
            try $0.rmsNormalization([3, width], form: form)
        }
    }
    + [(1, 9), (40, 21)].map { queries, keys in
        FusionPattern("attention of \(queries) that zeroes NaN", "Attention") {
            try $0.attention(queries: queries, keys: keys, mask: [1, 1, queries, keys], zeroesNaN: true)
        }
    }
    + [5, 32, 100].map { width in
        FusionPattern("LayerNormalization of \(width)", "LayerNormalization") { try $0.layerNormalization([3, width]) }
    }
    + [1, 3, 40].flatMap { rows in
        [false, true].flatMap { isInFile in
            [
                FusionPattern("\(rows) rows and a bias\(isInFile ? ", packed" : "")", "MatMul+bias", isProduct: true) {
                    try $0.product(rows: rows, k: 24, n: 40, isInFile: isInFile)
                },
                FusionPattern(
                    "\(rows) rows, a bias and a residual\(isInFile ? ", packed" : "")", "MatMul+bias", "MatMul+residual",
                    isProduct: true
                ) { g in
                    let (y, spoiled) = try g.product(rows: rows, k: 24, n: 40, isInFile: isInFile)
                    let residual = try g.input([1, rows, 40])
                    return (g.node("Add", residual, y), spoiled + [residual])
                },
            ]
        }
    }
    + [([1, 16, 9, 10], [16, 16, 3, 3]), ([1, 8, 5, 5], [3, 8, 3, 3]), ([1, 12, 4, 4], [24, 12, 1, 1])].flatMap {
        input, weights in
        [false, true].map { isInFile in
            FusionPattern("convolution \(weights) and a bias\(isInFile ? ", packed" : "")", "Conv+bias", isProduct: true) {
                try $0.convolution(input, weights, isInFile: isInFile)
            }
        }
    }
    + [
        FusionPattern("convolution and transpose", "Conv+Transpose", isProduct: true) { g in
            let (y, spoiled) = try g.convolution([1, 12, 4, 5], [24, 12, 1, 1], hasBias: false)
            return (g.transpose(y, [0, 2, 3, 1]), spoiled)
        },
        FusionPattern("transpose and convolution", "Transpose+Conv", isProduct: true) { g in
            let (x, w) = (try g.input([1, 4, 5, 12]), try g.weights([24, 12, 1, 1]))
            return (g.node("Conv", g.transpose(x, [0, 3, 1, 2]), w), [x, w])
        },
    ]
    + ["Relu", "LeakyRelu", "HardSwish", "Tanh"].flatMap { type in
        [[2, 6, 4, 5], [9, 6], [3, 6, 70]].map { shape in
            FusionPattern("BatchNormalization of \(shape) and \(type)", "BatchNormalization+activation") { g in
                let (x, scale, bias) = (try g.input(shape), try g.weights([6]), try g.weights([6]))
                let variance = g.constant(try Tensor([0.5, 1, 2, 0.25, 3, 1] as [Float]))
                return (
                    g.node(type, g.node("BatchNormalization", x, scale, bias, try g.weights([6]), variance)), [x, scale, bias]
                )
            }
        }
    }
    + ["Relu", "LeakyRelu", "Sigmoid"].map { type in
        FusionPattern("convolution and \(type)", "Conv+activation", isProduct: true) { g in
            let (y, spoiled) = try g.convolution([1, 8, 5, 7], [5, 8, 3, 3], hasBias: false, isInFile: true)
            return (g.node(type, y), spoiled)
        }
    }
    + [
        FusionPattern("transposed convolution and Relu", "Conv+activation", isProduct: true) { g in
            let (x, w) = (try g.input([1, 8, 5, 7]), try g.weights([8, 5, 3, 2], isInFile: true))
            let y = g.node("ConvTranspose", x, w, attributes: NodeAttributes(["strides": .ints([2, 2])]))
            return (g.node("Relu", y), [x, w])
        },
        FusionPattern("convolution, residual and Relu", "Conv+residual", "Conv+activation", isProduct: true) { g in
            let (y, spoiled) = try g.convolution([1, 8, 5, 7], [5, 8, 3, 3], hasBias: false, isInFile: true)
            let residual = try g.input([1, 5, 5, 7])
            return (g.node("Relu", g.node("Add", y, residual)), spoiled + [residual])
        },
        FusionPattern("product with clip(x + 3, 0, 6), divided by 6", "HardSwish") { g in
            let x = try g.input([3, 37])
            let clipped = g.node("Clip", g.node("Add", x, try g.scalar(3)), try g.scalar(0), try g.scalar(6))
            return (g.node("Div", g.node("Mul", x, clipped), try g.scalar(6)), [x])
        },
        FusionPattern("product with clip(x + 3, 0, 6) / 6", "HardSigmoid", "HardSwish") { g in
            let x = try g.input([3, 37])
            let clipped = g.node("Clip", g.node("Add", x, try g.scalar(3)), try g.scalar(0), try g.scalar(6))
            return (g.node("Mul", x, g.node("Div", clipped, try g.scalar(6))), [x])
        },
        FusionPattern("clip(x + 3, 0, 6) / 6", "HardSigmoid") { g in
            let x = try g.input([3, 37])
            let clipped = g.node("Clip", g.node("Add", x, try g.scalar(3)), try g.scalar(0), try g.scalar(6))
            return (g.node("Div", clipped, try g.scalar(6)), [x])
        },
        FusionPattern("Mish", "Mish") { g in
            let x = try g.input([3, 37])
            return (g.node("Mul", x, g.node("Tanh", g.node("Softplus", x))), [x])
        },
    ]
    // Products of fewer than eight keys are OpenBLAS's, which on some processors adds up in another order, see ``dependsOnOrder``.
    + [(5, 9), (40, 70)].flatMap { queries, keys in
        [
            FusionPattern("attention to \(keys) keys", "Attention") { try $0.attention(queries: queries, keys: keys) },
            FusionPattern("attention to \(keys) keys, operands scaled", "Attention") {
                try $0.attention(queries: queries, keys: keys, scalesOperands: true)
            },
            FusionPattern("attention to \(keys) keys with a mask", "Attention") {
                try $0.attention(queries: queries, keys: keys, mask: [1, 1, queries, keys])
            },
            FusionPattern("attention to \(keys) keys with a mask of keys", "Attention") {
                try $0.attention(queries: queries, keys: keys, mask: [keys])
            },
            FusionPattern("attention to \(keys) keys with a mask of queries", "Attention") {
                try $0.attention(queries: queries, keys: keys, mask: [queries, 1])
            },
        ]
    }

private let emptyPatterns: [FusionPattern] = [
    FusionPattern("SiLU", "SiLU") { g in (g.silu(try g.input([3, 0])), []) },
    FusionPattern("GELU", "GELU") { g in (try g.gelu(try g.input([0, 3])), []) },
    FusionPattern("GEGLU", "GEGLU") { g in
        let (a, b) = g.halves(try g.input([0, 8]))
        return (g.node("Mul", a, try g.gelu(b)), [])
    },
    FusionPattern("no rows, GEGLU", "MatMul+GEGLU") { g in
        let (a, b) = g.halves(try g.product(rows: 0, k: 8, n: 64, isInFile: true).y)
        return (g.node("Mul", a, try g.gelu(b)), [])
    },
    FusionPattern("no depth, GEGLU") { g in
        let (a, b) = g.halves(try g.product(rows: 3, k: 0, n: 64, isInFile: false).y)
        return (g.node("Mul", a, try g.gelu(b)), [])
    },
    FusionPattern("no pictures", "GroupNormalization") { try $0.groupNormalization([0, 6, 4, 5], groups: 3) },
    FusionPattern("no rows", "LayerNormalization") { try $0.layerNormalization([0, 5]) },
    FusionPattern("no rows and a bias", "MatMul+bias") { try $0.product(rows: 0, k: 8, n: 16, isInFile: true) },
    FusionPattern("no depth and a bias", "MatMul+bias") { try $0.product(rows: 5, k: 0, n: 16, isInFile: false) },
    FusionPattern("no columns and a bias") { try $0.product(rows: 5, k: 4, n: 0, isInFile: false) },
    FusionPattern("no depth and a residual", "MatMul+residual") { g in
        let y = try g.product(rows: 5, k: 0, n: 16, hasBias: false, isInFile: false).y
        return (g.node("Add", y, try g.input([1, 5, 16])), [])
    },
    FusionPattern("no pictures and a bias", "Conv+bias") { try $0.convolution([0, 3, 4, 4], [8, 3, 3, 3]) },
    FusionPattern("no pictures and a transpose", "Conv+Transpose") { g in
        (g.transpose(try g.convolution([0, 3, 4, 4], [8, 3, 1, 1], hasBias: false).y, [0, 2, 3, 1]), [])
    },
    FusionPattern("no queries", "Attention") { try $0.attention(queries: 0, keys: 7) },
    FusionPattern("no keys", "Attention") { try $0.attention(queries: 5, keys: 0) },
    FusionPattern("no keys with a mask", "Attention") { try $0.attention(queries: 5, keys: 0, mask: [5, 1]) },
    FusionPattern("no width", "Attention") { try $0.attention(queries: 5, keys: 7, width: 0) },
    FusionPattern("no batch", "Attention") { try $0.attention(queries: 5, keys: 7, batch: 0) },
]
