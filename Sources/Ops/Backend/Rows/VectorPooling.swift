import GraphRuntime

extension PoolGeometry {
    /// Pools float32 in vectors.
    ///
    /// - Returns: false, with nothing done, for more than three axes, windows that span too much, and where there are none.
    /// - Throws: ``TensorError`` where there is no memory, or a tensor isn't float32.
    func poolInVectors(
        _ kind: WindowPooling.Kind, _ data: Tensor, into output: MutableTensor, threads: ThreadPool
    ) throws -> Bool {
        let separate = SeparatePooling(self)
        if isWhole, kind != .sum {
            let size = shape.count(2..<shape.rank)
            if kind == .max {
                try RowKernels.maxima(data, of: size, into: output, threads: threads)
            } else {
                try RowKernels.means(data, of: size, into: output, threads: threads)
            }
        } else if let separate, separate.isStrided {
            try separate.run(kind, data, into: output, threads: threads)
        } else if let pooling = WindowPooling(self) {
            try pooling.run(kind, data, into: output, threads: threads)
        } else if let separate {
            try separate.run(kind, data, into: output, threads: threads)
        } else if let pooling = VolumePooling(self) {
            try pooling.run(kind, data, into: output, threads: threads)
        } else {
            return false
        }
        return true
    }

    /// Whether a plane is one window.
    private var isWhole: Bool {
        axes.allSatisfy { $0.output == 1 && $0.before == 0 && $0.kernel == $0.input && $0.dilation == 1 }
    }
}
