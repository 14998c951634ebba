import Foundation
import GraphRuntime

/// The layers of a graph that multiply by a constant weight: its convolutions and linear layers, each with the names of its module that
/// the file tells.
struct WeightedLayers {
    /// One use of a weight.
    struct Layer: Sendable {
        /// The index of the node.
        let node: Int
        /// As the file states it, before conversions and transpositions.
        let weight: ConstantWeight
        /// The type that the node reads.
        let dtype: DType
        /// Of the weight, with all modules that share it.
        let extents: WeightExtents
        /// The shape that the node reads; [out, in, kernel…] where channels come last, see ``MergedWeights``.
        let shape: [Int]
        /// How the node reads it.
        let order: Order
        /// Whether the file states the transpose of what the node reads.
        let isStoredTransposed: Bool
        /// The bias; nil for none.
        let bias: Bias?
        /// Names of the module, see ``ModuleNames``, the surest first; empty where several share the weight.
        let names: [String]
        /// The modules that share the weight, of fused attention; empty where it is one module's.
        var parts: [Part] = []
    }

    /// The order of a weight's axes.
    enum Order: Sendable {
        /// [out, in, kernel].
        case outputsFirst
        /// [in, out].
        case inputsFirst
        /// [out, kernel, in], of convolutions over channels that come last.
        case channelsLast
    }

    /// A bias: the node that reads it, and at which input.
    struct Bias: Sendable {
        let node: Int
        let input: Int
        let constant: Tensor
        let dtype: DType
    }

    /// A module that shares a weight with others: the queries', keys' or values'.
    struct Part: Sendable {
        let name: String
        let packing: Packing
    }

    /// Where the outputs of a module are among those of all that share its weight.
    struct Packing: Sendable {
        let index: Int
        /// Modules that share the weight.
        let count: Int
        /// Blocks of outputs: in each, those of the modules come one after the other.
        let blocks: Int

        /// The place of a module's output.
        func place(_ output: Int, of outputs: Int) -> Int {
            let width = outputs / blocks
            return (output / width * count + index) * width + output % width
        }
    }

    /// In the order of the graph.
    let layers: [Layer]
    /// Modules whose weights are quantised in a form that can't be changed here, and the operators that read these.
    let quantised: [String: String]

    private struct Constant {
        let weight: ConstantWeight
        let dtype: DType
        let isTransposed: Bool
        let name: String
    }

    /// - Parameter isText: whether the graph is a text encoder's.
    init(_ graph: Graph, isText: Bool) {
        var producers: [ValueID: Int] = [:]
        var readers: [ValueID: [Int]] = [:]
        for (index, node) in graph.nodes.enumerated() {
            for case let id? in node.outputs { producers[id] = index }
            for id in node.reads { readers[id, default: []].append(index) }
        }
        var layers: [Layer] = []
        var quantised: [String: String] = [:]
        for (index, node) in graph.nodes.enumerated() {
            if Self.quantisedTypes.contains(node.identity.type) {
                for name in Self.names(of: node, weight: nil, bias: nil, isText: isText) {
                    quantised[name] = node.identity.type
                }
            }
            guard let form = Self.form(node), node.inputs.count > 1, let weight = node.inputs[1],
                let constant = Self.constant(weight, graph, producers)
            else { continue }
            let rank = constant.weight.shape.count
            let stored = constant.weight.shape
            let shape = constant.isTransposed ? stored.reversed() : stored
            guard rank == 2 || (form.isConvolution && (3...5).contains(rank)), !(constant.isTransposed && rank != 2),
                !shape.contains(0)
            else { continue }
            let bias = Self.bias(of: index, form, graph, producers, readers)
            let logical =
                switch form.order {
                case .outputsFirst: shape
                case .inputsFirst: [shape[1], shape[0]]
                case .channelsLast: [shape[0], shape[rank - 1]] + shape[1..<rank - 1]
                }
            layers.append(
                Layer(
                    node: index, weight: constant.weight, dtype: constant.dtype, extents: AdapterDelta.extents(logical),
                    shape: form.order == .channelsLast ? logical : shape, order: form.order,
                    isStoredTransposed: constant.isTransposed, bias: bias?.bias,
                    names: form == .attention
                        ? [] : Self.names(of: node, weight: constant.name, bias: bias?.name, isText: isText)))
        }
        let attention = FusedAttention(graph, layers: layers, readers: readers)
        for index in layers.indices { layers[index].parts = attention.parts(of: index) }
        self.layers = layers
        self.quantised = quantised
    }

    /// Operators that read quantised weights.
    private static let quantisedTypes: Set = [
        "MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
        "ConvInteger", "QLinearConv", "QLinearMatMul", "QGemm", "QAttention",
    ]

    private enum Form {
        case convolution, channelsLastConvolution, product, transposedProduct, attention

        var isConvolution: Bool { self == .convolution || self == .channelsLastConvolution }
        var order: Order {
            switch self {
            case .convolution, .transposedProduct: .outputsFirst
            case .channelsLastConvolution: .channelsLast
            case .product, .attention: .inputsFirst
            }
        }
    }

    /// How a node reads its second input; nil where it isn't a layer's weight.
    private static func form(_ node: Node) -> Form? {
        func isSet(_ name: String) -> Bool { if case .int(let value)? = node.attributes[name] { value != 0 } else { false } }
        func isOne(_ name: String) -> Bool { if case .float(let value)? = node.attributes[name] { value == 1 } else { true } }
        switch (node.identity.domain, node.identity.type) {
        case ("", "Conv"), ("com.microsoft", "FusedConv"): return .convolution
        case ("com.microsoft", "NhwcConv"): return .channelsLastConvolution
        case ("com.microsoft", "Attention"): return node.attributes["qkv_hidden_sizes"] == nil ? .attention : nil
        case ("", "MatMul"): return .product
        case ("", "Gemm"), ("com.microsoft", "FusedGemm"), ("com.microsoft", "FusedMatMul"):
            guard isOne("alpha"), !isSet("transBatchB") else { return nil }
            return isSet("transB") ? .transposedProduct : .product
        default: return nil
        }
    }

    /// A constant, seen through conversions and a transposition.
    private static func constant(_ value: ValueID, _ graph: Graph, _ producers: [ValueID: Int]) -> Constant? {
        var (value, dtype, isTransposed) = (value, nil as DType?, false)
        func found(_ tensor: Tensor, _ name: String, _ quantisation: Node? = nil) -> Constant? {
            let weight: ConstantWeight?
            if let quantisation {
                weight = ConstantWeight(quantisation, in: graph)
            } else {
                weight = tensor.dtype.isAdaptable ? ConstantWeight(tensor) : nil
            }
            return weight.map { Constant(weight: $0, dtype: dtype ?? $0.dtype, isTransposed: isTransposed, name: name) }
        }
        for _ in 0..<8 {
            if let tensor = graph.initializers[value] { return found(tensor, graph.values[value].name) }
            guard let node = producers[value].map({ graph.nodes[$0] }),
                node.identity.domain.isEmpty || node.identity.type == "DequantizeLinear"
            else { return nil }
            switch node.identity.type {
            case "Constant":
                guard case .tensor(let tensor)? = node.attributes["value"] else { return nil }
                return found(tensor, node.name.isEmpty ? graph.values[value].name : node.name)
            case "DequantizeLinear":
                guard let source = node.inputs.first ?? nil, let tensor = graph.initializers[source] else { return nil }
                return found(tensor, graph.values[source].name, node)
            case "Identity": break
            case "Cast":
                guard case .int(let code)? = node.attributes["to"] else { return nil }
                // The last conversion is the nearest.
                dtype = dtype ?? [1: DType.float32, 10: .float16, 16: .bfloat16, 11: .float64][code]
                if dtype == nil { return nil }
            case "Transpose":
                switch node.attributes["perm"] {
                case .ints([1, 0]), nil: isTransposed.toggle()
                default: return nil
                }
            default: return nil
            }
            guard let source = node.inputs.first ?? nil else { return nil }
            value = source
        }
        return nil
    }

    /// The bias of a layer: an input of its own, or an addition of one number for each output.
    private static func bias(
        of index: Int, _ form: Form, _ graph: Graph, _ producers: [ValueID: Int], _ readers: [ValueID: [Int]]
    ) -> (bias: Bias, name: String)? {
        func found(_ node: Int, _ input: Int, _ value: ValueID) -> (Bias, String)? {
            guard let constant = constant(value, graph, producers), case .stored(let tensor) = constant.weight.source,
                tensor.shape.rank == 1
            else { return nil }
            return (Bias(node: node, input: input, constant: tensor, dtype: constant.dtype), constant.name)
        }
        let node = graph.nodes[index]
        if node.inputs.count > 2, node.identity.type != "FusedMatMul", let value = node.inputs[2],
            let bias = found(index, 2, value)
        {
            return bias
        }
        guard let output = node.outputs.first ?? nil, let reader = readers[output]?.first, readers[output]?.count == 1 else {
            return nil
        }
        let inputs = graph.nodes[reader].inputs
        switch (graph.nodes[reader].identity.domain, graph.nodes[reader].identity.type) {
        case ("", "Add"):
            for (input, value) in inputs.enumerated() {
                if let value, value != output, let bias = found(reader, input, value) { return bias }
            }
            return nil
        case ("com.microsoft", "BiasGelu"), ("com.microsoft", "FastGelu"), ("com.microsoft", "BiasSplitGelu"),
            ("com.microsoft", "BiasAdd"):
            return inputs.count > 1 && inputs[0] == output ? inputs[1].flatMap { found(reader, 1, $0) } : nil
        case ("com.microsoft", "SkipLayerNormalization"):
            return inputs.count > 4 && inputs[..<2].contains(output) ? inputs[4].flatMap { found(reader, 4, $0) } : nil
        default: return nil
        }
    }

    /// From the modules around the node, its name, the weight's and the bias's.
    private static func names(of node: Node, weight: String?, bias: String?, isText: Bool) -> [String] {
        var candidates: [String] = []
        if !node.scopes.isEmpty { candidates.append(node.scopes.joined(separator: ".")) }
        let pieces = node.name.split(separator: "/")
        if pieces.count > 1 { candidates.append(pieces.dropLast().joined(separator: ".")) }
        for (name, end) in [(weight, ".weight"), (bias, ".bias")] {
            guard let name, let range = name.range(of: end, options: .backwards) else { continue }
            candidates.append(String(name[..<range.lowerBound]))
        }
        var result: [String] = []
        for candidate in candidates {
            let plain = AdapterKey.plain(candidate).replacing("/", with: "_")
            guard let name = isText ? ModuleNames.text(plain) : ModuleNames.unet(plain), !result.contains(name) else {
                continue
            }
            result.append(name)
        }
        return result
    }
}

extension DType {
    /// Whether weights of the type can be changed.
    fileprivate var isAdaptable: Bool { [.float32, .float16, .bfloat16, .float64].contains(self) }
}
