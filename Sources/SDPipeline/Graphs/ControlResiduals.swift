import GraphRuntime

/// The inputs of a U-Net's graph that take what ControlNets add: one tensor for each skip connection, and one for the middle block.
///
/// Exports of the U-Net alone have no such inputs: ``added(to:at:)`` gives them to the graph. Others were exported with them, under names that
/// differ; their order tells which is which.
struct ControlResiduals: Sendable, Equatable {
    /// By ``SkipConnections/Connection/residual``.
    let skips: [String]
    let middle: String

    var all: [String] { skips + [middle] }

    /// Adds an input to the skip of each connection, and one to what the middle block makes.
    static func added(to graph: inout Graph, at connections: SkipConnections) throws -> ControlResiduals {
        let prefix = "sd-onnx.control"
        var insertion = GraphInsertion(graph, prefix: prefix)
        let skips = connections.connections.indices.map { "\(prefix).skip.\($0)" }
        let result = ControlResiduals(skips: skips, middle: "\(prefix).middle")
        func add(_ name: String, to value: ValueID, input: Int, of connection: SkipConnections.Connection) throws {
            let node = try SkipConnections.node(of: connection, in: graph)
            let residual = insertion.input(name, .tensor(.float32, nil))
            let like = insertion.add("CastLike", 15, [residual, value], before: node)
            insertion.replace(input: input, ofNode: node, by: insertion.add("Add", 14, [value, like], before: node))
        }
        for connection in connections.connections {
            try add(skips[connection.residual], to: connection.skip, input: connection.skipInput, of: connection)
        }
        let first = connections.connections[0]
        try add(result.middle, to: first.hidden, input: first.hiddenInput, of: first)
        graph = insertion.finished()
        return result
    }

    /// The inputs that the export itself has for them; nil where it has none.
    ///
    /// By what the names say, as diffusers' arguments (`down_block_additional_residuals_0`, `mid_block_additional_residual`) and others
    /// (`additional_residual_0`, `down_block_0`, `control_0`): those with a number at the end by it, the others in the file's order; where no name
    /// says that it is the middle block's, it is the last.
    static func declared(in graph: Graph) -> ControlResiduals? {
        let names = graph.inputs.filter { graph.initializers[$0] == nil }.compactMap { id -> String? in
            let declaration = graph.values[id]
            guard case .tensor(let dtype, let dimensions)? = declaration.type, [.float32, .float16, .bfloat16].contains(dtype),
                (dimensions?.count ?? 4) == 4
            else { return nil }
            let name = declaration.name.lowercased()
            let parts = ["residual", "res_sample", "down_block", "mid_block", "control"]
            return parts.contains(where: name.contains) && !BuiltInControl.inputNames.contains(name) ? declaration.name : nil
        }
        guard names.count >= 2 else { return nil }
        let middles = names.filter { $0.lowercased().contains("mid") }
        guard middles.count <= 1 else { return nil }
        let numbers = names.map { number(atEndOf: $0) }
        var ordered = names
        if Set(numbers.compactMap { $0 }).count >= names.count - 1 {
            // A name without a number is the middle block's.
            ordered = zip(names, numbers).sorted { ($0.1 ?? .max) < ($1.1 ?? .max) }.map(\.0)
        }
        let middle = middles.first ?? ordered[ordered.count - 1]
        return ControlResiduals(skips: ordered.filter { $0 != middle }, middle: middle)
    }

    /// Lets the graph take residuals of any extents, so that one zero stands for none of them.
    func relax(in graph: inout Graph) {
        for id in graph.inputs where all.contains(graph.values[id].name) {
            if case .tensor(let dtype, _)? = graph.values[id].type { graph.values[id].type = .tensor(dtype, nil) }
        }
    }

    /// Puts zeros into the place of the inputs, for runs without a ControlNet.
    func remove(from graph: inout Graph) throws {
        for id in graph.inputs where all.contains(graph.values[id].name) {
            guard case .tensor(let dtype, _)? = graph.values[id].type else { continue }
            let zero = try InputDeclaration(graph.values[id]).tensor([0], shape: [1, 1, 1, 1])
            graph.initializers[id] = zero
            graph.values[id].type = .tensor(dtype, [.fixed(1), .fixed(1), .fixed(1), .fixed(1)])
        }
        graph.inputs.removeAll { all.contains(graph.values[$0].name) }
    }

    private static func number(atEndOf name: String) -> Int? {
        let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }
        return digits.isEmpty ? nil : Int(String(digits.reversed()))
    }
}

/// The inputs of a U-Net's graph that has its ControlNets inside, as diffusers' `convert_stable_diffusion_controlnet_to_onnx.py` writes it.
struct BuiltInControl: Sendable {
    static let pictureNames = ["controlnet_conds", "controlnet_cond", "control_image"]
    private static let scaleNames = ["conditioning_scales", "controlnet_scales", "conditioning_scale"]
    static let inputNames = Set(pictureNames + scaleNames)

    /// Pictures, [networks, N, 3, 8h, 8w].
    let pictures: InputDeclaration
    /// How much each network counts, [networks, 1].
    let scales: InputDeclaration?
    /// Networks inside; nil where the graph leaves it open.
    let count: Int?

    /// Nil for a U-Net alone.
    init?(_ component: Component) {
        guard let pictures = component.optionalInput(Self.pictureNames) else { return nil }
        self.pictures = pictures
        scales = component.optionalInput(Self.scaleNames)
        count = Self.count(pictures)
    }

    /// The networks that an input takes pictures for; nil where it leaves it open.
    static func count(_ pictures: InputDeclaration) -> Int? {
        switch pictures.dimensions.map({ ($0.count, $0.first) }) {
        case (5, .fixed(let extent)?)?: extent
        case (4, _)?: 1
        default: nil
        }
    }
}
