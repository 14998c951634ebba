import Foundation
import SDPipeline
import Testing

/// What diffusers refuses, or computes without a finite result, in the matrix of Tests/References/schedulers.py: each group with the number of
/// its cases, diffusers' reason and what happens here.
@Suite struct SchedulerRefusalTests {
    enum Answer: String {
        case refused
        case finite
        case notFinite = "not finite"
    }

    struct Group: Hashable, CustomStringConvertible {
        let className: String
        let reason: String
        let answer: Answer
        var description: String { "\(className): \(reason), here \(answer.rawValue)" }
    }

    @Test func neverAnswersWithoutANumber() throws {
        var found: [Group: Int] = [:]
        for item in try SchedulerReferences.leftOut() {
            let group = Group(className: item.class, reason: item.reason ?? "", answer: answer(to: item))
            found[group, default: 0] += 1
        }
        for (group, count) in found.sorted(by: { $0.key.description < $1.key.description }) { print(count, group) }
        #expect(found == Self.expected)
    }

    /// Every group is refused, but for UniPC with `bh1`, whose last step to no noise multiplies infinity by zero in diffusers and is that of
    /// `bh2` here.
    private static let expected: [Group: Int] = {
        let notFinite = "ValueError: numbers that aren't finite"
        let noThird = "UnboundLocalError: cannot access local variable 'x_t' where it is not associated with a value"
        let tooFew = "ValueError: operands could not be broadcast together with shapes"
        let groups: [(String, String, Answer, Int)] = [
            // No noise at the start, from which x_0 can't give any.
            ("DDIMInverseScheduler", notFinite, .refused, 29),
            // ε where zero terminal SNR leaves no signal.
            ("DDIMScheduler", notFinite, .refused, 3), ("DDPMScheduler", notFinite, .refused, 3),
            ("LCMScheduler", notFinite, .refused, 3), ("TCDScheduler", notFinite, .refused, 3),
            // Stochastic forms that have no third order.
            ("DPMSolverMultistepScheduler", noThird, .refused, 36), ("EDMDPMSolverMultistepScheduler", noThird, .refused, 48),
            // A last step that changes nothing.
            ("EDMDPMSolverMultistepScheduler", notFinite, .refused, 40),
            // A step too long for single precision.
            ("KDPM2AncestralDiscreteScheduler", notFinite, .refused, 4),
            // Fewer steps than the Runge-Kutta ones need.
            ("PNDMScheduler", "\(tooFew) (2,) (8,) ", .refused, 4), ("PNDMScheduler", "\(tooFew) (4,) (8,) ", .refused, 25),
            (
                "PNDMScheduler", "ValueError: prediction_type given as sample must be one of `epsilon` or `v_prediction`",
                .refused, 35
            ),
            ("UniPCMultistepScheduler", notFinite, .finite, 63), ("UniPCMultistepScheduler", notFinite, .refused, 174),
            (
                "UniPCMultistepScheduler",
                "_LinAlgError: torch.linalg.solve: The solver failed because the input matrix is singular.", .refused, 24
            ),
        ]
        return Dictionary(
            uniqueKeysWithValues: groups.map { (Group(className: $0.0, reason: $0.1, answer: $0.2), $0.3) })
    }()

    private func answer(to item: SchedulerReferences.Case) -> Answer {
        let configuration = SchedulerConfiguration(className: item.class, values: item.config)
        do {
            let scheduler = try SchedulerRegistry.standard.make(configuration: configuration, request: item.request)
            try item.stepOptions.check(for: type(of: scheduler).descriptor)
            var state = scheduler.makeState(batchSize: 2)
            var generator = TorchGenerator(seed: 7)
            var sample = generator.randn(count: SchedulerReferences.elements).map { $0 * scheduler.initNoiseSigma }
            for index in scheduler.timesteps.indices.dropFirst(item.begin ?? 0) {
                let input = try scheduler.scaleModelInput(sample, at: index)
                let output = SchedulerReferences.model(
                    input, timestep: scheduler.timesteps[index], varianceType: item.config["variance_type"])
                sample = try scheduler.step(
                    output, at: index, sample: sample, state: &state, options: item.stepOptions
                ) { generator.randn(count: $0) }
            }
            return sample.allSatisfy(\.isFinite) ? .finite : .notFinite
        } catch { return .refused }
    }
}
