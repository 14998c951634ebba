/// Reads a node's attributes into an operator's typed fields, and remembers which ones it was asked for: an attribute that nobody
/// read is one that the operator doesn't honour, and refused.
public struct NodeDecoder {
    /// The opset version that holds at the node.
    public let version: Int
    /// How many inputs the node names, those that aren't given included.
    public let inputCount: Int
    /// How many outputs the node names, those that nobody asked for included.
    public let outputCount: Int
    private let attributes: NodeAttributes
    private let subgraphs: [String: [Subgraph]]
    private let givenInputs: [Bool]
    private var read: Set<String> = []

    init(_ node: Node, subgraphs: [String: [Subgraph]] = [:]) {
        version = node.identity.version
        inputCount = node.inputs.count
        outputCount = node.outputs.count
        attributes = node.attributes
        givenInputs = node.inputs.map { $0 != nil }
        self.subgraphs = subgraphs
    }

    /// Whether input `index` is given.
    public func hasInput(_ index: Int) -> Bool { index < givenInputs.count && givenInputs[index] }

    /// - Throws: ``TensorError`` where the node has fewer or more inputs than the operator takes.
    public func requireInputs(_ range: ClosedRange<Int>) throws(TensorError) {
        guard range.contains(inputCount) else {
            let expected =
                range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
            throw TensorError("expected \(expected) inputs, found \(inputCount)")
        }
    }

    /// An integer attribute, nil where the node has none of this name.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func optionalInt(_ name: String) throws(TensorError) -> Int? {
        switch take(name) {
        case nil: return nil
        case .int(let value): return Int(value)
        case let other?: throw mismatch(name, "an integer", other)
        }
    }

    /// An integer attribute, or the operator's default.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func int(_ name: String, default value: Int) throws(TensorError) -> Int {
        try optionalInt(name) ?? value
    }

    /// An integer attribute that the node must have.
    ///
    /// - Throws: ``TensorError`` where it is missing or of another type.
    public mutating func requiredInt(_ name: String) throws(TensorError) -> Int {
        guard let value = try optionalInt(name) else { throw missing(name) }
        return value
    }

    /// An integer attribute that stands for true where it isn't 0.
    public mutating func bool(_ name: String, default value: Bool) throws(TensorError) -> Bool {
        try optionalInt(name).map { $0 != 0 } ?? value
    }

    /// A float attribute, nil where the node has none of this name.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func optionalFloat(_ name: String) throws(TensorError) -> Float? {
        switch take(name) {
        case nil: return nil
        case .float(let value): return value
        case let other?: throw mismatch(name, "a float", other)
        }
    }

    /// A float attribute, or the operator's default.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func float(_ name: String, default value: Float) throws(TensorError) -> Float {
        try optionalFloat(name) ?? value
    }

    /// A string attribute, nil where the node has none of this name.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func optionalString(_ name: String) throws(TensorError) -> String? {
        switch take(name) {
        case nil: return nil
        case .string(let value): return value
        case let other?: throw mismatch(name, "a string", other)
        }
    }

    /// A string attribute, or the operator's default.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func string(_ name: String, default value: String) throws(TensorError) -> String {
        try optionalString(name) ?? value
    }

    /// A list of integers, nil where the node has none of this name.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func optionalInts(_ name: String) throws(TensorError) -> [Int]? {
        switch take(name) {
        case nil: return nil
        case .ints(let values): return values.map { Int($0) }
        // An empty list carries no element that tells its type.
        case .floats(let values) where values.isEmpty: return []
        case let other?: throw mismatch(name, "integers", other)
        }
    }

    /// A list of floats, nil where the node has none of this name.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func optionalFloats(_ name: String) throws(TensorError) -> [Float]? {
        switch take(name) {
        case nil: return nil
        case .floats(let values): return values
        case .ints(let values) where values.isEmpty: return []
        case let other?: throw mismatch(name, "floats", other)
        }
    }

    /// A list of strings, nil where the node has none of this name.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func optionalStrings(_ name: String) throws(TensorError) -> [String]? {
        switch take(name) {
        case nil: return nil
        case .strings(let values): return values
        case let other?: throw mismatch(name, "strings", other)
        }
    }

    /// A tensor attribute, nil where the node has none of this name.
    ///
    /// - Throws: ``TensorError`` where it is of another type.
    public mutating func optionalTensor(_ name: String) throws(TensorError) -> Tensor? {
        switch take(name) {
        case nil: return nil
        case .tensor(let value): return value
        case let other?: throw mismatch(name, "a tensor", other)
        }
    }

    /// An integer attribute that names an element type by ONNX's number.
    public mutating func optionalDType(_ name: String) throws(TensorError) -> DType? {
        guard let value = try optionalInt(name) else { return nil }
        guard let raw = Int32(exactly: value), let dtype = DType(rawValue: raw) else {
            throw TensorError("attribute \(name) names the unknown element type \(value)")
        }
        return dtype
    }

    /// The graph of an attribute, resolved.
    public mutating func subgraph(_ name: String) throws(TensorError) -> Subgraph {
        _ = take(name)
        guard let graphs = subgraphs[name], graphs.count == 1 else { throw missing(name) }
        return graphs[0]
    }

    /// The graph of an attribute, resolved; nil where the node has none of this name.
    public mutating func optionalSubgraph(_ name: String) throws(TensorError) -> Subgraph? {
        attributes[name] == nil ? nil : try subgraph(name)
    }

    /// Reads an attribute that changes nothing for this runtime (layout hints, training-only ones), so that it isn't refused.
    public mutating func ignore(_ name: String) { _ = take(name) }

    func requireAllRead() throws(TensorError) {
        for name in attributes.names where !read.contains(name) {
            throw TensorError("attribute \(name) isn't supported")
        }
    }

    private mutating func take(_ name: String) -> AttributeValue? {
        read.insert(name)
        return attributes[name]
    }

    private func missing(_ name: String) -> TensorError { TensorError("attribute \(name) is missing") }

    private func mismatch(_ name: String, _ expected: String, _ found: AttributeValue) -> TensorError {
        TensorError("attribute \(name) should be \(expected), found \(found.kind)")
    }
}
