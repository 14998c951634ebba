import Foundation
import SDPipeline

/// Normally distributed data N(mean, deviation²), each value on its own, as one scheduler sees it: the best prediction at any noise level
/// and the solution of the probability-flow equation are known in closed form.
struct GaussianData {
    static let mean = 0.4
    static let deviation = 0.6
    /// σ/α of the first and the last training timestep: as far below the data's deviation as above it.
    static let ratios = 0.1...3.6

    let scheduler: any Scheduler

    init(_ scheduler: any Scheduler) { self.scheduler = scheduler }

    /// A model whose σ/α grows evenly from timestep to timestep, as linear multistep methods on timesteps want it.
    static func configuration(trainTimesteps: Int, ratios: ClosedRange<Double> = ratios) -> SchedulerConfiguration {
        var product = 1.0
        let betas = (0..<trainTimesteps).map { timestep in
            let ratio = Self.ratio(at: timestep, of: trainTimesteps, ratios: ratios)
            let beta = 1 - 1 / (1 + ratio * ratio) / product
            // What single precision makes of it, so that its roundings don't add up.
            product *= Double(1 - Float(beta))
            return beta
        }
        return SchedulerConfiguration(
            className: nil,
            values: [
                "num_train_timesteps": .integer(trainTimesteps), "trained_betas": .numbers(betas), "clip_sample": .flag(false),
            ])
    }

    static func ratio(at timestep: Int, of trainTimesteps: Int, ratios: ClosedRange<Double> = ratios) -> Double {
        ratios.lowerBound + (ratios.upperBound - ratios.lowerBound) * Double(timestep) / Double(trainTimesteps - 1)
    }

    /// Signal and noise of a sample.
    struct Level {
        let alpha: Double
        let sigma: Double

        /// Of a sample from noisy data.
        var variance: Double { alpha * alpha * deviation * deviation + sigma * sigma }

        /// The probability-flow solution keeps the distance from the mean in deviations.
        func exact(_ unit: Double) -> Double { alpha * mean + variance.squareRoot() * unit }
        func unit(of value: Double) -> Double { (value - alpha * mean) / variance.squareRoot() }
    }

    /// What the model is told at an evaluation.
    func modelLevel(at index: Int) -> Level {
        let level = scheduler.noiseLevels[index]
        let (alpha, sigma) = (Double(level.alpha), Double(level.sigma))
        return scheduler is any VarianceExplodingScheduler
            ? Level(alpha: 1, sigma: sigma / alpha) : Level(alpha: alpha, sigma: sigma)
    }

    /// Of the sample before an evaluation. DDIM backwards is one step behind what the model is told.
    func sampleLevel(at index: Int) -> Level {
        guard scheduler is DDIMInverseScheduler else { return modelLevel(at: index) }
        return index > 0 ? modelLevel(at: index - 1) : Level(alpha: 1, sigma: 0)
    }

    /// The model's best answer, in the form that the scheduler expects.
    func output(for sample: [Float], at index: Int) throws -> [Float] {
        let level = modelLevel(at: index)
        let (alpha, sigma) = (level.alpha, level.sigma)
        return try sample.map { value in
            let value = Double(value)
            let distance = (value - alpha * Self.mean) / level.variance
            let noise = sigma * distance
            let original = Self.mean + alpha * Self.deviation * Self.deviation * distance
            switch scheduler {
            case is FlowMatchEulerDiscreteScheduler, is FlowMatchHeunDiscreteScheduler: return Float(noise - original)
            case is EDMEulerScheduler, is EDMDPMSolverMultistepScheduler:
                // Karras et al. 2022, table 1, with σ_data = 0.5.
                let square = sigma * sigma + 0.25
                return Float((original - 0.25 / square * value) * square.squareRoot() / (sigma * 0.5))
            case is IPNDMScheduler: return Float(alpha * noise - sigma * original)
            case is LCMScheduler: return Float(consistencyNoise(value, at: index))
            case is TCDScheduler: return Float(try trajectoryNoise(value, at: index))
            default: return Float(noise)
            }
        }
    }

    /// The ε from which LCM's boundary condition c_skip x + c_out x_0 (Song et al. 2023, appendix C) makes the end of the solution through
    /// the sample.
    private func consistencyNoise(_ value: Double, at index: Int) -> Double {
        let level = modelLevel(at: index)
        let time = Double(scheduler.timesteps[index]) * 10
        let (kept, predicted) = (0.25 / (time * time + 0.25), time / (time * time + 0.25).squareRoot())
        let end = Level(alpha: 1, sigma: 0).exact(level.unit(of: value))
        let original = (end - kept * value) / predicted
        return (value - level.alpha * original) / level.sigma
    }

    /// The ε from which TCD's step makes the solution through the sample at the timestep that it jumps to.
    private func trajectoryNoise(_ value: Double, at index: Int) throws -> Double {
        let level = modelLevel(at: index)
        let next = index + 1 < scheduler.timesteps.count ? scheduler.timesteps[index + 1] : 0
        guard case .integer(let count)? = scheduler.settings.values["num_train_timesteps"] else { return .nan }
        let ratio = Self.ratio(at: Int(Float(0.7) * next), of: count)
        let jumpAlpha = 1 / (1 + ratio * ratio).squareRoot()
        let jump = Level(alpha: jumpAlpha, sigma: ratio * jumpAlpha)
        let share = jump.alpha / level.alpha
        return (jump.exact(level.unit(of: value)) - share * value) / (jump.sigma - level.sigma * share)
    }
}

/// The exponent of the power that fits `errors` over `counts` best (least squares of the logarithms), with its sign turned.
func order(of errors: [Double], over counts: [Int]) -> Double {
    let points = zip(counts, errors).map { (x: log(Double($0)), y: log($1)) }
    let count = Double(points.count)
    let (x, y) = (points.reduce(0) { $0 + $1.x } / count, points.reduce(0) { $0 + $1.y } / count)
    return -points.reduce(0) { $0 + ($1.x - x) * ($1.y - y) } / points.reduce(0) { $0 + ($1.x - x) * ($1.x - x) }
}
