import GraphRuntime

extension RunContext {
    /// Input 1 of an operator that takes weights of 16 bits as they are: these, where they were packed, else float32 numbers.
    ///
    /// - Throws: ``TensorError`` where there is no input, or no memory for the numbers.
    func weights(isPacked: Bool) throws -> Tensor {
        let weights = try input(1)
        return isPacked ? weights : try weights.widened(threads: threads)
    }
}
