import Foundation
import GraphRuntime
import SDPipeline

/// A model's inputs: values from files, and the others made from the declarations: pseudo-random numbers for floats, ones for integers
/// and true for booleans, or random values of every type where a seed is stated.
struct ModelInputs {
    /// What was said on the command line, and in a model folder's files.
    struct Request {
        var shapes: [NamedShape] = []
        var files: [InputFile] = []
        /// Shapes from a model's folder, for inputs that nothing else is said of.
        var suggested: [String: [Int]] = [:]
        /// The seed of random values of every type; see ``RandomValues``.
        var seed: UInt64?
        /// Whether sequences and optionals are taken, too.
        var takesAllKinds: Bool { seed != nil }
        /// What a file may take of the machine.
        var limits = ResourceLimits()
    }

    let values: [String: Value]
    /// The inputs that are tensors.
    var tensors: [String: Tensor] { values.compactMapValues(\.tensor) }
    /// The names of those that were made up, in the order of the declarations.
    let madeUp: [String]

    init(session: Session, _ request: Request) throws {
        try self.init(inputs: session.inputs, request)
    }

    /// - Throws: ``CommandFailure`` where a name is unknown or an input can't be made; ``NPYError`` for a file.
    init(inputs: [ValueDeclaration], _ request: Request) throws {
        let known = inputs.map { "\"\($0.name)\"" }.joined(separator: ", ")
        let names = Set(inputs.map(\.name))
        for (option, given) in [("--shape", request.shapes.map(\.name)), ("--input", request.files.map(\.name))] {
            if let name = given.first(where: { !names.contains($0) }) {
                throw CommandFailure("\(option) names \"\(name)\", which the model doesn't have; its inputs are \(known).")
            }
        }
        let stated = Dictionary(request.shapes.map { ($0.name, $0.extents) }, uniquingKeysWith: { first, _ in first })
        let files = Dictionary(request.files.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var values: [String: Value] = [:]
        var tensors: [String: Tensor] = [:]
        for input in inputs {
            guard let file = files[input.name] else { continue }
            let value = try file.value(declaredAs: input.type, limits: request.limits)
            guard request.takesAllKinds || value.tensor != nil else {
                throw CommandFailure("\(file.path) holds \(value.kind), expected a tensor.")
            }
            values[input.name] = value
            tensors[input.name] = value.tensor
        }
        var madeUp: [String] = []
        var random = request.seed.map { RandomValues(seed: $0) }
        // What is stated of one input holds for the others that are declared with the same name.
        let bound = Self.boundNames(inputs, stated.merging(tensors.mapValues(\.shape.dimensions)) { first, _ in first })
        for input in inputs where values[input.name] == nil {
            madeUp.append(input.name)
            if random != nil, case .optional? = input.type {
                values[input.name] = .empty
                continue
            }
            guard case .tensor(let dtype, let dimensions)? = input.type else {
                throw CommandFailure(
                    "The input \"\(input.name)\" is no tensor, so it can't be made up; \(request.seed == nil ? "use run" : "give it with --input")."
                )
            }
            let suggested = (request.suggested[input.name] ?? dimensions.map(Self.extents)).map {
                Self.rebound($0, dimensions, bound)
            }
            guard let extents = stated[input.name] ?? suggested else {
                throw CommandFailure("The input \"\(input.name)\" has no declared shape: add --shape \(input.name)=2,4,64,64.")
            }
            if stated[input.name] == nil, let dimensions, dimensions.contains(where: { Self.fixed($0) == nil }) {
                StandardStreams.printError("The input \"\(input.name)\" is declared as \(dimensions) and taken as \(extents).")
            }
            let shape = try Shape(extents)
            try Self.checkMemory(shape, name: input.name)
            values[input.name] = .tensor(
                try random?.tensor(dtype, shape: shape, name: input.name) ?? Self.tensor(dtype, shape: shape, name: input.name))
        }
        self.values = values
        self.madeUp = madeUp
    }

    /// The extents of the symbolic dimensions of inputs whose shapes are stated.
    private static func boundNames(_ inputs: [ValueDeclaration], _ stated: [String: [Int]]) -> [String: Int] {
        var result: [String: Int] = [:]
        for input in inputs {
            guard let extents = stated[input.name], case .tensor(_, let dimensions?)? = input.type,
                dimensions.count == extents.count
            else { continue }
            for case (.symbolic(let name), let extent) in zip(dimensions, extents) { result[name] = result[name] ?? extent }
        }
        return result
    }

    private static func rebound(
        _ extents: [Int], _ dimensions: [GraphRuntime.Dimension]?, _ bound: [String: Int]
    ) -> [Int] {
        guard let dimensions, dimensions.count == extents.count else { return extents }
        return zip(dimensions, extents).map { dimension, extent in
            if case .symbolic(let name) = dimension { bound[name] ?? extent } else { extent }
        }
    }

    private static func fixed(_ dimension: GraphRuntime.Dimension) -> Int? {
        if case .fixed(let extent) = dimension { extent } else { nil }
    }

    /// Extents for a declaration: what symbolic names commonly stand for, 1 for all others.
    private static func extents(_ dimensions: [GraphRuntime.Dimension]) -> [Int] {
        dimensions.enumerated().map { axis, dimension in
            switch dimension {
            case .fixed(let extent): return extent
            case .symbolic(let name):
                let name = name.lowercased()
                if name.contains("height") || name.contains("width") {
                    // Pictures have three channels before their height and width, latents others.
                    let isPicture = dimensions.contains { fixed($0) == 3 }
                    return isPicture ? 224 : 64
                }
                if name.contains("channel") { return axis == 1 && dimensions.count == 4 ? 3 : 1 }
                return name.contains("seq") || name.contains("token") ? 77 : 1
            case .unknown: return 1
            }
        }
    }

    private static func checkMemory(_ shape: Shape, name: String) throws {
        let bytes = Double(shape.count) * 8
        let memory = Double(AvailableMemory.total)
        guard bytes <= memory else {
            throw CommandFailure(
                String(
                    format: "The input \"%@\" of shape %@ takes about %.0f GB, and there are %.0f GB of memory.", name,
                    "\(shape)", bytes / 1e9, memory / 1e9))
        }
    }

    private static func tensor(_ dtype: DType, shape: Shape, name: String) throws -> Tensor {
        var generator = TorchGenerator(seed: 0)
        switch dtype {
        case .float32: return try Tensor(generator.randn(count: shape.count), shape: shape)
        case .float64: return try Tensor(generator.randn(count: shape.count).map(Double.init), shape: shape)
        case .float16, .bfloat16:
            let result = try MutableTensor(dtype: dtype, shape: shape)
            try HalfPrecision.narrow(Tensor(generator.randn(count: shape.count), shape: shape), into: result)
            return result.tensor
        case .int64: return try Tensor([Int64](repeating: 1, count: shape.count), shape: shape)
        case .int32: return try Tensor([Int32](repeating: 1, count: shape.count), shape: shape)
        case .bool: return try Tensor([Bool](repeating: true, count: shape.count), shape: shape)
        case .uint8: return try Tensor([UInt8](repeating: 1, count: shape.count), shape: shape)
        case .int8: return try Tensor([Int8](repeating: 1, count: shape.count), shape: shape)
        default:
            throw CommandFailure("The input \"\(name)\" is of type \(dtype), which can't be made up; give it with --input.")
        }
    }
}

extension Value {
    /// The tensor in it, nil where it is something else.
    var tensor: Tensor? { if case .tensor(let tensor) = self { tensor } else { nil } }
}
