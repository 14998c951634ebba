import Foundation
import GraphRuntime
import ONNXLoader
import Ops

/// One graph of a pipeline: a session, and what its declarations say about inputs and outputs.
final class Component: Sendable {
    private static let titles = [
        "text_encoder": "text encoder", "text_encoder_2": "second text encoder", "unet": "U-Net", "vae_encoder": "VAE encoder",
        "vae_decoder": "VAE decoder", "safety_checker": "safety checker",
    ]

    /// Changes a file's graph before it is made ready to run.
    typealias Edit = @Sendable (_ graph: inout Graph, _ title: String) throws -> Void

    /// Its folder's name, such as `vae_decoder`.
    let name: String
    /// What messages call it.
    let title: String
    let file: URL
    let options: SessionOptions
    let session: Session
    private let edit: Edit

    /// - Throws: ``PipelineError`` that names the component and what is wrong with its file.
    convenience init(
        _ name: String, folder: ModelFolder, options: SessionOptions, edit: @escaping Edit = { _, _ in }
    ) throws {
        try self.init(name, file: folder.graph(of: name), options: options, edit: edit)
    }

    /// - Parameters:
    ///   - title: what messages call it; nil for what its name stands for.
    ///   - edit: ``PipelineError``s that it throws pass.
    /// - Throws: ``PipelineError`` that names the component and what is wrong with its file.
    init(
        _ name: String, file: URL, title: String? = nil, options: SessionOptions, edit: @escaping Edit = { _, _ in }
    ) throws {
        self.name = name
        self.title = title ?? Self.titles[name] ?? name
        self.file = file
        self.options = options
        self.edit = edit
        do {
            var graph = try ONNXModel(contentsOf: file, limits: options.limits).graph
            try edit(&graph, self.title)
            session = try Session(graph: graph, library: StandardOperators.library, options: options)
        } catch let error as PipelineError {
            throw error
        } catch let error as LoadError {
            // It names the file itself.
            throw PipelineError("\(error).", kind: .failedRun)
        } catch {
            throw PipelineError("\(file.path) can't be run: \(error).", kind: .failedRun)
        }
    }

    /// A part of another component's graph; packed weights that both need are in memory once.
    ///
    /// - Parameters:
    ///   - title: what messages call it.
    ///   - graph: as the other's edit left it.
    ///   - edit: leaves the part.
    /// - Throws: ``PipelineError``s of the edit, and one for a part that can't be run.
    init(
        _ title: String, of whole: Component, graph: Graph, edit: @escaping @Sendable (_ graph: inout Graph) throws -> Void
    ) throws {
        name = whole.name
        self.title = title
        file = whole.file
        options = whole.options
        let editWhole = whole.edit
        self.edit = { graph, title in
            try editWhole(&graph, title)
            try edit(&graph)
        }
        var graph = graph
        try edit(&graph)
        do {
            session = try Session(
                graph: graph, library: StandardOperators.library, options: options, sharingConstantsOf: whole.session)
        } catch {
            throw PipelineError("The \(title) can't be run: \(error).", kind: .failedRun)
        }
    }

    /// The same graph without the optimizer, for finding out where something in it comes from; nil where its file is gone.
    func plainSession() -> Session? {
        var options = options
        options.optimize = false
        guard var graph = try? ONNXModel(contentsOf: file).graph, (try? edit(&graph, title)) != nil else { return nil }
        guard let plain = try? Session(graph: graph, library: StandardOperators.library, options: options) else { return nil }
        // What adapters changed since it was loaded.
        for (id, tensor) in session.replaceableConstants { try? plain.replaceConstant(id, with: tensor) }
        return plain
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
    /// - Throws: as ``outputs(_:of:observer:)``.
    func output(_ names: [String], of inputs: [String: Tensor], observer: (any RunObserver)?) throws -> Tensor {
        try outputs([names], of: inputs, observer: observer)[0]
    }

    /// Runs the graph, and returns for each list of names the output that has one of them, or the first one, as float32.
    ///
    /// - Throws: ``PipelineError`` with the component's name and what failed in it, also where an output isn't finite;
    ///   `CancellationError` where the task was cancelled.
    func outputs(_ lists: [[String]], of inputs: [String: Tensor], observer: (any RunObserver)?) throws -> [Tensor] {
        let results = try run(inputs, observer: observer)
        return try lists.map { names in
            let name = names.first { results[$0] != nil } ?? session.outputs.first?.name ?? ""
            guard let result = results[name] else { throw PipelineError("The \(title) has no output \(names[0]).") }
            let tensor = try HalfPrecision.widen(result)
            guard try tensor.withSpan(of: Float.self, { $0.isFinite }) else {
                throw NonFiniteOutput(component: self, output: name, values: tensor).explained(inputs)
            }
            return tensor
        }
    }

    /// Whether the values of a run on inputs of these shapes take at most so many bytes, as far as that is known ahead.
    func fits(_ inputs: [String: Tensor], bytes: Int) -> Bool {
        do {
            return try session.prepare(inputs).arenaByteCount <= bytes
        } catch let error as GraphError where error.kind == .limit {
            return false
        } catch {
            // The run says what is wrong.
            return true
        }
    }

    /// Runs the graph, and returns all outputs by their names, as they are.
    ///
    /// - Throws: as ``outputs(_:of:observer:)``, but for values that aren't finite.
    func run(_ inputs: [String: Tensor], observer: (any RunObserver)?) throws -> [String: Tensor] {
        do {
            return try session.run(inputs, observer: observer)
        } catch let error as CancellationError {
            throw error
        } catch {
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
