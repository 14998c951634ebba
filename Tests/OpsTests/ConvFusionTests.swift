import GraphRuntime
import Ops
import TestSupport
import Testing

/// What is folded into convolutions, beside the nodes that it stands for: ``FusionGraph/fusions(_:)`` compares the values.
@Suite struct ConvFusionTests {
    /// A convolution for each of the kernels, as input, weights and attributes.
    struct Kind: Sendable, CustomStringConvertible {
        let description: String
        let input: [Int]
        let weights: [Int]
        var attributes: KeyValuePairs<String, AttributeValue> = [:]
    }

    static let kinds = [
        Kind(description: "windows", input: [2, 5, 9, 11], weights: [17, 5, 3, 3], attributes: ["strides": .ints([2, 2])]),
        Kind(description: "one pixel kernels", input: [2, 12, 7, 9], weights: [30, 12, 1, 1]),
        Kind(description: "one axis", input: [1, 6, 50], weights: [9, 6, 5]),
        Kind(
            description: "depthwise", input: [2, 6, 9, 8], weights: [12, 1, 3, 3],
            attributes: ["group": .int(6), "pads": .ints([1, 1, 1, 1])]),
        Kind(
            description: "depthwise by rows", input: [2, 7, 9, 8], weights: [7, 1, 5, 5],
            attributes: ["group": .int(7), "pads": .ints([2, 2, 2, 2])]),
        Kind(description: "one pixel kernels in 49 places", input: [1, 12, 7, 7], weights: [30, 12, 1, 1]),
        Kind(description: "groups", input: [1, 6, 9, 8], weights: [9, 2, 3, 3], attributes: ["group": .int(3)]),
        Kind(description: "one pixel", input: [1, 20, 1, 1], weights: [33, 20, 1, 1]),
        Kind(description: "few pixels", input: [1, 33, 5, 3], weights: [35, 33, 1, 1]),
        Kind(
            description: "few outputs", input: [1, 4, 9, 20], weights: [3, 4, 3, 3], attributes: ["pads": .ints([1, 1, 1, 1])]),
        Kind(
            description: "minimal filtering", input: [1, 32, 12, 12], weights: [32, 32, 3, 3],
            attributes: ["pads": .ints([1, 1, 1, 1])]),
        Kind(
            description: "minimal filtering of some tiles", input: [1, 32, 19, 18], weights: [40, 32, 3, 3],
            attributes: ["pads": .ints([1, 1, 1, 1])]),
        Kind(
            description: "minimal filtering of many tiles", input: [1, 32, 25, 17], weights: [32, 32, 3, 3],
            attributes: ["pads": .ints([1, 1, 1, 1])]),
        Kind(
            description: "frames", input: [2, 1, 200], weights: [33, 1, 64],
            attributes: ["strides": .ints([20]), "pads": .ints([7, 0])]),
        Kind(description: "three axes", input: [1, 3, 4, 5, 6], weights: [4, 3, 2, 2, 2]),
        Kind(
            description: "phases of dilated windows", input: [2, 6, 17, 18], weights: [5, 6, 3, 3],
            attributes: ["dilations": .ints([2, 2]), "pads": .ints([2, 2, 2, 2])]),
        Kind(
            description: "taps that see pixels", input: [1, 40, 9, 8], weights: [17, 40, 3, 3],
            attributes: ["dilations": .ints([6, 6]), "pads": .ints([6, 6, 6, 6])]),
    ]

    private func conv(_ g: inout FusionGraph, _ kind: Kind, isInFile: Bool, hasBias: Bool = true) throws -> ValueID {
        let (x, w) = (try g.input(kind.input), try g.weights(kind.weights, isInFile: isInFile))
        let attributes = NodeAttributes(kind.attributes)
        return hasBias
            ? g.node("Conv", x, w, try g.weights([kind.weights[0]]), attributes: attributes)
            : g.node("Conv", x, w, attributes: attributes)
    }

    private func statistics(_ g: inout FusionGraph, _ channels: Int) throws -> [ValueID] {
        try [0, 1, 2].map { _ in try g.weights([channels]) }
            + [g.constant(try floats((0..<channels).map { 0.25 + Float($0 % 7) / 4 }, [channels]))]
    }

    @Test(arguments: kinds, [false, true]) func foldsScales(kind: Kind, isInFile: Bool) throws {
        let channels = kind.weights[0]
        let affine = [channels] + Array(repeating: 1, count: kind.input.count - 2)
        for hasBias in [false, true] {
            var g = FusionGraph()
            var y = try conv(&g, kind, isInFile: isInFile, hasBias: hasBias)
            let p = try statistics(&g, channels)
            y = g.node("BatchNormalization", y, p[0], p[1], p[2], p[3])
            #expect(try g.nodeCount(y) == 1, "\(kind)")
            #expect(try g.fusions(y) == ["Conv+scale": 1])
            y = g.node("Mul", try g.weights(affine), y)
            y = g.node("Add", y, try g.weights(affine))
            y = g.node("Mul", y, try g.scalar(0.75))
            #expect(try g.nodeCount(y) == 1, "\(kind)")
        }
    }

    /// Windows with taps that see nothing but padding wherever they are, at one end or both, and windows that only look so; each as
    /// many times as the fusion fires.
    @Test(
        arguments: [
            (
                Kind(
                    description: "far dilations", input: [2, 5, 16, 16], weights: [7, 5, 3, 3],
                    attributes: ["dilations": .ints([36, 16]), "pads": .ints([36, 16, 36, 16])]), 1
            ),
            (
                Kind(
                    description: "near dilations", input: [2, 5, 16, 16], weights: [7, 5, 3, 3],
                    attributes: ["dilations": .ints([12, 15]), "pads": .ints([12, 15, 12, 15])]), 0
            ),
            (
                Kind(
                    description: "one pixel", input: [1, 20, 1, 1], weights: [33, 20, 3, 3],
                    attributes: ["pads": .ints([1, 1, 1, 1])]), 1
            ),
            (
                Kind(
                    description: "a long window", input: [1, 6, 4], weights: [9, 6, 9], attributes: ["pads": .ints([4, 4])]), 1
            ),
            (
                Kind(
                    description: "a long window that moves", input: [1, 6, 4], weights: [9, 6, 9],
                    attributes: ["pads": .ints([8, 8])]), 0
            ),
            (
                Kind(
                    description: "only in front", input: [1, 6, 4], weights: [9, 6, 5], attributes: ["pads": .ints([4, 0])]), 1
            ),
            (Kind(description: "only behind", input: [1, 6, 4], weights: [9, 6, 6], attributes: ["pads": .ints([0, 5])]), 1),
            (
                Kind(
                    description: "strides", input: [1, 3, 2, 2], weights: [4, 3, 5, 5],
                    attributes: ["strides": .ints([2, 2]), "pads": .ints([2, 2, 2, 2])]), 1
            ),
            (
                Kind(
                    description: "strides beyond the end", input: [3, 3, 5], weights: [4, 3, 4],
                    attributes: ["strides": .ints([3]), "dilations": .ints([5]), "pads": .ints([10, 8])]), 1
            ),
            (
                Kind(
                    description: "the same size", input: [1, 4, 2, 3], weights: [8, 4, 3, 4],
                    attributes: ["dilations": .ints([2, 1]), "auto_pad": .string("SAME_UPPER")]), 1
            ),
            (
                Kind(
                    description: "nothing but padding", input: [1, 4, 1], weights: [8, 4, 2],
                    attributes: ["dilations": .ints([4]), "pads": .ints([2, 2])]), 0
            ),
            (
                Kind(
                    description: "three axes", input: [1, 2, 1, 3, 3], weights: [5, 2, 3, 3, 3],
                    attributes: ["pads": .ints([1, 1, 1, 1, 1, 1])]), 1
            ),
            (
                Kind(
                    description: "groups", input: [1, 4, 1, 1], weights: [4, 1, 3, 3],
                    attributes: ["group": .int(4), "pads": .ints([1, 1, 1, 1])]), 0
            ),
        ] as [(Kind, Int)]) func leavesOutUnseenTaps(kind: Kind, count: Int) throws
    {
        for isInFile in [false, true] {
            var g = FusionGraph()
            let y = try conv(&g, kind, isInFile: isInFile)
            #expect(try g.fusions(y) == (count == 0 ? [:] : ["Conv without unseen taps": count]), "\(kind)")
            let relu = g.node("Relu", y)
            #expect(try g.nodeCount(relu) == 1, "\(kind)")
        }
    }

    @Test(arguments: [1, 2, 3]) func foldsScalesIntoTransposedConvolutions(group: Int) throws {
        var g = FusionGraph()
        let (x, w) = (try g.input([2, 6, 5, 4]), try g.weights([6, 4, 3, 2]))
        var y = g.node(
            "ConvTranspose", x, w, attributes: NodeAttributes(["group": .int(Int64(group)), "strides": .ints([2, 1])]))
        let p = try statistics(&g, 4 * group)
        y = g.node("BatchNormalization", y, p[0], p[1], p[2], p[3])
        #expect(try g.nodeCount(y) == 1)
        let relu = g.node("Relu", y)
        #expect(try g.fusions(relu) == ["Conv+scale": 1, "Conv+activation": 1])
        #expect(try g.nodeCount(relu) == 1)
    }

    /// Sums are finished once, when no strip, part of a row or part of the rows adds to them any more.
    @Test(
        arguments: [
            ([1, 16, 70, 68], [16, 9, 3, 3], [2, 2], [1, 1, 1, 1]), ([1, 4, 5000], [4, 3, 16], [8], [4, 4]),
            ([1, 24, 50, 31], [24, 3, 2, 2], [2, 2], [1, 0, 0, 1]), ([2, 10, 1, 1], [10, 30, 4, 4], [1, 1], [0, 0, 0, 0]),
            ([1, 3, 5, 4], [3, 2, 2, 2], [4, 3], [0, 0, 0, 0]),
        ] as [([Int], [Int], [Int64], [Int64])])
    func finishesTransposedConvolutions(input: [Int], weights: [Int], strides: [Int64], pads: [Int64]) throws {
        for threads in [1, 3] {
            var g = FusionGraph()
            let (x, w) = (try g.input(input), try g.weights(weights, isInFile: true))
            let sums = g.node(
                "ConvTranspose", x, w, try g.weights([weights[1]]),
                attributes: NodeAttributes(["strides": .ints(strides), "pads": .ints(pads)]))
            let y = g.node("LeakyRelu", sums, attributes: NodeAttributes(["alpha": .float(0.3)]))
            let (fused, written, counts) = try g.results(y, threads: ThreadPool(threadCount: threads))
            #expect(counts == ["Conv+activation": 1])
            try TestSupport.expectClose(
                fused, written.array(of: Float.self).map { Double($0) }, within: Tolerance(ofLargest: 1e-6))
        }
    }

    @Test func refusesScales() throws {
        let kind = Self.kinds[0]
        func count(_ change: (inout FusionGraph, ValueID) throws -> [ValueID]) throws -> Int {
            var g = FusionGraph()
            let y = try conv(&g, kind, isInFile: false)
            return try g.fusions(change(&g, y))["Conv+scale", default: 0]
        }
        // One number for each column, for each number, or one that isn't a constant.
        #expect(try count { g, y in [g.node("Mul", y, try g.weights([5]))] } == 0)
        #expect(try count { g, y in [g.node("Mul", y, try g.weights([2, 17, 4, 5]))] } == 0)
        #expect(try count { g, y in [g.node("Mul", y, try g.input([17, 1, 1]))] } == 0)
        #expect(try count { g, y in [g.node("Sub", y, try g.weights([17, 1, 1]))] } == 0)
        // What is between is read by others too.
        #expect(try count { g, y in [g.node("Mul", y, try g.weights([17, 1, 1])), y] } == 0)
        #expect(try count { g, y in [g.node("Mul", y, try g.weights([17, 1, 1])), g.node("Neg", y)] } == 0)
        // Weights would lose digits, or the terms of sums their range.
        for factor: Float in [1e-40, 1e19, 3e38, .infinity, .nan] {
            #expect(try count { g, y in [g.node("Mul", y, try g.scalar(factor))] } == 0, "\(factor)")
        }
        for factor: Float in [1e-30, 1e17] {
            #expect(try count { g, y in [g.node("Mul", y, try g.scalar(factor))] } == 1, "\(factor)")
        }
        var g = FusionGraph(.float64)
        let x = try g.input([1, 2, 4, 4])
        let y = g.node("Mul", g.node("Conv", x, try g.weights([3, 2, 3, 3])), try g.scalar(2))
        #expect(try g.fusions(y).isEmpty)
    }

    /// Weights that a session may be given other values for aren't folded.
    @Test func keepsReplaceableWeights() throws {
        var g = FusionGraph()
        let (x, w) = (try g.input([1, 2, 4, 4]), try g.weights([3, 2, 3, 3]))
        let y = g.node("Mul", g.node("Conv", x, w), try g.scalar(2))
        g.graph.replaceable = [w]
        #expect(try g.fusions(y).isEmpty)
    }

    static let activations: [(String, KeyValuePairs<String, AttributeValue>)] = [
        ("Relu", [:]), ("Sigmoid", [:]), ("HardSwish", [:]), ("Tanh", [:]), ("Softplus", [:]),
        ("LeakyRelu", ["alpha": .float(0.2)]), ("HardSigmoid", [:]), ("Elu", [:]),
    ]

    @Test(arguments: kinds) func appliesActivations(kind: Kind) throws {
        for isInFile in [false, true] {
            for (type, attributes) in Self.activations {
                var g = FusionGraph()
                let y = try conv(&g, kind, isInFile: isInFile)
                let result = g.node(type, y, attributes: NodeAttributes(attributes))
                #expect(try g.fusions(result) == ["Conv+activation": 1], "\(kind) \(type)")
            }
            var gated = FusionGraph()
            let sum = try conv(&gated, kind, isInFile: isInFile)
            let silu = gated.node("Mul", sum, gated.node("Sigmoid", sum))
            #expect(try gated.fusions(silu) == ["SiLU": 1, "Conv+activation": 1], "\(kind) SiLU")
            var g = FusionGraph()
            let y = try conv(&g, kind, isInFile: isInFile)
            let clipped = g.node("Clip", y, try g.scalar(-0.1), try g.scalar(0.25))
            #expect(try g.fusions(clipped) == ["Conv+activation": 1])
            let scaled = g.node("Add", g.node("Mul", clipped, try g.scalar(1.5)), try g.scalar(-0.5))
            #expect(try g.nodeCount(scaled) == 1)
            #expect(try g.fusions(scaled) == ["Conv+activation": 1, "Conv+activation+scale": 2])
        }
    }

    @Test(arguments: kinds) func addsResiduals(kind: Kind) throws {
        for isInFile in [false, true] {
            var g = FusionGraph()
            let y = try conv(&g, kind, isInFile: isInFile)
            let other = try conv(&g, kind, isInFile: isInFile)
            let sum = g.node("Add", other, y)
            #expect(try g.fusions(sum) == ["Conv+residual": 1], "\(kind)")
            let result = g.node("Relu", sum)
            #expect(try g.fusions(result) == ["Conv+residual": 1, "Conv+activation": 1], "\(kind)")
            #expect(try g.nodeCount(result) == 2)
            // The sum is read once more.
            #expect(try g.fusions(result, g.node("Neg", sum)) == ["Conv+residual": 1])
        }
    }

    /// A residual that is given, at any address.
    @Test(arguments: kinds) func addsGivenResiduals(kind: Kind) throws {
        for isInFile in [false, true] {
            var g = FusionGraph()
            let y = try conv(&g, kind, isInFile: isInFile)
            let shape = try g.result(y, options: SessionOptions()).shape.dimensions
            #expect(try g.fusions(g.node("Add", y, try g.input(shape))) == ["Conv+residual": 1], "\(kind)")
        }
    }

    @Test func leavesWhatIsReadTwice() throws {
        var g = FusionGraph()
        let y = try conv(&g, Self.kinds[0], isInFile: true)
        #expect(try g.fusions(g.node("Relu", y), y).isEmpty)
        #expect(try g.fusions(g.node("Relu", y), g.node("Neg", y)).isEmpty)
        // A convolution added to itself, and one residual of another shape.
        #expect(try g.fusions(g.node("Add", y, y)).isEmpty)
        #expect(try g.fusions(g.node("Add", y, try g.input([17, 1, 1]))).isEmpty)
    }

    /// HardSwish and HardSigmoid as they were written before they were operators, alone and behind a convolution.
    @Test(arguments: [false, true]) func recognisesHardActivations(isBehindConvolution: Bool) throws {
        let before = isBehindConvolution ? ["Conv+activation": 1] : [:]
        func check(_ expected: [String: Int], _ build: (inout FusionGraph, ValueID, ValueID) throws -> ValueID) throws {
            var g = FusionGraph()
            let x = isBehindConvolution ? try conv(&g, Self.kinds[0], isInFile: true) : try g.input([3, 37])
            let bounds = (try g.scalar(0), try g.scalar(6))
            let clipped = g.node("Clip", g.node("Add", x, try g.scalar(3)), bounds.0, bounds.1)
            let y = try build(&g, x, clipped)
            #expect(try g.fusions(y) == expected.merging(before) { $1 })
            #expect(try g.nodeCount(y) == 1)
        }
        try check(["HardSwish": 1]) { g, x, clipped in g.node("Div", g.node("Mul", x, clipped), try g.scalar(6)) }
        try check(["HardSwish": 1]) { g, x, clipped in g.node("Mul", g.node("Mul", clipped, x), try g.scalar(1 / 6)) }
        try check(["HardSigmoid": 1, "HardSwish": 1]) { g, x, clipped in
            g.node("Mul", g.node("Div", clipped, try g.scalar(6)), x)
        }
        try check(["HardSigmoid": 1]) { g, _, clipped in g.node("Div", clipped, try g.scalar(6)) }
        try check(["HardSwish": 1]) { g, x, _ in
            let attributes = NodeAttributes(["alpha": .float(1 / 6), "beta": .float(0.5)])
            return g.node("Mul", x, g.node("HardSigmoid", x, attributes: attributes))
        }
        try check(["Mish": 1]) { g, x, _ in g.node("Mul", x, g.node("Tanh", g.node("Softplus", x))) }
    }

    @Test func refusesOtherNumbers() throws {
        for (added, most, divisor) in [(2, 6, 6), (3, 5, 6), (3, 6, 5)] as [(Float, Float, Float)] {
            var g = FusionGraph()
            let x = try g.input([3, 37])
            let clipped = g.node("Clip", g.node("Add", x, try g.scalar(added)), try g.scalar(0), try g.scalar(most))
            #expect(try g.fusions(g.node("Div", g.node("Mul", x, clipped), try g.scalar(divisor))).isEmpty)
        }
    }
}

@Suite struct PadConvFusionTests {
    private func padded(
        _ pads: [Int64], fill: Float? = nil, mode: String = "constant", axes: [Int64]? = nil,
        convolution: NodeAttributes = NodeAttributes(), isReadTwice: Bool = false
    ) throws -> Int? {
        var g = FusionGraph()
        let (x, w, bias) = (try g.input([2, 4, 9, 11]), try g.weights([6, 2, 3, 3]), try g.weights([6]))
        var inputs: [ValueID?] = [x, g.constant(try Tensor(pads)), try fill.map { try g.scalar($0) }]
        if let axes { inputs.append(g.constant(try Tensor(axes))) }
        let pad = g.outputs(
            1, of: "Pad", version: 18, inputs, attributes: NodeAttributes(["mode": .string(mode)]))[0]
        var attributes = convolution
        attributes["group"] = .int(2)
        let y = g.node("Conv", pad, w, bias, attributes: attributes)
        return try g.fusions(isReadTwice ? [y, g.node("Relu", pad)] : [y])["Pad+Conv"]
    }

    @Test func zerosAroundPictures() throws {
        #expect(try padded([0, 0, 0, 0, 0, 0, 1, 1], fill: 0) == 1)
        #expect(try padded([0, 0, 1, 2, 0, 0, 3, 0]) == 1)
        #expect(try padded([1, 2], axes: [-1]) == 1)
        let strided = NodeAttributes([
            "strides": .ints([2, 2]), "pads": .ints([1, 0, 0, 1]), "dilations": .ints([2, 1]),
        ])
        #expect(try padded([0, 0, 1, 2, 0, 0, 0, 1], convolution: strided) == 1)
        #expect(try padded([0, 0, 1, 1, 0, 0, 1, 1], convolution: NodeAttributes(["auto_pad": .string("VALID")])) == 1)
    }

    @Test func otherPadsStay() throws {
        #expect(try padded([0, 0, 1, 1, 0, 0, 1, 1], fill: 1) == nil)
        #expect(try padded([0, 0, 1, 1, 0, 0, 1, 1], mode: "edge") == nil)
        #expect(try padded([1, 0, 1, 1, 0, 0, 1, 1]) == nil)
        #expect(try padded([0, 0, -1, 1, 0, 0, 1, 1]) == nil)
        #expect(try padded([0, 0, 1, 1, 0, 0, 1, 1], convolution: NodeAttributes(["auto_pad": .string("SAME_UPPER")])) == nil)
        #expect(try padded([0, 0, 1, 1, 0, 0, 1, 1], isReadTwice: true) == nil)
    }
}
