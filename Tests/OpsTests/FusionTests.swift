import GraphRuntime
import Ops
import TestSupport
import Testing

/// Builds a graph of one element type and runs it with the optimizer on and off.
struct FusionGraph {
    var dtype = DType.float32
    var graph = Graph()
    private var given: [String: Tensor] = [:]

    init(_ dtype: DType = .float32) { self.dtype = dtype }

    private func typed(_ tensor: Tensor) throws -> Tensor {
        let values = try tensor.array(of: Float.self)
        return switch dtype {
        case .float64: try Tensor(values.map { Double($0) }, shape: tensor.shape)
        case .float16: try Tensor(values.map { Float16($0) }, shape: tensor.shape)
        case .bfloat16: try Tensor(values.map { BFloat16($0) }, shape: tensor.shape)
        default: tensor
        }
    }

    private mutating func value() -> ValueID { graph.addValue(ValueDeclaration(name: "v\(graph.values.count)")) }

    mutating func input(_ shape: [Int]) throws -> ValueID {
        let id = value()
        graph.values[id].type = .tensor(dtype, nil)
        graph.inputs.append(id)
        given[graph.values[id].name] = try typed(pseudoRandom(shape, seed: UInt64(id + 1)))
        return id
    }

    mutating func constant(_ tensor: Tensor) -> ValueID {
        let id = value()
        graph.initializers[id] = tensor
        return id
    }

    mutating func scalar(_ value: Float, _ shape: [Int] = []) throws -> ValueID { constant(try typed(floats([value], shape))) }

    /// A constant of random numbers, in memory or in a mapped file.
    mutating func weights(_ shape: [Int], isInFile: Bool = false) throws -> ValueID {
        let seed = UInt64(graph.values.count + 100)
        let tensor = try typed(pseudoRandom(shape, seed: seed))
        return constant(isInFile ? try MappedTensors([tensor]).tensors[0] : tensor)
    }

    mutating func node(_ type: String, _ inputs: ValueID..., attributes: NodeAttributes = NodeAttributes()) -> ValueID {
        let output = value()
        graph.nodes.append(
            Node(
                name: "\(type)\(output)", identity: OperatorIdentity(type: type, version: 17), inputs: inputs,
                outputs: [output],
                attributes: attributes))
        return output
    }

    /// A node with two outputs.
    mutating func nodes(
        _ type: String, _ inputs: ValueID..., attributes: NodeAttributes = NodeAttributes()
    ) -> (ValueID, ValueID) {
        let outputs = (value(), value())
        graph.nodes.append(
            Node(
                name: "\(type)\(outputs.0)", identity: OperatorIdentity(type: type, version: 17), inputs: inputs,
                outputs: [outputs.0, outputs.1], attributes: attributes))
        return outputs
    }

    /// A node with so many outputs.
    mutating func outputs(
        _ count: Int, of type: String, domain: String = "", version: Int = 17, _ inputs: [ValueID?],
        attributes: NodeAttributes = NodeAttributes()
    ) -> [ValueID] {
        let outputs = (0..<count).map { _ in value() }
        graph.nodes.append(
            Node(
                name: "\(type)\(outputs.first ?? 0)", identity: OperatorIdentity(domain: domain, type: type, version: version),
                inputs: inputs, outputs: outputs, attributes: attributes))
        return outputs
    }

    /// The tensor of an input or a constant.
    subscript(id: ValueID) -> Tensor? {
        get { graph.initializers[id] ?? given[graph.values[id].name] }
        set {
            if graph.initializers[id] != nil {
                graph.initializers[id] = newValue
            } else {
                given[graph.values[id].name] = newValue
            }
        }
    }

    /// The result with the optimizer on and off, and how often each fusion fired.
    mutating func results(
        _ output: ValueID, threads: ThreadPool
    ) throws -> (fused: Tensor, written: Tensor, counts: [String: Int]) {
        graph.outputs = [output]
        let sessions = try [true, false].map { optimize in
            try Session(
                graph: graph, library: StandardOperators.library, options: SessionOptions(optimize: optimize, threads: threads))
        }
        let results = try sessions.map { try #require(try $0.run(given).first?.value) }
        return (results[0], results[1], try sessions[0].prepare(given).fusionCounts)
    }

    /// How often each fusion fires.
    ///
    /// Expects the results with and without optimizer to be the same: within 1e-6 of the largest magnitude, or, where they are of 16
    /// bits, within two units of these. Inputs at odd addresses have to give the same to the bit.
    mutating func fusions(_ outputs: ValueID...) throws -> [String: Int] { try fusions(outputs) }

    mutating func fusions(_ outputs: [ValueID]) throws -> [String: Int] { try summary(outputs).fusionCounts }

    /// How many nodes the plan has; results as for ``fusions(_:)``.
    mutating func nodeCount(_ outputs: ValueID...) throws -> Int { try summary(outputs).nodeCount }

    /// The result of the optimised graph.
    mutating func result(_ output: ValueID, options: SessionOptions, observer: (any RunObserver)? = nil) throws -> Tensor {
        graph.outputs = [output]
        let session = try Session(graph: graph, library: StandardOperators.library, options: options)
        return try #require(session.run(given, observer: observer).first?.value)
    }

    /// The same graph of the same numbers in float32, where they are of 16 bits.
    func widened() throws -> FusionGraph {
        var result = self
        result.dtype = .float32
        result.graph.initializers = try graph.initializers.mapValues { try HalfPrecision.widen($0) }
        for id in graph.inputs { result.graph.values[id].type = .tensor(.float32, nil) }
        result.given = try given.mapValues { try HalfPrecision.widen($0) }
        return result
    }

    /// The same graph with factors rounded to bfloat16: constants of two axes and more, and maybe all inputs.
    func rounded(inputs: Bool) throws -> FusionGraph {
        var result = self
        for (id, tensor) in graph.initializers where tensor.shape.rank > 1 {
            result.graph.initializers[id] = try MappedTensors([roundedToBFloat16(tensor)]).tensors[0]
        }
        if inputs { result.given = try given.mapValues { try roundedToBFloat16($0) } }
        return result
    }

    // Mutating, all of them, so that the nodes that an argument adds are there before.
    private mutating func summary(_ outputs: [ValueID]) throws -> PlanSummary {
        graph.outputs = outputs
        let sessions = try [true, false].map { optimize in
            try Session(
                graph: graph, library: StandardOperators.library,
                options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2)))
        }
        let (found, expected) = (try sessions[0].run(given), try sessions[1].run(given))
        let ofMisaligned = try sessions[0].run(given.mapValues { try $0.misaligned() })
        for (name, tensor) in expected {
            let other = try #require(found[name])
            try expectSame(try #require(ofMisaligned[name]), other, "the inputs' addresses change the result")
            #expect(other.dtype == tensor.dtype)
            let bound = [.float16: 1e-3, .bfloat16: 8e-3][dtype, default: 1e-6]
            try expectClose(other, doubles(tensor), shape: tensor.shape.dimensions, bound: bound)
        }
        return try sessions[0].prepare(given)
    }
}

let floatTypes: [DType] = [.float32, .float16, .bfloat16]

@Suite struct SiLUFusionTests {
    /// x · sigmoid(factor · x), with a chance to spoil it.
    private struct Form {
        var g: FusionGraph
        let x: ValueID
        var scaled: ValueID?
        let gate: ValueID
        let y: ValueID

        init(
            _ dtype: DType = .float32, factor: Float? = nil, factorShape: [Int] = [], other: Bool = false,
            isFlipped: Bool = false
        ) throws {
            g = FusionGraph(dtype)
            x = try g.input([2, 3, 5])
            let partner = other ? try g.input([2, 3, 5]) : x
            if let factor {
                let constant = try g.scalar(factor, factorShape)
                scaled = isFlipped ? g.node("Mul", constant, x) : g.node("Mul", x, constant)
            }
            gate = g.node("Sigmoid", scaled ?? x)
            y = isFlipped ? g.node("Mul", gate, partner) : g.node("Mul", partner, gate)
        }

        var fires: Bool {
            get throws {
                var copy = g
                return try copy.fusions(y) == ["SiLU": 1]
            }
        }
    }

    @Test(arguments: floatTypes, [nil, 1.702, -0.5] as [Float?]) func fires(dtype: DType, factor: Float?) throws {
        for isFlipped in [false, true] {
            var form = try Form(dtype, factor: factor, isFlipped: isFlipped)
            #expect(try form.g.fusions(form.y) == ["SiLU": 1])
        }
        #expect(try Form(dtype, factor: 1.702, factorShape: [1]).fires)
    }

    @Test func refuses() throws {
        #expect(try !Form(.float64).fires)
        #expect(try !Form(.float64, factor: 1.702).fires)
        #expect(try !Form(other: true).fires)
        #expect(try !Form(factor: 1.702, other: true).fires)
        // A factor that adds an axis.
        #expect(try !Form(factor: 1.702, factorShape: [1, 1, 1, 1]).fires)
        var form = try Form()
        #expect(try form.g.fusions(form.y, form.gate).isEmpty)
        var quick = try Form(factor: 1.702)
        #expect(try quick.g.fusions(quick.y, quick.scaled ?? 0).isEmpty)
        var read = try Form()
        let other = read.g.node("Neg", read.gate)
        #expect(try read.g.fusions(read.y, other).isEmpty)
        // A factor that isn't a constant, or isn't one number.
        var loose = FusionGraph()
        let (x, factor) = (try loose.input([2, 3]), try loose.input([1]))
        #expect(try loose.fusions(loose.node("Mul", x, loose.node("Sigmoid", loose.node("Mul", x, factor)))).isEmpty)
        let factors = try loose.weights([3])
        #expect(try loose.fusions(loose.node("Mul", x, loose.node("Sigmoid", loose.node("Mul", x, factors)))).isEmpty)
    }
}

@Suite struct GELUFusionTests {
    /// Which of the three factors are multiplied first.
    enum Order: CaseIterable { case gateFirst, halfFirst, halfOfGate }

    private struct Form {
        var order = Order.gateFirst
        var half: Float = 0.5
        var one: Float = 1
        var root: Float = Float(2).squareRoot()
        var multiplies = false
        var isFlipped = false
        var isOther = false
        var constantShape: [Int] = []

        func build(_ g: inout FusionGraph) throws -> (y: ValueID, inner: [ValueID]) {
            func commutative(_ type: String, _ a: ValueID, _ b: ValueID) -> ValueID {
                isFlipped ? g.node(type, b, a) : g.node(type, a, b)
            }
            let x = try g.input([3, 4])
            let other = isOther ? try g.input([3, 4]) : x
            let root = try g.scalar(multiplies ? 1 / root : root, constantShape)
            let scaled = multiplies ? commutative("Mul", x, root) : g.node("Div", x, root)
            let erf = g.node("Erf", scaled)
            let gate = commutative("Add", erf, try g.scalar(one, constantShape))
            let half = try g.scalar(half, constantShape)
            switch order {
            case .gateFirst:
                let product = commutative("Mul", other, gate)
                return (commutative("Mul", product, half), [scaled, erf, gate, product])
            case .halfFirst:
                let product = commutative("Mul", other, half)
                return (commutative("Mul", product, gate), [scaled, erf, gate, product])
            case .halfOfGate:
                let product = commutative("Mul", gate, half)
                return (commutative("Mul", other, product), [scaled, erf, gate, product])
            }
        }

        func count(_ dtype: DType = .float32) throws -> Int {
            var g = FusionGraph(dtype)
            let y = try build(&g).y
            return try g.fusions(y)["GELU"] ?? 0
        }
    }

    @Test(arguments: floatTypes, Order.allCases) func fires(dtype: DType, order: Order) throws {
        for (multiplies, isFlipped) in [(false, false), (false, true), (true, false), (true, true)] {
            #expect(try Form(order: order, multiplies: multiplies, isFlipped: isFlipped).count(dtype) == 1)
            #expect(try Form(order: order, multiplies: multiplies, isFlipped: isFlipped, constantShape: [1]).count(dtype) == 1)
        }
    }

    @Test(arguments: Order.allCases) func refuses(order: Order) throws {
        #expect(try Form(order: order).count(.float64) == 0)
        #expect(try Form(order: order, half: 0.51).count() == 0)
        #expect(try Form(order: order, one: 1.01).count() == 0)
        #expect(try Form(order: order, root: 1.5).count() == 0)
        #expect(try Form(order: order, root: Float(0.5).squareRoot()).count() == 0)
        #expect(try Form(order: order, root: -Float(2).squareRoot(), multiplies: true).count() == 0)
        #expect(try Form(order: order, isOther: true).count() == 0)
        // Constants that add an axis.
        #expect(try Form(order: order, constantShape: [1, 1, 1]).count() == 0)
        for index in 0..<4 {
            var g = FusionGraph()
            let (y, inner) = try Form(order: order).build(&g)
            #expect(try g.fusions(y, inner[index])["GELU"] == nil, "inner value \(index) is an output")
            let reader = g.node("Neg", inner[index])
            #expect(try g.fusions(y, reader)["GELU"] == nil, "inner value \(index) is read elsewhere")
        }
    }
}

@Suite struct GEGLUFusionTests {
    /// How the halves are cut.
    enum Cut: CaseIterable { case slices, split, splitSizes }

    private struct Form {
        var cut = Cut.slices
        var shape = [2, 3, 34]
        var axis = -1
        /// Of the first half: where it begins and ends, and its step.
        var first: [Int64] = [0, 17, 1]
        var second: [Int64] = [17, 34, 1]
        var isFlipped = false
        var usesOther = false
        var gatesFirst = false
        var readsHalf = false

        func build(_ g: inout FusionGraph) throws -> [ValueID] {
            let x = try g.input(shape)
            let (a, b) = try halves(of: x, &g)
            let (values, gate) = gatesFirst ? (b, a) : (a, b)
            let erf = g.node("Erf", g.node("Div", gate, try g.scalar(Float(2).squareRoot())))
            let gelu = g.node("Mul", g.node("Mul", gate, g.node("Add", erf, try g.scalar(1))), try g.scalar(0.5))
            let y = isFlipped ? g.node("Mul", gelu, values) : g.node("Mul", values, gelu)
            return readsHalf ? [y, g.node("Neg", values)] : [y]
        }

        private func halves(of x: ValueID, _ g: inout FusionGraph) throws -> (ValueID, ValueID) {
            if cut == .slices {
                let other = usesOther ? try g.input(shape) : x
                return (try slice(x, first, &g), try slice(other, second, &g))
            }
            let attributes = NodeAttributes(["axis": .int(Int64(axis))])
            guard cut == .splitSizes else { return g.nodes("Split", x, attributes: attributes) }
            let sizes = g.constant(try Tensor([first[1] - first[0], second[1] - second[0]]))
            return g.nodes("Split", x, sizes, attributes: attributes)
        }

        private func slice(_ x: ValueID, _ bounds: [Int64], _ g: inout FusionGraph) throws -> ValueID {
            let constants = try [bounds[0], bounds[1], Int64(axis), bounds[2]].map { g.constant(try Tensor([$0])) }
            return g.node("Slice", x, constants[0], constants[1], constants[2], constants[3])
        }

        func count(_ dtype: DType = .float32) throws -> Int {
            var g = FusionGraph(dtype)
            let outputs = try build(&g)
            return try g.fusions(outputs)["GEGLU"] ?? 0
        }
    }

    @Test(arguments: floatTypes, Cut.allCases) func fires(dtype: DType, cut: Cut) throws {
        for isFlipped in [false, true] { #expect(try Form(cut: cut, isFlipped: isFlipped).count(dtype) == 1) }
        #expect(try Form(cut: cut, shape: [34]).count(dtype) == 1)
        #expect(try Form(cut: cut, shape: [1, 2, 3, 2], first: [0, 1, 1], second: [1, 2, 1]).count(dtype) == 1)
        // As far as the end, whatever that is.
        #expect(try Form(first: [-34, -17, 1], second: [17, .max, 1]).count(dtype) == 1)
    }

    @Test func refuses() throws {
        #expect(try Form().count(.float64) == 0)
        // The gate comes first; both are one half; parts that overlap or leave some out; two sources.
        #expect(try Form(gatesFirst: true).count() == 0)
        #expect(try Form(second: [0, 17, 1]).count() == 0)
        #expect(try Form(second: [16, 33, 1]).count() == 0)
        #expect(try Form(first: [0, 33, 2]).count() == 0)
        #expect(try Form(second: [33, 16, -1]).count() == 0)
        #expect(try Form(usesOther: true).count() == 0)
        // Another axis, parts that broadcast, and a half that somebody else reads.
        #expect(try Form(shape: [2, 34, 3], axis: 1).count() == 0)
        #expect(try Form(cut: .split, shape: [2, 34, 3], axis: 1).count() == 0)
        #expect(try Form(cut: .splitSizes, shape: [2, 18], first: [0, 1, 1], second: [1, 18, 1]).count() == 0)
        #expect(try Form(readsHalf: true).count() == 0)
        #expect(try Form(cut: .split, readsHalf: true).count() == 0)
    }
}

@Suite struct GroupNormalizationFusionTests {
    private struct Form {
        var shape = [2, 6, 4, 5]
        var grouped: [Int64] = [0, 3, -1]
        var affine = [6, 1, 1]
        var groupScale: [Float] = [1, 1, 1]
        var groupBias: [Float] = [0, 0, 0]
        var isConstant = true
        var isFlipped = false
        var restored: [Int64]?
        var hasSiLU = false

        func build(_ g: inout FusionGraph) throws -> (y: ValueID, inner: [ValueID]) {
            let x = try g.input(shape)
            let forth = g.node("Reshape", x, g.constant(try Tensor(grouped)))
            let scale = g.constant(try convert(groupScale, g.dtype))
            let bias = g.constant(try convert(groupBias, g.dtype))
            let normal = g.node(
                "InstanceNormalization", forth, scale, bias, attributes: NodeAttributes(["epsilon": .float(1e-6)]))
            let back = g.node("Reshape", normal, g.constant(try Tensor(restored ?? shape.map { Int64($0) })))
            let gamma = isConstant ? try g.weights(affine) : try g.input(affine)
            let beta = try g.weights(affine)
            let product = isFlipped ? g.node("Mul", gamma, back) : g.node("Mul", back, gamma)
            let y = isFlipped ? g.node("Add", beta, product) : g.node("Add", product, beta)
            let gate = hasSiLU ? g.node("Sigmoid", y) : y
            return (hasSiLU ? g.node("Mul", y, gate) : y, [forth, normal, back, product, y, gate])
        }

        private func convert(_ values: [Float], _ dtype: DType) throws -> Tensor {
            switch dtype {
            case .float64: try Tensor(values.map { Double($0) })
            case .float16: try Tensor(values.map { Float16($0) })
            default: try Tensor(values)
            }
        }

        func count(_ dtype: DType = .float32) throws -> Int {
            var g = FusionGraph(dtype)
            let y = try build(&g).y
            return try g.fusions(y)["GroupNormalization"] ?? 0
        }
    }

    @Test(arguments: floatTypes) func fires(dtype: DType) throws {
        #expect(try Form().count(dtype) == 1)
        #expect(try Form(isFlipped: true).count(dtype) == 1)
        #expect(try Form(grouped: [2, 3, -1], affine: [1, 6, 1, 1]).count(dtype) == 1)
        #expect(try Form(grouped: [2, 3, 40], affine: [1]).count(dtype) == 1)
        #expect(try Form(affine: []).count(dtype) == 1)
        #expect(try Form(shape: [2, 6, 7], affine: [6, 1]).count(dtype) == 1)
        #expect(try Form(shape: [2, 6], affine: [6]).count(dtype) == 1)
        #expect(
            try Form(grouped: [0, 6, -1], groupScale: Array(repeating: 1, count: 6), groupBias: Array(repeating: 0, count: 6))
                .count(dtype) == 1)
        // Scales and biases of groups, which nobody writes but which are allowed.
        #expect(try Form(groupScale: [2, -1, 0.5], groupBias: [1, 0, -3]).count(dtype) == 1)
        // As many pictures as channels, and rows as wide as there are channels.
        #expect(try Form(shape: [6, 6, 6, 6]).count(dtype) == 1)
    }

    @Test(arguments: floatTypes) func firesWithSiLU(dtype: DType) throws {
        var g = FusionGraph(dtype)
        let y = try Form(hasSiLU: true).build(&g).y
        #expect(try g.fusions(y) == ["GroupNormalization": 1, "SiLU": 1, "GroupNormalization+SiLU": 1])
        // What is between them is read elsewhere too.
        var read = FusionGraph(dtype)
        let (z, inner) = try Form(hasSiLU: true).build(&read)
        let counts = try read.fusions(z, read.node("Neg", inner[4]))
        #expect(counts["GroupNormalization+SiLU"] == nil && counts["GroupNormalization"] == 1)
    }

    @Test func siLUOfOtherNormalizations() throws {
        for (type, attributes) in [
            ("InstanceNormalization", NodeAttributes()), ("GroupNormalization", NodeAttributes(["num_groups": .int(3)])),
        ] {
            for factor in [1, 1.702] as [Float] {
                var g = FusionGraph()
                let (x, scale, bias) = (try g.input([2, 6, 5]), try g.weights([6]), try g.weights([6]))
                let normal = g.node(type, x, scale, bias, attributes: attributes)
                g.graph.nodes[0].identity.version = 21
                let gate = g.node("Sigmoid", factor == 1 ? normal : g.node("Mul", normal, try g.scalar(factor)))
                #expect(try g.fusions(g.node("Mul", normal, gate))["GroupNormalization+SiLU"] == (factor == 1 ? 1 : nil))
            }
        }
    }

    @Test func refuses() throws {
        #expect(try Form().count(.float64) == 0)
        #expect(try Form(isConstant: false).count() == 0)
        // γ [C] of a picture belongs to its columns, γ [N, 1, 1, 1] to the pictures.
        #expect(try Form(shape: [6, 6, 6, 6], affine: [6]).count() == 0)
        #expect(try Form(shape: [6, 6, 6, 6], affine: [6, 1]).count() == 0)
        #expect(try Form(shape: [6, 6, 6, 6], affine: [6, 1, 1, 1]).count() == 0)
        #expect(try Form(shape: [6, 6, 6], affine: [6, 1, 1]).count() == 0)
        #expect(try Form(affine: [1, 1, 6, 1, 1], restored: [1, 2, 6, 4, 5]).count() == 0)
        #expect(try Form(affine: [1, 1, 1, 1, 1]).count() == 0)
        // Groups that aren't made of whole channels, or of one picture.
        #expect(try Form(shape: [2, 4, 3, 3], affine: [4, 1, 1]).count() == 0)
        #expect(try Form(grouped: [1, 3, -1]).count() == 0)
        #expect(try Form(grouped: [4, 3, -1]).count() == 0)
        #expect(try Form(shape: [3, 6, 4, 5], grouped: [6, 3, 20]).count() == 0)
        // Another shape than before, of as many channels.
        #expect(try Form(restored: [2, 6, 5, 4]).count() == 0)
        #expect(try Form(grouped: [0, 3, 10, 4]).count() == 0)
        for index in 0..<4 {
            var g = FusionGraph()
            let (y, inner) = try Form().build(&g)
            #expect(try g.fusions(y, inner[index]).isEmpty, "inner value \(index) is an output")
            let reader = g.node("Neg", inner[index])
            #expect(try g.fusions(y, reader).isEmpty, "inner value \(index) is read elsewhere")
        }
    }
}

@Suite struct LayerNormalizationFusionTests {
    private struct Form {
        var shape = [2, 3, 5]
        var epsilon: Float = 1e-5
        var epsilonShape: [Int] = []
        var axes: (Int64, Int64) = (-1, -1)
        var power: Float? = 2
        var affine = [5]
        var isConstant = true
        var isFlipped = false
        var isOther = false
        /// What the variance of half precision is computed in, as torch.onnx's exporter writes it.
        var wideType: DType?

        func build(_ g: inout FusionGraph) throws -> (y: ValueID, inner: [ValueID]) {
            func commutative(_ type: String, _ a: ValueID, _ b: ValueID) -> ValueID {
                isFlipped ? g.node(type, b, a) : g.node(type, a, b)
            }
            func mean(_ x: ValueID, _ axis: Int64) -> ValueID {
                g.node("ReduceMean", x, attributes: NodeAttributes(["axes": .ints([axis]), "keepdims": .int(1)]))
            }
            let x = try g.input(shape)
            let average = mean(isOther ? try g.input(shape) : x, axes.0)
            let d = g.node("Sub", x, average)
            let wide = wideType.map { cast(&g, d, to: $0) } ?? d
            let outside = g.dtype
            g.dtype = wideType ?? outside
            let square = power == nil ? g.node("Mul", wide, wide) : g.node("Pow", wide, try g.scalar(power ?? 2))
            let variance = mean(square, axes.1)
            let shifted = commutative("Add", variance, try g.scalar(epsilon, epsilonShape))
            let root = g.node("Sqrt", shifted)
            let quotient = g.node("Div", wide, root)
            g.dtype = outside
            let normal = wideType == nil ? quotient : cast(&g, quotient, to: outside)
            let product = commutative("Mul", normal, isConstant ? try g.weights(affine) : try g.input(affine))
            let y = commutative("Add", product, try g.weights(affine))
            return (y, [average, d, square, variance, shifted, root, normal, product])
        }

        private func cast(_ g: inout FusionGraph, _ x: ValueID, to dtype: DType) -> ValueID {
            g.node("Cast", x, attributes: NodeAttributes(["to": .int(Int64(dtype.rawValue))]))
        }

        func count(_ dtype: DType = .float32) throws -> Int {
            var g = FusionGraph(dtype)
            let y = try build(&g).y
            return try g.fusions(y)["LayerNormalization"] ?? 0
        }
    }

    @Test(arguments: floatTypes) func fires(dtype: DType) throws {
        #expect(try Form().count(dtype) == 1)
        #expect(try Form(isFlipped: true).count(dtype) == 1)
        #expect(try Form(power: nil).count(dtype) == 1)
        #expect(try Form(axes: (2, -1)).count(dtype) == 1)
        #expect(try Form(epsilonShape: [1]).count(dtype) == 1)
        #expect(try Form(shape: [5]).count(dtype) == 1)
        #expect(try Form(shape: [5, 5, 5, 5]).count(dtype) == 1)
    }

    @Test func refuses() throws {
        #expect(try Form().count(.float64) == 0)
        #expect(try Form(isConstant: false).count() == 0)
        #expect(try Form(isOther: true).count() == 0)
        #expect(try Form(power: 3).count() == 0)
        #expect(try Form(power: 1).count() == 0)
        #expect(try Form(shape: [5, 5], axes: (0, -1)).count() == 0)
        #expect(try Form(shape: [5, 5], axes: (-1, 0)).count() == 0)
        #expect(try Form(shape: [5, 5], axes: (0, 0)).count() == 0)
        #expect(try Form(shape: [5, 5, 5], affine: [5, 1]).count() == 0)
        #expect(try Form(affine: [2, 3, 5]).count() == 0)
        #expect(try Form(epsilonShape: [1, 1, 1, 1]).count() == 0)
        for index in 0..<8 {
            var g = FusionGraph()
            let (y, inner) = try Form().build(&g)
            #expect(try g.fusions(y, inner[index])["LayerNormalization"] == nil, "inner value \(index) is an output")
            let reader = g.node("Neg", inner[index])
            #expect(try g.fusions(y, reader)["LayerNormalization"] == nil, "inner value \(index) is read elsewhere")
        }
    }

    @Test(arguments: [.float32, .float64] as [DType]) func firesOnWidenedHalves(wideType: DType) throws {
        #expect(try Form(wideType: wideType).count(.float16) == 1)
        #expect(try Form(isFlipped: true, wideType: wideType).count(.float16) == 1)
        #expect(try Form(power: 3, wideType: wideType).count(.float16) == 0)
        #expect(try Form(epsilon: -1e-5, wideType: wideType).count(.float16) == 0)
    }

    /// A negative ε makes NaN where the variance is smaller: it must stay so.
    @Test func refusesNegativeEpsilon() throws {
        var g = FusionGraph()
        let y = try Form(epsilon: -1e-5).build(&g).y
        #expect(try g.fusions(y).isEmpty)
    }
}
