import ArgumentParser
import SDPipeline

/// Which evaluations of the U-Net are computed, and how much of them.
struct EvaluationOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Make steps cheaper by what earlier ones computed: deep computes the U-Net's deep part in one of so many steps, the part before skip connection BRANCH in each, and all of it in the share START of the run; forecast leaves out steps that can be told from those before; with a plus sign between them, deep is for the steps that are left. (default: none; of BRANCH and START 0, of THRESHOLD 0.05)",
            valueName: "deep:INTERVAL[:BRANCH[:START]]|forecast[:THRESHOLD]|forecast+deep"), transform: OptionValues.stepCaching
    )
    var cache: StepCaching?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The part of the run in which the negative prompt counts, as shares from 0 to 1: the other steps evaluate half as many rows. (default: 0,1)",
            valueName: "START,END"), transform: OptionValues.guidanceInterval)
    var cfgInterval: GuidanceInterval?

    @Flag(
        help:
            "Save evaluations in the way that was found to cost least, which the program names: another --cache and --cfg-interval for each kind of scheduler."
    )
    var fast = false

    func validate() throws {
        guard fast, cache != nil || cfgInterval != nil else { return }
        throw ValidationError(
            "--fast decides how evaluations are saved, and \(cache == nil ? "--cfg-interval" : "--cache") does so too: give one."
        )
    }

    /// Adds what was asked for to a request.
    func fill(_ request: inout GenerationRequest) {
        request.stepCaching = cache
        request.guidanceInterval = cfgInterval
        request.isFast = fast
    }
}

extension OptionValues {
    static func stepCaching(_ text: String) throws -> StepCaching {
        guard let value = StepCaching(text) else {
            throw Expectation(
                description:
                    "expected deep with an interval of 1 to \(StepCaching.largestInterval) and perhaps a branch of 0 or more and a start from 0 to below 1, such as deep:3, deep:3:1 or deep:3:0:0.3, or forecast, perhaps with a threshold above 0, or both with a plus sign, such as forecast:0.2+deep:2."
            )
        }
        return value
    }

    /// Two shares with a comma between them.
    static func guidanceInterval(_ text: String) throws -> GuidanceInterval {
        guard let value = GuidanceInterval(text) else {
            throw Expectation(
                description: "expected two shares of the run from 0 to 1, the first below the second, such as 0.1,0.8.")
        }
        return value
    }
}
