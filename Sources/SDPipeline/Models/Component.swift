import Foundation
import GraphRuntime
import ONNXLoader
import Ops

/// One graph of a pipeline: a session, and what its declarations say about inputs and outputs.
final class Component: Sendable {
    private static let titles = [
        "text_encoder": "text encoder", "unet": "U-Net", "vae_encoder": "VAE encoder", "vae_decoder": "VAE decoder",
    ]

    /// Its folder's name, such as `vae_decoder`.
    let name: String
    /// What messages call it.
    let title: String
    let file: URL
    let options: SessionOptions
    let session: Session

    /// - Throws: ``PipelineError`` that names the component and what is wrong with its file.
    init(_ name: String, folder: ModelFolder, options: SessionOptions) throws {
        self.name = name
        title = Self.titles[name] ?? name
        file = try folder.graph(of: name)
        self.options = options
        do {
            session = try Session(
                graph: try ONNXModel(contentsOf: file, limits: options.limits).graph, library: StandardOperators.library,
                options: options)
        } catch let error as LoadError {
            // It names the file itself.
            throw PipelineError("\(error).", kind: .failedRun)
        } catch {
            throw PipelineError("\(file.path) can't be run: \(error).", kind: .failedRun)
        }
    }

    /// The declared input of one of these names, or the one at `position` where the exporter chose other names.
    func input(_ names: [String], position: Int) throws -> InputDeclaration {
        if let found = optionalInput(names) { return found }
        guard session.inputs.indices.contains(position) else {
            throw PipelineError("The \(title) has \(session.inputs.count) inputs, expected one named \(names[0]).")
        }
        return InputDeclaration(session.inputs[position])
    }

    func optionalInput(_ names: [String]) -> InputDeclaration? {
        names.lazy.compactMap { name in self.session.inputs.first { $0.name == name } }.first.map(InputDeclaration.init)
    }

    /// Runs the graph, and returns the output of one of these names, or the first one, as float32.
    ///
    /// - Throws: ``PipelineError`` with the component's name and what failed in it, also where the output isn't finite;
    ///   `CancellationError` where the task was cancelled.
    func output(_ names: [String], of inputs: [String: Tensor], observer: (any RunObserver)?) throws -> Tensor {
        let results = try run(inputs, observer: observer)
        let name = names.first { results[$0] != nil } ?? session.outputs.first?.name ?? ""
        guard let result = results[name] else { throw PipelineError("The \(title) has no output \(names[0]).") }
        let tensor = try HalfPrecision.widen(result)
        guard try tensor.withSpan(of: Float.self, { $0.isFinite }) else {
            throw NonFiniteOutput(component: self, output: name, values: tensor).explained(inputs)
        }
        return tensor
    }

    private func run(_ inputs: [String: Tensor], observer: (any RunObserver)?) throws -> [String: Tensor] {
        do {
            return try session.run(inputs, observer: observer)
        } catch {
            if Task.isCancelled { throw CancellationError() }
            throw PipelineError("The \(title) failed: \(error).", kind: .failedRun)
        }
    }
}

extension Span<Float> {
    /// Whether no element is NaN or infinite.
    var isFinite: Bool {
        // The exponent's bits are all set in both; a sum of flags vectorises, where leaving a loop early doesn't.
        var count: UInt32 = 0
        for index in indices {
            count |= (self[index].bitPattern & 0x7F80_0000) == 0x7F80_0000 ? 1 : 0
        }
        return count == 0
    }
}

/// What a graph says about one of its inputs.
struct InputDeclaration: Sendable {
    let name: String
    let dtype: DType
    /// Nil where the rank isn't stated.
    let dimensions: [GraphRuntime.Dimension]?

    init(_ declaration: ValueDeclaration) {
        name = declaration.name
        if case .tensor(let dtype, let dimensions)? = declaration.type {
            self.dtype = dtype
            self.dimensions = dimensions
        } else {
            dtype = .float32
            dimensions = nil
        }
    }

    /// The extent of the first axis, where the export fixed it.
    var fixedBatch: Int? {
        if case .fixed(let extent)? = dimensions?.first, extent > 0 { extent } else { nil }
    }

    /// Numbers as a tensor of the declared type.
    func tensor(_ values: [Float], shape: [Int]) throws -> Tensor {
        let shape = try Shape(shape)
        switch dtype {
        case .float32: return try Tensor(values, shape: shape)
        case .float16, .bfloat16:
            let result = try MutableTensor(dtype: dtype, shape: shape)
            try HalfPrecision.narrow(Tensor(values, shape: shape), into: result)
            return result.tensor
        case .float64: return try Tensor(values.map(Double.init), shape: shape)
        case .int64: return try Tensor(try integers(values).map { Int64($0) }, shape: shape)
        case .int32: return try Tensor(try integers(values).map { Int32(truncatingIfNeeded: $0) }, shape: shape)
        default: throw PipelineError("The input \(name) is declared as \(dtype), which isn't supported here.")
        }
    }

    private func integers(_ values: [Float]) throws -> [Int] {
        try values.map { value in
            guard let integer = Int(exactly: value.rounded(.towardZero)) else {
                throw PipelineError("\(value) can't be the integer that the input \(name) takes.")
            }
            return integer
        }
    }
}
