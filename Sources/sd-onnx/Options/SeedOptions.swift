import ArgumentParser
import SDPipeline

/// How seeds become noise.
struct SeedOptions: ParsableArguments {
    @Option(
        name: [.customLong("rng"), .customLong("randn-source")], parsing: .unconditional,
        help: ArgumentHelp(
            "Whose random numbers: torch draws those of PyTorch on a CPU, cuda on a GPU of NVIDIA's, numpy those of RandomState; cpu-a1111 and cuda-a1111 draw PyTorch's in the order of AUTOMATIC1111's web interface. (default: torch)",
            valueName: "NAME"), transform: OptionValues.choice)
    var noiseSource = NoiseSource.torch

    @Option(
        name: [.long, .customLong("subseed")], parsing: .unconditional,
        help: "Mix the noise of this seed into the noise of --seed; -1 draws one. Needs --variation-strength.",
        transform: OptionValues.seed)
    var variationSeed: Seed?

    @Option(
        name: [.long, .customLong("subseed-strength")], parsing: .unconditional,
        help:
            "How much of the variation seed's noise, 0 to 1; the pictures of a batch have one seed, and variation seeds in turn. (default: 0)",
        transform: OptionValues.share)
    var variationStrength: Double?

    func validate() throws {
        if variationSeed != nil, variationStrength == nil {
            throw ValidationError("--variation-seed has no effect without --variation-strength: give both.")
        }
    }

    var variation: SeedVariation? {
        variationStrength.map { SeedVariation(seed: (variationSeed ?? .drawn()).value, strength: $0) }
    }
}
