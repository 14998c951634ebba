import GraphRuntime

/// The equation of an Einsum, over labels: 0 and up for the axes of the ellipsis (the last one is 0), letters by their code.
struct EinsumEquation: Sendable {
    /// A letter, or one of the axes that an ellipsis stands for.
    enum Label: Hashable, Sendable {
        case letter(UInt8)
        /// Counted from the last.
        case ellipsis(Int)
    }

    /// A side's letters, nil where the ellipsis is.
    typealias Term = [UInt8?]

    let inputs: [Term]
    /// Nil where the equation leaves the output to the rule.
    let output: Term?

    /// - Throws: ``TensorError`` where it isn't an equation.
    init(_ text: String) throws(TensorError) {
        let bytes = text.utf8.filter { $0 != UInt8(ascii: " ") }
        let sides = try Self.split(bytes, text)
        var terms: [Term] = []
        for term in sides.left.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            terms.append(try Self.term(Array(term), text))
        }
        inputs = terms
        output = try sides.right.map { right throws(TensorError) in try Self.term(right, text) }
        guard let output else { return }
        let letters = Set(inputs.flatMap { $0 })
        guard Set(output).count == output.count, output.allSatisfy({ letters.contains($0) || $0 == nil }) else {
            throw TensorError("the output of the equation \"\(text)\" repeats a letter, or has one that no input has")
        }
    }

    private static func split(_ bytes: [UInt8], _ text: String) throws(TensorError) -> (left: [UInt8], right: [UInt8]?) {
        guard let dash = bytes.firstIndex(of: UInt8(ascii: "-")) else { return (bytes, nil) }
        guard dash + 1 < bytes.count, bytes[dash + 1] == UInt8(ascii: ">") else {
            throw TensorError("the equation \"\(text)\" has a - without >")
        }
        return (Array(bytes[..<dash]), Array(bytes[(dash + 2)...]))
    }

    private static func term(_ bytes: [UInt8], _ text: String) throws(TensorError) -> Term {
        var term: Term = []
        var index = 0
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
                term.append(bytes[index])
                index += 1
            case UInt8(ascii: ".") where bytes[index...].starts(with: "...".utf8) && !term.contains(nil):
                term.append(nil)
                index += 3
            default: throw TensorError("the equation \"\(text)\" has something else than letters, one ellipsis, commas and ->")
            }
        }
        return term
    }

    /// The labels of each input's axes, those of the output, and every label's extent.
    ///
    /// - Throws: ``TensorError`` where the shapes don't fit the equation.
    func bind(_ shapes: [Shape]) throws(TensorError) -> (inputs: [[Label]], output: [Label], extents: [Label: Int]) {
        guard shapes.count == inputs.count else {
            throw TensorError("the equation takes \(inputs.count) inputs, found \(shapes.count)")
        }
        var bound: [[Label]] = []
        var extents: [Label: Int] = [:]
        var ellipsisRank = 0
        for (term, shape) in zip(inputs, shapes) {
            let letters = term.count { $0 != nil }
            let rest = shape.rank - letters
            guard rest == 0 || (rest > 0 && term.contains(nil)) else {
                throw TensorError("an input of shape \(shape) doesn't fit \(letters) letters of the equation")
            }
            ellipsisRank = max(ellipsisRank, rest)
            let labels = term.flatMap { letter in
                letter.map { [Label.letter($0)] } ?? (0..<rest).map { Label.ellipsis(rest - 1 - $0) }
            }
            for (label, extent) in zip(labels, shape.dimensions) {
                let known = extents[label] ?? 1
                guard known == extent || known == 1 || extent == 1 else {
                    throw TensorError("the equation's inputs differ in an extent that should be equal: \(known) and \(extent)")
                }
                extents[label] = known == 1 ? extent : known
            }
            bound.append(labels)
        }
        let ellipsis = (0..<ellipsisRank).map { Label.ellipsis(ellipsisRank - 1 - $0) }
        guard let output else { return (bound, ellipsis + Self.implicitOutput(inputs), extents) }
        return (bound, output.flatMap { letter in letter.map { [Label.letter($0)] } ?? ellipsis }, extents)
    }

    /// Letters that occur once, in alphabetical order.
    private static func implicitOutput(_ inputs: [Term]) -> [Label] {
        var counts: [UInt8: Int] = [:]
        for case let letter? in inputs.joined() { counts[letter, default: 0] += 1 }
        return counts.filter { $0.value == 1 }.keys.sorted().map { .letter($0) }
    }
}

/// An operand on its way: elements with a label and a step for each axis. An axis may step by 0, and two axes may share a label.
private struct LabelledTensor<Element: EinsumElement> {
    typealias Label = EinsumEquation.Label

    var labels: [Label]
    var steps: [Int]
    var tensor: Tensor

    /// The elements along `kept`, summed over all other labels: a row-major tensor.
    func gathered(_ kept: [Label], _ extents: [Label: Int], threads: ThreadPool) throws -> Tensor {
        let summed = Set(labels).subtracting(kept)
        let shape = try Shape(kept.map { extents[$0] ?? 1 })
        // An extent of 1 steps by nothing: where the label's is larger, the element is repeated.
        func step(_ label: Label) -> Int { zip(labels, steps).reduce(0) { $1.0 == label ? $0 + $1.1 : $0 } }
        let keptSteps = kept.map(step)
        if summed.isEmpty, tensor.count == shape.count,
            zip(keptSteps, shape.strides).enumerated().allSatisfy({ axis, steps in
                steps.0 == steps.1 || shape[axis] == 1
            })
        {
            return try tensor.reshaped(to: shape)
        }
        if summed.isEmpty {
            let copy = StridedCopy(extents: shape.dimensions, sourceStrides: keptSteps, targetStrides: shape.strides)
            return try RunContext.newTensor(of: [tensor], shape: shape) { units in
                guard shape.count > 0 else { return }
                try units.run(copy, threads: threads)
            }
        }
        let inner = Array(summed)
        let innerExtents = inner.map { extents[$0] ?? 1 }
        let innerSteps = inner.map(step)
        let innerCount = try Shape(innerExtents).count
        let target = try MutableTensor(dtype: Element.dtype, shape: shape)
        let source = try tensor.view(of: Element.self)
        let grain = max(4096 / max(innerCount, 1), 1)
        try target.forEachSlice(of: Element.self, grain: grain, threads: threads) { range, elements in
            var outer = Odometer(extents: shape.dimensions, steps: keptSteps, from: range.lowerBound)
            for index in 0..<elements.count {
                var sum = Element.zero
                var place = Odometer(extents: innerExtents, steps: innerSteps, from: 0)
                for _ in 0..<innerCount {
                    sum = Element.sum(sum, source[outer.offset + place.offset])
                    place.advance()
                }
                elements[index] = sum
                outer.advance()
            }
        }
        return target.tensor
    }
}

/// Counts through extents, last axis fastest, and keeps the offset that the steps make.
private struct Odometer {
    let extents: [Int]
    let steps: [Int]
    var places: [Int]
    var offset = 0

    init(extents: [Int], steps: [Int], from index: Int) {
        self.extents = extents
        self.steps = steps
        places = [Int](repeating: 0, count: extents.count)
        var rest = index
        for axis in extents.indices.reversed() where extents[axis] > 0 {
            places[axis] = rest % extents[axis]
            rest /= extents[axis]
            offset += places[axis] * steps[axis]
        }
    }

    mutating func advance() {
        for axis in extents.indices.reversed() {
            places[axis] += 1
            offset += steps[axis]
            if places[axis] < extents[axis] { return }
            offset -= places[axis] * steps[axis]
            places[axis] = 0
        }
    }
}

/// Sums of products of tensors over labelled axes (Einstein's convention, ONNX Einsum 12). Operands are taken from left to right:
/// each pair becomes a batch of matrix products.
///
/// - Throws: ``TensorError`` where the shapes don't fit the equation.
func einsum<Element: EinsumElement>(
    _ equation: EinsumEquation, _ inputs: [Tensor], into output: MutableTensor, threads: ThreadPool, _ type: Element.Type
) throws {
    let (labels, outputLabels, extents) = try equation.bind(inputs.map(\.shape))
    var operands = zip(labels, inputs).map { labels, tensor in
        LabelledTensor<Element>(
            labels: labels, steps: zip(tensor.shape.dimensions, tensor.shape.strides).map { $0 == 1 ? 0 : $1 }, tensor: tensor)
    }
    guard var result = operands.first else { throw TensorError("an equation needs an input") }
    operands.removeFirst()
    while !operands.isEmpty {
        let next = operands.removeFirst()
        let later = Set(outputLabels).union(operands.flatMap(\.labels))
        result = try multiply(result, next, needed: later, extents, threads)
    }
    try output.copy(from: result.gathered(outputLabels, extents, threads: threads))
}

private func multiply<Element: EinsumElement>(
    _ a: LabelledTensor<Element>, _ b: LabelledTensor<Element>, needed: Set<EinsumEquation.Label>,
    _ extents: [EinsumEquation.Label: Int], _ threads: ThreadPool
) throws -> LabelledTensor<Element> {
    var seen: Set<EinsumEquation.Label> = []
    let own = a.labels.filter { seen.insert($0).inserted }
    seen = []
    let other = b.labels.filter { seen.insert($0).inserted }
    let batch = own.filter { other.contains($0) && needed.contains($0) }
    let contracted = own.filter { other.contains($0) && !needed.contains($0) }
    let rows = own.filter { !other.contains($0) && needed.contains($0) }
    let columns = other.filter { !own.contains($0) && needed.contains($0) }
    func count(_ labels: [EinsumEquation.Label]) throws -> Int { try Shape(labels.map { extents[$0] ?? 1 }).count }
    let left = try a.gathered(batch + rows + contracted, extents, threads: threads)
    let right = try b.gathered(batch + contracted + columns, extents, threads: threads)
    let (m, n, k) = (try count(rows), try count(columns), try count(contracted))
    try BLASLimits.check(m, n, k)
    let labels = batch + rows + columns
    let product = try MutableTensor(dtype: Element.dtype, shape: Shape(labels.map { extents[$0] ?? 1 }))
    try Element.multiply(left, right, into: product, batch: count(batch), m: m, n: n, k: k, threads: threads)
    let strides = zip(product.shape.dimensions, product.shape.strides).map { $0 == 1 ? 0 : $1 }
    return LabelledTensor(labels: labels, steps: strides, tensor: product.tensor)
}

/// Einsum (12).
struct Einsum: Operator {
    let equation: EinsumEquation

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard inputs.count > 0 else { throw TensorError("expected an input, found none") }
        let dtype = try inputs[0].dtype
        var shapes: [Shape] = []
        for index in 0..<inputs.count {
            let fact = try inputs[index]
            if let dtype, let other = fact.dtype, other != dtype {
                throw TensorError("the inputs should be of one type, found \(dtype) and \(other)")
            }
            if let shape = fact.shape { shapes.append(shape) }
        }
        guard shapes.count == inputs.count else { return [Fact(dtype: dtype)] }
        let (_, output, extents) = try equation.bind(shapes)
        return [Fact(dtype: dtype, shape: try Shape(output.map { extents[$0] ?? 1 }))]
    }

    func run(_ context: inout RunContext) throws {
        let inputs = try context.inputs.indices.map { try context.input($0) }
        let output = try context.output(0)
        func compute<Element: EinsumElement>(_ type: Element.Type) throws {
            try einsum(equation, inputs, into: output, threads: context.threads, type)
        }
        switch output.dtype {
        case .float32: try compute(Float.self)
        case .float64: try compute(Double.self)
        case .int64: try compute(Int64.self)
        case .int32: try compute(Int32.self)
        case .int16: try compute(Int16.self)
        case .int8: try compute(Int8.self)
        case .uint64: try compute(UInt64.self)
        case .uint32: try compute(UInt32.self)
        case .uint16: try compute(UInt16.self)
        case .uint8: try compute(UInt8.self)
        case let other: throw TensorError("expected numbers, found \(other)")
        }
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let shapes = inputs.compactMap { $0?.shape }
        let bytes = Self.bytesMoved(inputs: inputs, outputs: outputs)
        guard let extents = try? equation.bind(shapes).extents else { return Cost(bytes: bytes) }
        return Cost(flops: extents.values.reduce(Double(shapes.count)) { $0 * Double($1) }, bytes: bytes)
    }
}

/// The definitions of this file, for the family's list.
enum EinsumDefinitions {
    static let definitions = [
        OperatorDefinition("Einsum", since: 12) { decoder in
            guard let text = try decoder.optionalString("equation") else { throw TensorError("attribute equation is missing") }
            let equation = try EinsumEquation(text)
            try decoder.requireInputs(equation.inputs.count...equation.inputs.count)
            return Einsum(equation: equation)
        }
    ]
}
