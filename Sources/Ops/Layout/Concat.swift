import GraphRuntime

extension ElementUnits {
    /// Writes the sources one behind the other along an axis; the target is row-major with the sum of their extents there.
    ///
    /// - Parameter shapes: those of the sources, alike but for `axis`.
    func concatenate(_ shapes: [Shape], axis: Int, threads: ThreadPool) throws(TensorError) {
        let rows = shapes.map { $0.count(axis..<$0.rank) }
        let total = rows.reduce(0, +)
        let outer = shapes.first?.count(0..<axis) ?? 0
        var offset = 0
        for (source, row) in rows.enumerated() {
            try copyRows(outer, of: row, from: source, step: row, to: offset, targetStep: total, threads: threads)
            offset += row
        }
    }
}

/// ONNX Concat (1 to 13).
struct Concat: Operator {
    var axis: Int

    /// The shape of the output.
    ///
    /// - Throws: ``TensorError`` where the shapes differ in anything but `axis`.
    static func shape(_ shapes: [Shape], axis: Int) throws(TensorError) -> Shape {
        guard let first = shapes.first else { throw TensorError("there is nothing to concatenate") }
        let axis = try first.axis(axis)
        var extent = 0
        for shape in shapes {
            guard shape.rank == first.rank, try shape.replacing(axis, with: 1) == first.replacing(axis, with: 1) else {
                throw TensorError("\(first) and \(shape) can't be concatenated along axis \(axis)")
            }
            extent = saturatingAdd(extent, shape[axis])
        }
        return try first.replacing(axis, with: extent)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        var shapes: [Shape] = []
        var dtype: DType?
        for index in 0..<inputs.count {
            let fact = try inputs[index]
            if let own = fact.dtype {
                guard dtype == nil || dtype == own else {
                    throw TensorError("can't concatenate \(own) to \(dtype.map(String.init(describing:)) ?? "")")
                }
                dtype = own
            }
            if let shape = fact.shape { shapes.append(shape) }
        }
        guard shapes.count == inputs.count else { return [Fact(dtype: dtype)] }
        return [Fact(dtype: dtype, shape: try Self.shape(shapes, axis: axis))]
    }

    func run(_ context: inout RunContext) throws {
        var sources: [Tensor] = []
        for index in context.inputs.indices { sources.append(try context.input(index)) }
        try context.concatenate(sources, axis: axis)
    }

    func prepared(for operands: Operands) throws -> PreparedRun? {
        let sources = try operands.inputs.indices.map { try operands.input($0) }
        let shapes = sources.map(\.shape)
        let axis = try Self.shape(shapes, axis: axis).axis(axis)
        let units = try ElementUnits(sources: sources, target: operands.output(0))
        return { threads in try units.concatenate(shapes, axis: axis, threads: threads) }
    }
}

extension RunContext {
    /// Fills output 0 with tensors along an axis.
    mutating func concatenate(_ sources: [Tensor], axis: Int) throws {
        let shapes = sources.map(\.shape)
        let shape = try Concat.shape(shapes, axis: axis)
        let axis = try shape.axis(axis)
        let threads = threads
        try moveElements(of: sources, into: 0, shape: shape) { units in
            try units.concatenate(shapes, axis: axis, threads: threads)
        }
    }
}

extension Concat {
    static let definitions =
        OperatorDefinition.all("Concat", since: [1]) { decoder in
            Concat(axis: try decoder.int("axis", default: 1))
        }
        + OperatorDefinition.all("Concat", since: [4, 11, 13]) { decoder in
            Concat(axis: try decoder.requiredInt("axis"))
        }
}
