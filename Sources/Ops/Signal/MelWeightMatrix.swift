import Foundation
import GraphRuntime

/// ONNX MelWeightMatrix-17: triangular filters, evenly spaced on the mel scale mel(f) = 2595 log10(1 + f/700), with a peak of 1; gives
/// [dft_length / 2 + 1, num_mel_bins].
struct MelWeightMatrix: Operator {
    let dtype: DType

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let bands = try inputs[0].tensor, let length = try inputs[1].tensor else { return [Fact(dtype: dtype)] }
        let (bandCount, dftLength) = (try bands.integer("num_mel_bins"), try length.integer("dft_length"))
        guard bandCount >= 0, (0...1 << 26).contains(dftLength) else {
            throw TensorError("num_mel_bins and dft_length should be 0 or more, found \(bandCount) and \(dftLength)")
        }
        return [Fact(dtype: dtype, shape: try Shape([dftLength / 2 + 1, bandCount]))]
    }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        let (bins, bands) = (output.shape[0], output.shape[1])
        let length = try context.input(1).integer("dft_length")
        let rate = try context.input(2).integer("sample_rate")
        let edges = try [3, 4].map { try number(context.input($0)) }
        guard rate > 0, edges.allSatisfy({ $0 >= 0 && $0.isFinite }) else {
            throw TensorError("the sample rate should be positive and the edges 0 or more, found \(rate) and \(edges)")
        }
        guard output.count > 0 else { return }
        let mels = edges.map { 2595 * log10(1 + $0 / 700) }
        let step = (mels[1] - mels[0]) / Double(bands + 2)
        // The bins at which the triangles begin, peak and end.
        func corner(_ index: Int) throws -> Int {
            let hertz = 700 * (pow(10, (mels[0] + step * Double(index)) / 2595) - 1)
            let bin = (Double(length + 1) * hertz / Double(rate)).rounded(.down)
            guard bin >= 0, bin < Double(bins) else {
                throw TensorError("a frequency of \(hertz) Hz lies beyond the \(bins) bins of \(length) samples at \(rate) Hz")
            }
            return Int(bin)
        }
        var weights = [Double](repeating: 0, count: output.count)
        for band in 0..<bands {
            let (low, center, high) = (try corner(band), try corner(band + 1), try corner(band + 2))
            guard low <= center, center <= high else { throw TensorError("the upper edge lies below the lower one: \(edges)") }
            for bin in low...center {
                weights[bin * bands + band] = low == center ? 1 : Double(bin - low) / Double(center - low)
            }
            for bin in center..<high { weights[bin * bands + band] = Double(high - bin) / Double(high - center) }
        }
        try fill(output) { weights[$0] }
    }

    private func number(_ tensor: Tensor) throws -> Double {
        guard tensor.count == 1 else { throw TensorError("an edge should be one number, found shape \(tensor.shape)") }
        return try NormalizationArguments.doubles(tensor)[0]
    }

    static let definition = OperatorDefinition("MelWeightMatrix", since: 17) { decoder in
        try decoder.requireInputs(5...5)
        return MelWeightMatrix(dtype: try numericType(&decoder))
    }
}
