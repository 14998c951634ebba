import GraphRuntime
import Ops

/// A weight as [out, in, kernel] with the kernel's axes in one: what every layer's weight is to an adapter.
struct WeightExtents: Equatable {
    let out: Int
    let inside: Int
    /// Pixels of a convolution's kernel; 1 for linear layers.
    let kernel: Int

    var columns: Int { inside * kernel }
    var count: Int { out * inside * kernel }
}

/// The arithmetic of adapters: the difference that a module's tensors stand for, in float32.
struct AdapterDelta {
    let module: AdapterModule
    let file: SafetensorsFile
    let threads: ThreadPool

    /// A mismatch between an adapter and a model.
    struct Mismatch: Error {
        /// What the adapter's tensors make, such as `[320, 768]`.
        let found: String
    }

    /// Adds the difference to a weight.
    ///
    /// - Parameters:
    ///   - sum: [out, in, kernel] of the weight and what was added before.
    ///   - base: the weight itself.
    ///   - strength: the adapter's weight; 0 adds nothing.
    /// - Throws: ``Mismatch`` where it is a difference of another shape, ``SafetensorsFile/FormatError`` where tensors don't multiply.
    func add(to sum: inout [Float], base: [Float], extents: WeightExtents, strength: Float) throws {
        guard strength != 0, let difference = try difference(extents, base) else { return }
        guard module.isDoRA else {
            let factor = strength * module.scale
            for index in sum.indices { sum[index] += factor * difference[index] }
            return
        }
        let (magnitude, isOverOutput) = try magnitude(extents)
        // diffusers and PEFT weight the difference before lengths are taken; LyCORIS afterwards, what lengths change.
        let isPEFT = isOverOutput && [.lora, .tuckerLoRA].contains(module.form)
        let factor = module.scale * (isPEFT ? strength : 1)
        let changed = zip(base, difference).map { $0 + factor * $1 }
        let columns = extents.columns
        func group(_ index: Int) -> Int { isOverOutput ? index / columns : index % columns / extents.kernel }
        var squares = [Double](repeating: 0, count: isOverOutput ? extents.out : extents.inside)
        for index in changed.indices { squares[group(index)] += Double(changed[index]) * Double(changed[index]) }
        let scales = zip(magnitude, squares).map { magnitude, square in
            let scale = magnitude / max(Float(square.squareRoot()), Float.ulpOfOne)
            return isPEFT ? scale : strength * (scale - 1) + 1
        }
        for index in sum.indices { sum[index] += changed[index] * scales[group(index)] - base[index] }
    }

    /// The difference of the bias, for [out]; nil where there is none.
    func bias(count: Int, strength: Float) throws -> [Float]? {
        guard let key = module.keys[.diffBias] ?? module.keys[.upBias] else { return nil }
        let values = try file.floats(key)
        guard values.count == count else { throw Mismatch(found: "[\(values.count)]") }
        let factor = strength * (module.keys[.diffBias] == nil ? module.scale : 1)
        return values.map { $0 * factor }
    }

    /// The lengths of DoRA, for each output, or for each input.
    private func magnitude(_ extents: WeightExtents) throws -> (values: [Float], isOverOutput: Bool) {
        guard let key = module.keys[.doraScale] ?? module.keys[.magnitude], let shape = file.entries[key]?.shape else {
            return ([], true)
        }
        let values = try file.floats(key)
        if values.count == extents.out, shape.first == extents.out || module.keys[.magnitude] != nil { return (values, true) }
        if values.count == extents.inside, shape.count >= 2, shape[0] == 1, shape[1] == extents.inside {
            return (values, false)
        }
        throw Mismatch(found: "\(shape) of DoRA's lengths")
    }

    /// [out, in, kernel], without scale; nil where only the bias differs.
    private func difference(_ extents: WeightExtents, _ base: [Float]) throws -> [Float]? {
        let result: (values: [Float], extents: WeightExtents)
        switch module.form {
        case .lora: result = try lowRank()
        case .tuckerLoRA:
            result = try tucker(core: .mid, out: .up, inside: .down, isOutFirst: true)
        case .loha: result = try hadamard()
        case .lokr: result = try kronecker()
        case .glora: result = try generalized(base, extents)
        case .ia3: result = try (factors(of: base, extents), extents)
        case .full:
            guard let key = module.keys[.diff] else { return nil }
            let matrix = try tensor(.diff)
            result = (matrix.values, Self.extents(file.entries[key]?.shape ?? []))
        }
        // A kernel may be written as more inputs.
        let isSame =
            result.extents == extents
            || (result.extents.out == extents.out && result.extents.kernel == 1 && result.extents.inside == extents.columns)
        guard isSame else { throw Mismatch(found: result.extents.text) }
        return result.values
    }

    // MARK: The forms

    private func lowRank() throws -> ([Float], WeightExtents) {
        let (down, up) = (try tensor(.down), try tensor(.up))
        let extents = Self.extents(down.shape)
        let product = try product(up, .up, down, .down)
        return (product, WeightExtents(out: up.shape[0], inside: extents.inside, kernel: extents.kernel))
    }

    private func hadamard() throws -> ([Float], WeightExtents) {
        func factor(_ a: AdapterKey.Field, _ b: AdapterKey.Field, _ core: AdapterKey.Field) throws -> ([Float], WeightExtents) {
            if module.keys[core] != nil { return try tucker(core: core, out: a, inside: b, isOutFirst: false) }
            let (left, right) = (try tensor(a), try tensor(b))
            let extents = Self.extents(right.shape)
            let values = try product(left, a, right, b)
            return (values, WeightExtents(out: left.shape[0], inside: extents.inside, kernel: extents.kernel))
        }
        let first = try factor(.hadaW1A, .hadaW1B, .hadaT1)
        let second = try factor(.hadaW2A, .hadaW2B, .hadaT2)
        guard first.1.out == second.1.out, first.0.count == second.0.count else {
            throw mismatch(.hadaW1A, .hadaW2A)
        }
        return (zip(first.0, second.0).map { $0 * $1 }, first.1)
    }

    private func kronecker() throws -> ([Float], WeightExtents) {
        func factor(
            _ whole: AdapterKey.Field, _ a: AdapterKey.Field, _ b: AdapterKey.Field, _ core: AdapterKey.Field?
        ) throws -> ([Float], WeightExtents) {
            if let key = module.keys[whole] {
                return (try file.floats(key), Self.extents(file.entries[key]?.shape ?? []))
            }
            if let core, module.keys[core] != nil { return try tucker(core: core, out: a, inside: b, isOutFirst: false) }
            let (left, right) = (try tensor(a), try tensor(b))
            let extents = Self.extents(right.shape)
            return (
                try product(left, a, right, b),
                WeightExtents(out: left.shape[0], inside: extents.inside, kernel: extents.kernel)
            )
        }
        let (first, small) = try factor(.lokrW1, .lokrW1A, .lokrW1B, nil)
        let (second, large) = try factor(.lokrW2, .lokrW2A, .lokrW2B, .lokrT2)
        guard small.kernel == 1, first.count == small.count, second.count == large.count else {
            throw mismatch(.lokrW1, .lokrW2)
        }
        let (out, isOutTooMuch) = small.out.multipliedReportingOverflow(by: large.out)
        let (inside, isInsideTooMuch) = small.inside.multipliedReportingOverflow(by: large.inside)
        let extents = WeightExtents(out: isOutTooMuch ? 0 : out, inside: isInsideTooMuch ? 0 : inside, kernel: large.kernel)
        // Checked here, since a few numbers could ask for any amount of memory.
        guard !isOutTooMuch, !isInsideTooMuch, out <= 1 << 20, inside <= 1 << 20, large.kernel <= 1 << 10,
            extents.count <= 1 << 30
        else { throw mismatch(.lokrW1, .lokrW2) }
        var result = [Float](repeating: 0, count: extents.count)
        let width = large.columns
        for a in 0..<small.out {
            for c in 0..<large.out {
                for b in 0..<small.inside {
                    let factor = first[a * small.inside + b]
                    let target = (a * large.out + c) * extents.columns + b * width
                    for index in 0..<width { result[target + index] = factor * second[c * width + index] }
                }
            }
        }
        return (result, extents)
    }

    /// W·A₁·A₂ + B₁·B₂, where the first product is one for each pixel of the kernel.
    private func generalized(_ base: [Float], _ extents: WeightExtents) throws -> ([Float], WeightExtents) {
        let (first, second) = (try tensor(.gloraA1), try tensor(.gloraA2))
        let (wide, narrow) = (Self.extents(first.shape), Self.extents(second.shape))
        guard wide.kernel == 1, narrow.kernel == 1, wide.inside == narrow.out, wide.out == narrow.inside else {
            throw mismatch(.gloraA1, .gloraA2)
        }
        let right: ([Float], WeightExtents)
        if module.keys[.gloraMid] != nil {
            right = try tucker(core: .gloraMid, out: .gloraB1, inside: .gloraB2, isOutFirst: true)
        } else {
            let (left, inner) = (try tensor(.gloraB1), try tensor(.gloraB2))
            let shape = Self.extents(inner.shape)
            right = (
                try product(left, .gloraB1, inner, .gloraB2),
                WeightExtents(out: left.shape[0], inside: shape.inside, kernel: shape.kernel)
            )
        }
        guard wide.out == extents.inside, right.1.out == extents.out, right.0.count == base.count else {
            throw Mismatch(found: WeightExtents(out: right.1.out, inside: wide.out, kernel: right.1.kernel).text)
        }
        let kernel = extents.kernel
        var sum = right.0
        for pixel in 0..<kernel {
            let plane = (0..<extents.out * extents.inside).map { base[$0 * kernel + pixel] }
            let left = try multiplied(plane, extents.out, first.values, extents.inside, wide.inside)
            let product = try multiplied(left, extents.out, second.values, wide.inside, extents.inside)
            for index in product.indices { sum[index * kernel + pixel] += product[index] }
        }
        return (sum, right.1)
    }

    /// The weight times a factor for each output or input.
    private func factors(of base: [Float], _ extents: WeightExtents) throws -> [Float] {
        guard let key = module.keys[.factors] else { return [] }
        let values = try file.floats(key)
        guard values.count == (module.scalesInputs ? extents.inside : extents.out) else {
            let shape = file.entries[key]?.shape ?? []
            throw Mismatch(found: "\(shape) of factors for its \(module.scalesInputs ? "inputs" : "outputs")")
        }
        let columns = extents.columns
        return base.indices.map {
            base[$0] * values[module.scalesInputs ? $0 % columns / extents.kernel : $0 / columns]
        }
    }

    /// Σ core[i, j, k] out[·, i] in[j, ·] for each pixel k of the kernel.
    ///
    /// - Parameter isOutFirst: whether the outputs' factor is [out, rank]; [rank, out] otherwise.
    private func tucker(
        core: AdapterKey.Field, out: AdapterKey.Field, inside: AdapterKey.Field, isOutFirst: Bool
    ) throws -> ([Float], WeightExtents) {
        let (coreTensor, outTensor, insideTensor) = (try tensor(core), try tensor(out), try tensor(inside))
        let (middle, outer, inner) = (
            Self.extents(coreTensor.shape), Self.extents(outTensor.shape), Self.extents(insideTensor.shape)
        )
        let (outRank, outCount) = isOutFirst ? (outer.inside, outer.out) : (outer.out, outer.inside)
        guard outer.kernel == 1, inner.kernel == 1, middle.out == outRank, middle.inside == inner.out else {
            throw mismatch(core, out, inside)
        }
        var left = outTensor.values
        if !isOutFirst {
            left = outTensor.values.indices.map { index in
                outTensor.values[index % outRank * outCount + index / outRank]
            }
        }
        let extents = WeightExtents(out: outCount, inside: inner.inside, kernel: middle.kernel)
        guard outCount <= 1 << 20, inner.inside <= 1 << 20, middle.kernel <= 1 << 10, extents.count <= 1 << 30 else {
            throw mismatch(core, out, inside)
        }
        var result = [Float](repeating: 0, count: extents.count)
        for pixel in 0..<middle.kernel {
            let slice = (0..<middle.out * middle.inside).map { coreTensor.values[$0 * middle.kernel + pixel] }
            let right = try multiplied(slice, middle.out, insideTensor.values, middle.inside, inner.inside)
            let plane = try multiplied(left, outCount, right, outRank, inner.inside)
            for index in plane.indices { result[index * middle.kernel + pixel] = plane[index] }
        }
        return (result, extents)
    }

    // MARK: Tensors

    private typealias Values = (values: [Float], shape: [Int])

    private func tensor(_ field: AdapterKey.Field) throws -> Values {
        guard let key = module.keys[field], let entry = file.entries[key] else { return ([], [0, 0]) }
        guard (2...5).contains(entry.shape.count), entry.shape.allSatisfy({ $0 > 0 }) else {
            throw SafetensorsFile.FormatError(
                reason:
                    "its tensor \"\(key.shortened(to: String.longestName))\" has the shape \(entry.shape.prefix(8)), expected a matrix's or a convolution's"
            )
        }
        return (try file.floats(key), entry.shape)
    }

    /// [out, in, kernel] of a shape.
    static func extents(_ shape: [Int]) -> WeightExtents {
        WeightExtents(
            out: shape.first ?? 0, inside: shape.dropFirst().first ?? 0, kernel: shape.dropFirst(2).reduce(1, *))
    }

    /// The left factor [out, rank] by the right one [rank, …].
    private func product(_ left: Values, _ a: AdapterKey.Field, _ right: Values, _ b: AdapterKey.Field) throws -> [Float] {
        let (first, second) = (Self.extents(left.shape), Self.extents(right.shape))
        guard first.kernel == 1, first.inside == second.out else { throw mismatch(a, b) }
        guard first.out <= 1 << 20, second.columns <= 1 << 24, first.out * second.columns <= 1 << 30 else {
            throw mismatch(a, b)
        }
        return try multiplied(left.values, first.out, right.values, first.inside, second.columns)
    }

    private func multiplied(_ left: [Float], _ m: Int, _ right: [Float], _ k: Int, _ n: Int) throws -> [Float] {
        let (a, b) = (try Tensor(left, shape: Shape([m, k])), try Tensor(right, shape: Shape([k, n])))
        return try MatrixArithmetic.product(a, b, threads: threads).array(of: Float.self)
    }

    private func mismatch(_ fields: AdapterKey.Field...) -> SafetensorsFile.FormatError {
        let shapes = fields.compactMap { field in
            module.keys[field].flatMap { file.entries[$0] }.map { "\(field.rawValue) \($0.shape)" }
        }
        return SafetensorsFile.FormatError(
            reason:
                "the tensors of its module \"\(module.module.shortened(to: 120))\" don't multiply: \(shapes.joined(separator: ", "))"
        )
    }
}

extension WeightExtents {
    /// For messages: `[320, 768]`, or `[320, 4, 9]` for a kernel of nine pixels.
    var text: String { kernel == 1 ? "[\(out), \(inside)]" : "[\(out), \(inside), \(kernel)]" }
}
