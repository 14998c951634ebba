import GraphRuntime

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Runs cases of ONNX's backend tests.
package struct BackendTestRunner: Sendable {
    package enum Verdict: Sendable, Equatable {
        case passed
        /// What differs or can't be read.
        case failed(String)
        /// Why nothing can be said about the case.
        case skipped(String)
    }

    private let library: OperatorLibrary
    private let options: SessionOptions
    /// Nil where a case itself, or else the standard, says it.
    private let relative: Double?
    private let absolute: Double?

    /// Operators that draw random numbers; a generator isn't a part of the standard.
    private static let drawing: Set<String> = [
        "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
    ]

    /// - Parameters:
    ///   - library: the operators.
    ///   - options: how a session runs, and what it may take of the machine.
    ///   - relative: the relative tolerance in the place of the case's own (`data.json`), or else of the standard's.
    ///   - absolute: the absolute tolerance, likewise.
    package init(library: OperatorLibrary, options: SessionOptions, relative: Double? = nil, absolute: Double? = nil) {
        self.library = library
        self.options = options
        self.relative = relative
        self.absolute = absolute
    }

    /// Runs the case's data sets until one fails.
    ///
    /// Skipped are models with operators, opset versions, element types or kinds of values that the runtime doesn't have, and those
    /// whose numbers are drawn at random, as far as types and shapes are right.
    ///
    /// - Throws: `CancellationError` alone.
    package func run(_ testCase: BackendTestCase) throws -> Verdict {
        var tolerance = MatchTolerance.standard
        let stated = testCase.statedTolerance()
        if let value = relative ?? stated.relative { tolerance.relative = value }
        if let value = absolute ?? stated.absolute { tolerance.absolute = value }
        // What a person states holds for all types.
        if relative != nil { tolerance.bfloat16Relative = 0 }
        return try run(testCase, within: tolerance)
    }

    /// As ``run(_:)``, with one tolerance for all.
    package func run(_ testCase: BackendTestCase, within tolerance: MatchTolerance) throws -> Verdict {
        do {
            let model = try ONNXModel(contentsOf: testCase.model(), limits: options.limits)
            if let reason = unsupported(model) { return .skipped(reason) }
            let session = try Session(graph: model.graph, library: library, options: options)
            var tolerance = tolerance
            if Self.isTransform(model.graph) { tolerance.ofLargest = max(tolerance.ofLargest, Double(Float.ulpOfOne)) }
            for folder in testCase.dataSets {
                let verdict = try BackendDataSet(folder, model.graph, limits: options.limits).check(session, tolerance)
                let place = testCase.dataSets.count > 1 ? "\(folder.lastPathComponent): " : ""
                switch verdict {
                case nil: break
                case .elements where Self.isDrawing(model.graph):
                    return .skipped("its numbers are drawn at random; their types and shapes are right")
                case .elements(let text), .form(let text): return .failed(place + text)
                }
            }
            return .passed
        } catch let error as CancellationError {
            throw error
        } catch let error as LoadError where error.kind == .unsupported {
            return .skipped("\(error)")
        } catch {
            return .failed("\(error)")
        }
    }

    /// Why a model can't be run at all; nil where it can.
    private func unsupported(_ model: ONNXModel) -> String? {
        let missing = library.registry.missingOperators(in: model.graph)
        guard missing.isEmpty else { return "operators that aren't implemented: \(missing.joined(separator: ", "))" }
        for id in model.graph.inputs + model.graph.outputs {
            let declaration = model.graph.values[id]
            if let type = declaration.type, !type.isSupported { return "\"\(declaration.name)\" is of type \(type)" }
        }
        return nil
    }

    /// Whether results are sums over a whole signal. The published ones are summed in single precision, so that their error is relative to
    /// the largest result: what should be 0 is a unit in its last place.
    private static func isTransform(_ graph: Graph) -> Bool {
        graph.nodes.contains { $0.identity.domain.isEmpty && ["DFT", "STFT"].contains($0.identity.type) }
    }

    private static func isDrawing(_ graph: Graph) -> Bool {
        graph.nodes.contains { node in
            let isStandard = node.identity.domain.isEmpty
            return isStandard && drawing.contains(node.identity.type)
                // In training it draws what it drops.
                || isStandard && node.identity.type == "Dropout"
                    && (node.inputs.count > 2 && node.inputs[2] != nil || node.identity.version < 7)
                || node.attributes.graphs.contains { isDrawing($0.1) }
        }
    }
}

extension ValueType {
    /// Whether values of the type can be made.
    fileprivate var isSupported: Bool {
        switch self {
        case .tensor, .sparseTensor: true
        case .sequence(let element):
            switch element {
            case .tensor, .sparseTensor: true
            case .map: element.isSupported
            default: false
            }
        case .optional(let element): element.isSupported
        case .map(.string, .tensor), .map(.int64, .tensor): true
        case .map: false
        }
    }
}

/// Inputs, and the outputs that belong to them.
private struct BackendDataSet {
    private var inputs: [String: Value] = [:]
    /// By the position among the graph's outputs.
    private var outputs: [Int: Value] = [:]

    /// - Throws: ``BackendTestCase/Problem`` for files that aren't what the graph needs.
    init(_ folder: URL, _ graph: Graph, limits: ResourceLimits) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        let files = names.compactMap(ValueFileName.init).sorted { $0.position < $1.position }
        let given = files.filter(\.isInput)
        // Before IR version 4 all initializers were inputs, too.
        let required = graph.inputs.filter { graph.initializers[$0] == nil }
        let places = given.count <= required.count ? required : graph.inputs
        for (index, value) in try Self.values(given, in: folder, places.map { graph.values[$0] }, limits) {
            inputs[graph.values[places[index]].name] = value
        }
        if let missing = required.first(where: { inputs[graph.values[$0].name] == nil }) {
            throw BackendTestCase.Problem(
                description: "\(folder.lastPathComponent) has no file for the input \"\(graph.values[missing].name)\"")
        }
        outputs = try Self.values(files.filter { !$0.isInput }, in: folder, graph.outputs.map { graph.values[$0] }, limits)
        if outputs.count < graph.outputs.count {
            throw BackendTestCase.Problem(
                description:
                    "\(folder.lastPathComponent) has \(outputs.count) files of outputs, and the model has \(graph.outputs.count) outputs"
            )
        }
    }

    /// The files' values by what they are for: the place whose name the file states, or else the one at its number.
    private static func values(
        _ files: [ValueFileName], in folder: URL, _ places: [ValueDeclaration], _ limits: ResourceLimits
    ) throws -> [Int: Value] {
        var result: [Int: Value] = [:]
        for file in files {
            let url = folder.appendingPathComponent(file.name)
            guard file.position < places.count else {
                throw BackendTestCase.Problem(
                    description:
                        "there is \(file.name), and the model has \(places.count) \(file.isInput ? "inputs" : "outputs")")
            }
            let (name, value) = try read(url, as: places[file.position].type, limits)
            let named = places.firstIndex { !name.isEmpty && $0.name == name }
            guard let named, named != file.position else {
                try add(value, at: file.position)
                continue
            }
            try add(try read(url, as: places[named].type, limits).value, at: named)
        }
        func add(_ value: Value, at place: Int) throws {
            guard result.updateValue(value, forKey: place) == nil else {
                throw BackendTestCase.Problem(
                    description: "two files of \(folder.lastPathComponent) are for \"\(places[place].name)\"")
            }
        }
        return result
    }

    private static func read(
        _ url: URL, as type: ValueType?, _ limits: ResourceLimits
    ) throws -> (name: String, value: Value) {
        do { return try ONNXModel.namedValue(contentsOf: url, as: type, limits: limits) } catch let error as LoadError {
            // As a problem: what a file of values lacks says nothing about the model.
            throw BackendTestCase.Problem(description: "\(url.lastPathComponent): \(error.describedWithoutFile)")
        }
    }

    func check(_ session: Session, _ tolerance: MatchTolerance) throws -> ValueMatch.Difference? {
        let found = try session.run(values: inputs)
        for (index, (value, declaration)) in zip(found, session.outputs).enumerated() {
            guard let expected = outputs[index] else { continue }
            switch try ValueMatch.difference(value, expected, within: tolerance) {
            case .form(let text): return .form("the output \"\(declaration.name)\" is \(text)")
            case .elements(let text): return .elements("of the output \"\(declaration.name)\" \(text)")
            case nil: break
            }
        }
        return nil
    }
}

extension LoadError {
    fileprivate var describedWithoutFile: String { message + (byteOffset.map { " (at byte \($0))" } ?? "") }
}
