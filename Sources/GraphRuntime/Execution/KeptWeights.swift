extension SessionOptions {
    /// About how many bytes of a graph's weights stay in memory between runs: those in mapped files, as products read them. 0 where none
    /// do, with ``savesMemory``, or where they are pages that the system may drop, with ``panelCache``.
    func keptBytes(of graph: Graph) -> Int {
        guard !savesMemory, panelCache == nil else { return 0 }
        var seen: Set<TensorPlace> = []
        var sum = 0.0
        graph.forEachConstant { tensor, _ in
            guard tensor.storage.isMappedFile, seen.insert(TensorPlace(tensor)).inserted else { return }
            sum += Double(tensor.byteCount) * share(of: tensor.dtype)
        }
        return Int(sum)
    }

    /// How many bytes are kept for one of the file's.
    private func share(of dtype: DType) -> Double {
        guard optimize, dtype == .float32 || dtype == .float16 || dtype == .bfloat16 else { return 1 }
        let stored = dtype == .float32 ? 32.0 : 16.0
        let kept: Double =
            switch (weights, precision) {
            // With its block's scale, a weight of 4 bits takes 5.
            case (.int4, _): 5
            case (.int8, _), (.stored, .int8): 8
            case (.stored, .bfloat16): 16
            case (.stored, .single): 32
            }
        return min(kept, stored) / stored
    }
}
