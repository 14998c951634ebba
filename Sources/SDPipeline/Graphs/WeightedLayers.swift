import Foundation
import GraphRuntime

/// The layers of a graph that multiply by a constant weight: its convolutions and linear layers, each with the names of its module that
/// the file tells.
struct WeightedLayers {
    /// One use of a weight.
    struct Layer {
        /// The index of the node.
        let node: Int
        /// As the file states it, before conversions and transpositions.
        let constant: Tensor
        /// The type that the node reads.
        let dtype: DType
        let extents: WeightExtents
        /// The shape that the node reads.
        let shape: [Int]
        /// Whether the node reads [in, out].
        let readsTransposed: Bool
        /// Whether the file states the transpose of what the node reads.
        let isStoredTransposed: Bool
        /// The bias: the node that reads it and at which input; nil for none.
        let bias: (node: Int, input: Int, constant: Tensor, dtype: DType)?
        /// Names of the module, see ``ModuleNames``, the surest first.
        let names: [String]
    }

    /// In the order of the graph.
    let layers: [Layer]
    /// Layers whose weights are quantised: they are computed from other constants.
    let quantisedNames: [String]

    private struct Constant {
        let tensor: Tensor
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
        var quantised: [String] = []
        for (index, node) in graph.nodes.enumerated() {
            guard let form = Self.form(node), node.inputs.count > 1, let weight = node.inputs[1] else { continue }
            let pathName = Self.names(of: node, weight: nil, bias: nil, isText: isText)
            guard let constant = Self.constant(weight, graph, producers) else {
                if let producer = producers[weight], Self.isDequantised(producer, graph, producers), let name = pathName.first {
                    quantised.append(name)
                }
                continue
            }
            let rank = constant.tensor.shape.rank
            let stored = constant.tensor.shape.dimensions
            let shape = constant.isTransposed ? stored.reversed() : stored
            guard constant.tensor.dtype.isAdaptable, rank == 2 || (form == .convolution && (3...5).contains(rank)),
                !(constant.isTransposed && rank != 2), !shape.contains(0)
            else { continue }
            let readsTransposed = form == .product
            let logical = readsTransposed ? shape.reversed() : shape
            let bias = Self.bias(of: index, form, graph, producers, readers)
            layers.append(
                Layer(
                    node: index, constant: constant.tensor, dtype: constant.dtype, extents: AdapterDelta.extents(logical),
                    shape: shape, readsTransposed: readsTransposed, isStoredTransposed: constant.isTransposed,
                    bias: bias.map { ($0.node, $0.input, $0.constant.tensor, $0.constant.dtype) },
                    names: Self.names(of: node, weight: constant.name, bias: bias?.constant.name, isText: isText)))
        }
        self.layers = layers
        quantisedNames = quantised
    }

    private enum Form { case convolution, product, transposedProduct }

    /// How a node reads its second input; nil where it isn't a layer's weight.
    private static func form(_ node: Node) -> Form? {
        func isSet(_ name: String) -> Bool { if case .int(let value)? = node.attributes[name] { value != 0 } else { false } }
        func isOne(_ name: String) -> Bool { if case .float(let value)? = node.attributes[name] { value == 1 } else { true } }
        switch (node.identity.domain, node.identity.type) {
        case ("", "Conv"), ("com.microsoft", "FusedConv"): return .convolution
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
        for _ in 0..<8 {
            if let tensor = graph.initializers[value] {
                return Constant(
                    tensor: tensor, dtype: dtype ?? tensor.dtype, isTransposed: isTransposed, name: graph.values[value].name)
            }
            guard let node = producers[value].map({ graph.nodes[$0] }), node.identity.domain.isEmpty else { return nil }
            switch node.identity.type {
            case "Constant":
                guard case .tensor(let tensor)? = node.attributes["value"] else { return nil }
                return Constant(
                    tensor: tensor, dtype: dtype ?? tensor.dtype, isTransposed: isTransposed,
                    name: node.name.isEmpty ? graph.values[value].name : node.name)
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

    private static func isDequantised(_ producer: Int, _ graph: Graph, _ producers: [ValueID: Int]) -> Bool {
        var index: Int? = producer
        for _ in 0..<4 {
            guard let found = index else { return false }
            let node = graph.nodes[found]
            if node.identity.type == "DequantizeLinear" { return true }
            index = (node.inputs.first ?? nil).flatMap { producers[$0] }
        }
        return false
    }

    /// The bias of a layer: an input of its own, or an addition of one number for each output.
    private static func bias(
        of index: Int, _ form: Form, _ graph: Graph, _ producers: [ValueID: Int], _ readers: [ValueID: [Int]]
    ) -> (node: Int, input: Int, constant: Constant)? {
        let node = graph.nodes[index]
        if node.inputs.count > 2, node.identity.type != "FusedMatMul", let value = node.inputs[2],
            let found = constant(value, graph, producers), found.tensor.shape.rank == 1
        {
            return (index, 2, found)
        }
        guard let output = node.outputs.first ?? nil, let reader = readers[output]?.first, readers[output]?.count == 1,
            graph.nodes[reader].identity.type == "Add", graph.nodes[reader].identity.domain.isEmpty
        else { return nil }
        for (input, value) in graph.nodes[reader].inputs.enumerated() {
            guard let value, value != output, let found = constant(value, graph, producers), found.tensor.shape.rank == 1 else {
                continue
            }
            return (reader, input, found)
        }
        return nil
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
