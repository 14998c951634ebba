import GraphRuntime
import Ops

/// The arithmetic of ``MergedWeights``: a layer's weight or bias with what adapters add to it.
struct WeightMerging: Sendable {
    typealias Slot = AdapterPlacement.Slot

    let homes: LayerHomes
    let threads: ThreadPool
    /// What messages call the graph.
    let title: String

    /// The constant of a slot, in the shape and type that the node reads; the file's own where nothing is added and it has these.
    ///
    /// - Throws: ``PipelineError`` where an adapter is of another kind of model, or the sum isn't finite.
    func merged(_ slot: Slot, _ mix: AdapterMix) throws -> Tensor {
        let layer = homes.layers[slot.layer]
        let changes = mix.changes(of: slot)
        if slot.isBias, let bias = layer.bias {
            if changes.isEmpty, bias.dtype == bias.constant.dtype { return bias.constant }
            return try self.bias(bias, changes, mix)
        }
        if changes.isEmpty, let own = layer.own { return own }
        let extents = layer.extents
        let base = try layer.logical(layer.weight.floats(threads: threads))
        var sum = base
        for change in changes {
            let delta = AdapterDelta(module: change.module, file: mix.adapters[change.adapter].tensors, threads: threads)
            let strength = mix.strengths[change.adapter]
            guard let packing = change.packing else {
                try explained(change, extents.text, mix) {
                    try delta.add(to: &sum, base: base, extents: extents, strength: strength)
                }
                continue
            }
            let own = WeightExtents(out: extents.out / packing.count, inside: extents.inside, kernel: extents.kernel)
            var part = packing.rows(of: sum, own)
            try explained(change, own.text, mix) {
                try delta.add(to: &part, base: packing.rows(of: base, own), extents: own, strength: strength)
            }
            packing.put(part, into: &sum, own)
        }
        return try finished(layer.read(sum), shape: layer.shape, dtype: layer.dtype, changes, mix)
    }

    private func bias(
        _ bias: WeightedLayers.Bias, _ changes: [AdapterPlacement.Change], _ mix: AdapterMix
    ) throws -> Tensor {
        var sum = try ConstantWeight.floats(of: bias.constant)
        for change in changes {
            let count = sum.count / (change.packing?.count ?? 1)
            let delta = AdapterDelta(module: change.module, file: mix.adapters[change.adapter].tensors, threads: threads)
            let added = try explained(change, "[\(count)]", mix) {
                try delta.bias(count: count, strength: mix.strengths[change.adapter])
            }
            for (index, value) in (added ?? []).enumerated() {
                sum[change.packing?.place(index, of: count) ?? index] += value
            }
        }
        return try finished(sum, shape: [sum.count], dtype: bias.dtype, changes, mix)
    }

    private func explained<Result>(
        _ change: AdapterPlacement.Change, _ expected: String, _ mix: AdapterMix, _ body: () throws -> Result
    ) throws -> Result {
        let path = mix.adapters[change.adapter].path
        do { return try body() } catch let error as AdapterDelta.Mismatch {
            throw PipelineError(
                "The LoRA \(path) is of another kind of model: its difference of \(change.module.module) has the shape \(error.found), and the \(title)'s weight \(expected).",
                kind: .invalidRequest)
        } catch let error as SafetensorsFile.FormatError {
            throw PipelineError("The LoRA \(path) can't be used: \(error.reason).", kind: .malformedFile)
        }
    }

    private func finished(
        _ values: [Float], shape: [Int], dtype: DType, _ changes: [AdapterPlacement.Change], _ mix: AdapterMix
    ) throws -> Tensor {
        if !values.span.isFinite, let change = changes.first {
            throw PipelineError(
                "With the LoRA \(mix.adapters[change.adapter].path) the \(title)'s weight \(change.module.module) has numbers that aren't finite: a smaller weight is needed.",
                kind: .invalidRequest)
        }
        let tensor = try Tensor(values, shape: Shape(shape))
        switch dtype {
        case .float16, .bfloat16:
            let result = try MutableTensor(dtype: dtype, shape: tensor.shape)
            try HalfPrecision.narrow(tensor, into: result)
            return try result.finish()
        case .float64: return try Tensor(values.map { Double($0) }, shape: Shape(shape))
        default: return tensor
        }
    }
}

extension WeightedLayers.Layer {
    /// The file's own tensor, where the node reads it as it is.
    var own: Tensor? {
        guard case .stored(let tensor) = weight.source, tensor.dtype == dtype, !isStoredTransposed, order != .channelsLast
        else {
            return nil
        }
        return tensor
    }

    /// A weight as the file states it in the order [out, in, kernel].
    fileprivate func logical(_ values: [Float]) -> [Float] {
        if order == .channelsLast {
            return values.transposed(blocks: extents.out, rows: extents.kernel, columns: extents.inside)
        }
        let isTransposed = (order == .inputsFirst) != isStoredTransposed
        return isTransposed ? values.transposed(rows: extents.inside, columns: extents.out) : values
    }

    /// A weight of [out, in, kernel] in the order in which the node reads it.
    fileprivate func read(_ values: [Float]) -> [Float] {
        switch order {
        case .outputsFirst, .channelsLast: values
        case .inputsFirst: values.transposed(rows: extents.out, columns: extents.inside)
        }
    }
}

extension WeightedLayers.Packing {
    /// The rows of a module's outputs.
    fileprivate func rows(of values: [Float], _ extents: WeightExtents) -> [Float] {
        let columns = extents.columns
        return (0..<extents.out).flatMap {
            values[place($0, of: extents.out) * columns..<(place($0, of: extents.out) + 1) * columns]
        }
    }

    fileprivate func put(_ rows: [Float], into values: inout [Float], _ extents: WeightExtents) {
        let columns = extents.columns
        for row in 0..<extents.out {
            let place = place(row, of: extents.out) * columns
            for column in 0..<columns { values[place + column] = rows[row * columns + column] }
        }
    }
}

extension [Float] {
    /// Blocks of [rows, columns], each transposed.
    fileprivate func transposed(blocks: Int = 1, rows: Int, columns: Int) -> [Float] {
        var result = [Float](repeating: 0, count: count)
        // In squares that stay in the cache.
        let side = 32
        for start in stride(from: 0, to: blocks * rows * columns, by: Swift.max(rows * columns, 1)) {
            for top in stride(from: 0, to: rows, by: side) {
                for left in stride(from: 0, to: columns, by: side) {
                    for row in top..<Swift.min(top + side, rows) {
                        for column in left..<Swift.min(left + side, columns) {
                            result[start + column * rows + row] = self[start + row * columns + column]
                        }
                    }
                }
            }
        }
        return result
    }
}
