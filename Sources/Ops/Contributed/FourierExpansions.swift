import GraphRuntime

/// Fourier transforms of real signals over the last axes, as they were before ONNX had any.
enum FourierExpansions {
    static let expansions = [
        // Rfft-1: [..., n] gives [..., n / 2 + 1, 2]
        OperatorExpansion(microsoft: "Rfft") { node in
            let rank = try signalRank(&node)
            var signal = node.add("Unsqueeze", [try node.required(0), try node.integers([-1])])
            for axis in 0..<rank { signal = try transform(signal, axis: axis, isInverse: false, &node) }
            node.setOutput(0, signal)
        },
        // Irfft-1: [..., m, 2] gives [..., 2 (m - 1)], divided by the number of the signal's elements
        OperatorExpansion(microsoft: "Irfft") { node in
            let rank = try signalRank(&node)
            var signal = try node.required(0)
            for axis in (0..<rank).reversed() { signal = try transform(signal, axis: axis, isInverse: true, &node) }
            node.setOutput(0, node.add("Squeeze", [signal, try node.integers([-1])]))
        },
    ]

    private static func signalRank(_ node: inout NodeExpansion) throws -> Int {
        try node.decoder.requireInputs(1...1)
        let rank = try node.decoder.requiredInt("signal_ndim")
        guard (1...3).contains(rank) else { throw TensorError("signal_ndim should be 1 to 3, found \(rank)") }
        guard try node.decoder.requiredInt("onesided") == 1 else { throw TensorError("onesided should be 1") }
        guard try node.decoder.requiredInt("normalized") == 0 else { throw TensorError("normalized should be 0") }
        return rank
    }

    /// - Parameter axis: 0 for the last one of the signal, of which half of the spectrum is enough, and so on.
    private static func transform(
        _ signal: ValueID, axis: Int, isInverse: Bool, _ node: inout NodeExpansion
    ) throws -> ValueID {
        let place = node.constant(try Tensor(scalar: Int64(-2 - axis)))
        return node.add(
            "DFT", [signal, nil, place], ["inverse": .int(isInverse ? 1 : 0), "onesided": .int(axis == 0 ? 1 : 0)], version: 20)
    }
}
