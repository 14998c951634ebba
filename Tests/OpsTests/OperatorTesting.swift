import GraphRuntime
import Ops
import TestSupport
import Testing

/// Runs one operator through a session, with the optimizer on and off, and on inputs at odd addresses; the results must be the same to the
/// bit.
func run(
    _ type: String, version: Int, domain: String = "", attributes: NodeAttributes = NodeAttributes(), inputs: [Tensor?],
    outputCount: Int = 1, threads: Int = 2, observer: (any RunObserver)? = nil
) throws -> [Tensor] {
    var graph = Graph()
    var given: [String: Tensor] = [:]
    let inputIDs = inputs.enumerated().map { index, tensor -> ValueID? in
        guard let tensor else { return nil }
        let id = graph.addValue(ValueDeclaration(name: "x\(index)"))
        graph.inputs.append(id)
        given["x\(index)"] = tensor
        return id
    }
    let outputIDs = (0..<outputCount).map { graph.addValue(ValueDeclaration(name: "y\($0)")) }
    graph.outputs = outputIDs
    graph.nodes = [
        Node(
            name: "node", identity: OperatorIdentity(domain: domain, type: type, version: version), inputs: inputIDs,
            outputs: outputIDs, attributes: attributes)
    ]
    let sessions = try [true, false].map { optimize in
        try Session(
            graph: graph, library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: threads)))
    }
    func results(_ session: Session, _ given: [String: Tensor], _ observer: (any RunObserver)?) throws -> [Tensor] {
        let outputs = try session.run(given, observer: observer)
        return try (0..<outputCount).map { try #require(outputs["y\($0)"]) }
    }
    let found = try sessions.map { try results($0, given, observer) }
    for (a, b) in zip(found[0], found[1]) { try expectSame(a, b, "the optimizer changes the result of \(type)") }
    let misaligned = try given.mapValues { try $0.misaligned() }
    for (a, b) in zip(found[0], try results(sessions[0], misaligned, nil)) {
        try expectSame(b, a, "the inputs' addresses change the result of \(type)")
    }
    return found[0]
}

/// Runs one operator through a session as ``run(_:version:domain:attributes:inputs:outputCount:threads:)`` does, with all inputs but
/// the first as constants in a mapped file, such as weights are: in forms that kernels pack once. The second run is of the packed ones.
func runOnWeights(
    _ type: String, version: Int, domain: String = "", attributes: NodeAttributes = NodeAttributes(), inputs: [Tensor],
    threads: Int = 2, savesMemory: Bool = false, precision: Precision = .single, weights format: WeightFormat = .stored,
    observer: (any RunObserver)? = nil
) throws -> Tensor {
    var graph = Graph()
    let file = try MappedTensors(Array(inputs.dropFirst()))
    let input = graph.addValue(ValueDeclaration(name: "x", type: .tensor(inputs[0].dtype, nil)))
    graph.inputs = [input]
    let weights = file.tensors.enumerated().map { index, tensor in
        let id = graph.addValue(ValueDeclaration(name: "w\(index)"))
        graph.initializers[id] = tensor
        return id
    }
    let output = graph.addValue(ValueDeclaration(name: "y"))
    graph.outputs = [output]
    graph.nodes = [
        Node(
            name: "node", identity: OperatorIdentity(domain: domain, type: type, version: version), inputs: [input] + weights,
            outputs: [output], attributes: attributes)
    ]
    let session = try Session(
        graph: graph, library: StandardOperators.library,
        options: SessionOptions(
            threads: ThreadPool(threadCount: threads), savesMemory: savesMemory, precision: precision, weights: format))
    let results = try (0..<2).map { _ in try #require(try session.run(["x": inputs[0]], observer: observer)["y"]) }
    try expectSame(results[1], results[0], "the second run of \(type)")
    return results[1]
}

/// A float32 tensor.
func floats(_ values: [Float], _ dimensions: [Int]) throws -> Tensor { try Tensor(values, shape: Shape(dimensions)) }

/// A float32 tensor with its elements rounded to bfloat16.
func roundedToBFloat16(_ tensor: Tensor) throws -> Tensor {
    try Tensor(tensor.array(of: Float.self).map { BFloat16($0).float }, shape: tensor.shape)
}

/// An int64 tensor of rank 1.
func int64s(_ values: [Int64]) throws -> Tensor { try Tensor(values) }

/// Numbers in -1...1 that are the same in every run (a linear congruential generator, Knuth's MMIX constants).
func pseudoRandom(_ dimensions: [Int], seed: UInt64 = 1) throws -> Tensor {
    var state = seed
    let shape = try Shape(dimensions)
    let values = (0..<shape.count).map { _ -> Float in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(1 << 31)
    }
    return try Tensor(values, shape: shape)
}

/// The largest difference, relative to the largest expected magnitude.
func relativeError(_ found: Tensor, _ expected: [Float]) throws -> Float {
    let values = try found.array(of: Float.self)
    try #require(values.count == expected.count)
    let scale = expected.reduce(0) { max($0, abs($1)) }
    return zip(values, expected).reduce(0) { max($0, abs($1.0 - $1.1)) } / max(scale, .leastNormalMagnitude)
}
