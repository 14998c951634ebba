/// Which generator draws a run's random numbers: the same seed gives other noise with each, and so another picture.
public enum NoiseSource: String, Sendable, CaseIterable, Codable {
    /// PyTorch on a CPU, ``TorchGenerator``, in the order in which diffusers draws.
    case torch
    /// NumPy's `RandomState`, ``NumPyGenerator``, which diffusers' and optimum's older pipelines for ONNX took.
    case numpy
    /// PyTorch on a GPU of NVIDIA's, ``PhiloxGenerator``, in the order in which diffusers draws.
    case cuda
    /// PyTorch on a CPU as AUTOMATIC1111's web interface draws ("RNG: CPU"): each picture's generator draws the noise that the run
    /// starts from and then that of its steps. What the VAE encodes isn't drawn but the most likely latents are taken, since there the
    /// draws for it have no seed.
    case cpuA1111 = "cpu-a1111"
    /// PyTorch on a GPU as AUTOMATIC1111's web interface draws ("RNG: GPU", which it takes where nothing is said, and "NV").
    case cudaA1111 = "cuda-a1111"

    /// Whether numbers are drawn in the order of AUTOMATIC1111's web interface, else in diffusers'.
    var isWebUI: Bool { self == .cpuA1111 || self == .cudaA1111 }

    /// The largest seed that the generator takes.
    var largestSeed: UInt64 { self == .numpy ? UInt64(UInt32.max) : .max }

    /// A generator of this kind.
    func generator(seed: UInt64) -> any NormalGenerator {
        switch self {
        case .torch, .cpuA1111: TorchGenerator(seed: seed)
        case .numpy: NumPyGenerator(seed: UInt32(truncatingIfNeeded: seed))
        case .cuda, .cudaA1111: PhiloxGenerator(seed: seed)
        }
    }
}

/// Draws standard normal numbers.
protocol NormalGenerator: Sendable {
    /// As many numbers as are asked for, of one call: what a call draws may depend on how many they are.
    mutating func randn(count: Int) -> [Float]
}

extension TorchGenerator: NormalGenerator {}
extension NumPyGenerator: NormalGenerator {}
extension PhiloxGenerator: NormalGenerator {}
