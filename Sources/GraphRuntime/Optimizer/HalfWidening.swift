/// Rewrites a graph so that operators which compute in float32 hand their results on as such, without rounding them to the 16 bits that
/// the file declares.
///
/// A value of the file is then float32 under its own name, and where its 16 bits are needed too, another value stands for these.
/// Operators that only move elements move the wide ones. Constants stay as they are where the operators that read them widen them as
/// they run: so they take no more memory, and fusions find them as the file has them.
struct HalfWidening {
    private(set) var graph: Graph
    /// What the file says of each value, and the tensor of a constant.
    private var facts: [Fact]
    /// For values of 16 bits the float32 value with their numbers, rounded or not.
    private var wide: [ValueID: ValueID] = [:]
    /// For values of 16 bits the value that has these bits.
    private var narrow: [ValueID: ValueID] = [:]
    /// Results of Casts from other types than 16 bits, moved or not: other Casts that read them read what was rounded.
    private var castResults: Set<ValueID> = []
    /// For values of 16 bits the nodes that would give float32 in the place of the one that gives these, added when that is read.
    private var wideForms: [ValueID: Node] = [:]
    /// Values of any type that don't depend on inputs.
    private var constants: Set<ValueID> = []
    private let outputs: Set<ValueID>

    /// - Parameters:
    ///   - graph: its nodes are then given to ``append(_:)``.
    ///   - captureTypes: the types of its captures, where they are known.
    init(_ graph: Graph, captureTypes: [DType?]) {
        self.graph = graph
        self.graph.nodes = []
        outputs = Set(graph.outputs)
        facts = graph.values.map { Fact(dtype: $0.type?.tensorType) }
        for (id, tensor) in graph.initializers { facts[id] = Fact(.tensor(tensor)) }
        for (id, dtype) in zip(graph.captures, captureTypes) { facts[id].dtype = dtype ?? facts[id].dtype }
        for id in graph.inputs + graph.captures { facts[id].value = nil }
        let given = Set(graph.inputs + graph.captures)
        constants = Set(graph.initializers.keys).subtracting(given)
        for id in constants.union(given) where isHalf(id) { narrow[id] = id }
    }

    /// The type that the file gives a value; nil where it isn't known.
    func type(of id: ValueID) -> DType? { facts[id].dtype }

    private func isHalf(_ id: ValueID) -> Bool { facts[id].dtype?.isHalf ?? false }

    /// Adds the next node, and what it needs before and after it.
    mutating func append(_ original: Node) {
        guard let operation = original.operation else { return appendPlain(original) }
        if operation.isDeterministic, original.captures.isEmpty, original.attributes.graphs.isEmpty,
            original.inputs.allSatisfy({ id in id.map { constants.contains($0) } ?? true })
        {
            constants.formUnion(original.outputs.compactMap { $0 })
        }
        let inputs = InferenceInputs(
            original.inputs.map { id in id.map { facts[$0] } }, outputCount: original.outputs.count)
        let declared = (try? operation.inferOutputs(inputs)) ?? []
        for (id, fact) in zip(original.outputs, declared) {
            if let id { facts[id] = Fact(dtype: fact.dtype ?? facts[id].dtype) }
        }
        // CastLike's type is that of its second input.
        if let conversion = operation as? any ConversionOperator, let target = conversion.target ?? declared.first?.dtype {
            return appendCast(original, conversion, to: target)
        }
        let halves = original.inputs.compactMap { $0 }.filter(isHalf)
        guard !halves.isEmpty, !operation.takesRoundedHalves,
            let widened = wideOutputs(original, operation, inputs, declared)
        else {
            return appendPlain(original)
        }
        let computesWide = halves.contains { id in
            facts[id].dtype.map { operation.floatingPointTypes?.contains($0) == false } ?? false
        }
        if computesWide || halves.contains(where: { narrow[$0] == nil || castResults.contains($0) }) {
            return appendWide(original, widened)
        }
        appendPlain(original)
        // It moves elements of inputs. A constant would be there twice, and random numbers would be drawn twice.
        guard operation.isDeterministic, !halves.contains(where: { constants.contains($0) }) else { return }
        for (id, fact) in zip(original.outputs, widened) {
            if let id, isHalf(id), fact.dtype == .float32 { wideForms[id] = original }
        }
    }

    /// Rounds what the graph hands out.
    mutating func finish() {
        for id in Set(graph.outputs).sorted() where isHalf(id) && wide[id] == id {
            let rounded = narrowed(id)
            graph.outputs = graph.outputs.map { $0 == id ? rounded : $0 }
            // The name that callers know goes to what they get.
            let name = graph.values[id].name
            graph.values[rounded].name = name
            graph.values[id].name = name + "/float32"
        }
    }

    // MARK: Nodes

    /// The outputs' types where a node reads float32 in the place of 16 bits; nil where it can't.
    private func wideOutputs(_ node: Node, _ operation: any Operator, _ inputs: InferenceInputs, _ declared: [Fact]) -> [Fact]?
    {
        // Of inputs that the graph says nothing about, operators that take every type can't be asked to take another.
        guard node.captures.isEmpty, node.attributes.graphs.isEmpty,
            operation.floatingPointTypes != nil || node.inputs.allSatisfy({ id in id.map { facts[$0].dtype != nil } ?? true }),
            declared.count >= node.outputs.count,
            let found = try? operation.inferOutputs(inputs.widened), found.count >= node.outputs.count
        else { return nil }
        for (index, id) in node.outputs.enumerated() where id != nil {
            guard let type = declared[index].dtype, let other = found[index].dtype else { return nil }
            guard type == other || (type.isHalf && other == .float32) else { return nil }
        }
        return found
    }

    private mutating func appendWide(_ original: Node, _ outputs: [Fact]) {
        var node = original
        node.widensHalves = true
        let halves = node.inputs.compactMap { $0 }.filter(isHalf)
        let computes = original.operation?.floatingPointTypes != nil
        let keepsConstants = computes && !halves.allSatisfy { constants.contains($0) }
        let movesCastResults = !computes && halves.contains { castResults.contains($0) }
        for (index, id) in original.inputs.enumerated() {
            guard let id, isHalf(id), !(keepsConstants && constants.contains(id) && wide[id] == nil) else { continue }
            node.inputs[index] = widenedValue(id)
        }
        graph.nodes.append(node)
        for (id, fact) in zip(node.outputs, outputs) {
            guard let id, isHalf(id) else { continue }
            if fact.dtype == .float32 { setWide(id) } else { narrow[id] = id }
            if movesCastResults { castResults.insert(id) }
        }
    }

    /// A Cast of the file: to 16 bits it rounds for those that ask for the bits, the others read what it was given.
    private mutating func appendCast(_ original: Node, _ operation: any ConversionOperator, to target: DType) {
        guard let source = original.inputs.first ?? nil, let output = original.outputs.first ?? nil else {
            return appendPlain(original)
        }
        var node = original
        if isHalf(source) {
            node.inputs[0] = isRounded(source) ? narrowed(source) : wide[source] ?? narrowed(source)
        }
        for (index, id) in node.inputs.enumerated().dropFirst() { if let id, isHalf(id) { node.inputs[index] = narrowed(id) } }
        graph.nodes.append(node)
        if isHalf(output) { narrow[output] = output }
        guard target.isHalf, let type = type(of: source) else { return }
        if !type.isHalf {
            castResults.insert(output)
            if type == .float32 {
                wide[output] = source
            } else {
                // Nodes with the same attributes are taken for the same, and these still say 16 bits.
                node.identity.domain = OperatorIdentity.fusionDomain
                node.operation = operation.converting(to: .float32)
                wideForms[output] = node
            }
        } else if type == target, let wider = wide[source] {
            wide[output] = wider
            if castResults.contains(source) { castResults.insert(output) }
        }
    }

    /// Whether other Casts read the 16 bits of a value: those of Casts, and what callers can compare with.
    private func isRounded(_ id: ValueID) -> Bool { castResults.contains(id) || outputs.contains(id) }

    /// A node that reads and writes what the file says.
    private mutating func appendPlain(_ original: Node) {
        var node = original
        node.inputs = original.inputs.map { id in id.map { isHalf($0) ? narrowed($0) : $0 } }
        node.captures = original.captures.map { isHalf($0) ? narrowed($0) : $0 }
        graph.nodes.append(node)
        for case let id? in node.outputs where isHalf(id) { narrow[id] = id }
    }

    // MARK: Values

    private mutating func setWide(_ id: ValueID) {
        wide[id] = id
        if case .tensor(_, let dimensions)? = graph.values[id].type { graph.values[id].type = .tensor(.float32, dimensions) }
    }

    /// The float32 value of one of 16 bits.
    private mutating func widenedValue(_ id: ValueID) -> ValueID {
        // A loop, as forms may read forms in a row of any length.
        var waiting = [id]
        while let next = waiting.last {
            let missing = wideForms[next]?.inputs.compactMap { $0 }.filter { isHalf($0) && wide[$0] == nil } ?? []
            if wide[next] != nil {
                waiting.removeLast()
            } else if missing.isEmpty {
                addWidened(next)
            } else {
                waiting += missing
            }
        }
        return wide[id] ?? id
    }

    private mutating func addWidened(_ id: ValueID) {
        guard var node = wideForms[id] else {
            let new = addValue(of: id, .float32)
            appendConversion(WidenHalf(), from: id, to: new)
            wide[id] = new
            return
        }
        node.widensHalves = true
        node.inputs = node.inputs.map { id in id.map { wide[$0] ?? $0 } }
        for (index, output) in node.outputs.enumerated() {
            guard let output, let type = facts[output].dtype else { continue }
            let new = addValue(of: output, type.isHalf ? .float32 : type)
            if type.isHalf { wide[output] = new }
            node.outputs[index] = new
        }
        graph.nodes.append(node)
    }

    /// The value with the 16 bits of one that is float32.
    private mutating func narrowed(_ id: ValueID) -> ValueID {
        if let known = narrow[id] { return known }
        guard let source = wide[id], let dtype = facts[id].dtype else { return id }
        let new = addValue(of: id, dtype)
        appendConversion(RoundToHalf(target: dtype), from: source, to: new)
        narrow[id] = new
        return new
    }

    private mutating func addValue(of id: ValueID, _ dtype: DType) -> ValueID {
        var declaration = graph.values[id]
        declaration.name += "/\(dtype)"
        if case .tensor(_, let dimensions)? = declaration.type { declaration.type = .tensor(dtype, dimensions) }
        facts.append(Fact(dtype: dtype))
        return graph.addValue(declaration)
    }

    private mutating func appendConversion(_ operation: any Operator, from source: ValueID, to target: ValueID) {
        graph.nodes.append(
            Node(
                name: graph.values[target].name,
                identity: OperatorIdentity(domain: OperatorIdentity.fusionDomain, type: "Cast", version: 1), inputs: [source],
                outputs: [target], operation: operation))
    }
}

extension Graph {
    /// Whether 16-bit floats are declared, stored or asked for anywhere, graphs of attributes included.
    var hasHalves: Bool {
        values.contains { $0.type?.tensorType?.isHalf ?? false } || initializers.values.contains { $0.dtype.isHalf }
            || nodes.contains { node in
                node.attributes.graphs.contains { $0.1.hasHalves }
                    || node.attributes.names.contains { name in
                        switch node.attributes[name] {
                        case .int(let value):
                            (name == "to" || name.hasSuffix("dtype"))
                                && (Int32(exactly: value).flatMap { DType(rawValue: $0) }?.isHalf ?? false)
                        case .tensor(let tensor): tensor.dtype.isHalf
                        default: false
                        }
                    }
            }
    }
}

extension ValueType {
    /// The element type of a tensor.
    var tensorType: DType? { if case .tensor(let dtype, _) = self { dtype } else { nil } }
}

extension InferenceInputs {
    /// Constants up to this number of elements are known as such when they count as float32: bounds of ranges.
    private static let largestKnownConstant = 1024

    /// The same with float32 in the place of 16 bits.
    var widened: InferenceInputs {
        InferenceInputs(
            facts.map { fact in
                guard let fact, fact.dtype?.isHalf == true else { return fact }
                if let tensor = fact.tensor, tensor.count <= Self.largestKnownConstant,
                    let wide = try? HalfPrecision.widen(tensor)
                {
                    return Fact(.tensor(wide))
                }
                return Fact(dtype: .float32, shape: fact.shape)
            }, outputCount: outputCount)
    }
}
