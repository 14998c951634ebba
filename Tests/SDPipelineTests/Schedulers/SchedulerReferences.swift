import Foundation
import SDPipeline

/// The values that Tests/References/schedulers.py took from diffusers.
struct SchedulerReferences {
    struct Case: Decodable {
        let `class`: String
        let config: [String: SchedulerValue]
        let options: [String: SchedulerValue]?
        let steps: Int?
        let timesteps: [Double]?
        let sigmas: [Double]?
        /// The step that the run begins with.
        let begin: Int?
        /// Counts are 0 where diffusers didn't get that far.
        let timestepCount: Int
        let sigmaCount: Int
        let drawCount: Int
        /// Values of the add_noise result; 0 where the class has none.
        let noisyCount: Int
        /// Why diffusers has no values for it, where it has none.
        let reason: String?

        init(from decoder: Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            func count(_ key: CodingKeys) throws -> Int { try values.decodeIfPresent(Int.self, forKey: key) ?? 0 }
            `class` = try values.decode(String.self, forKey: .class)
            config = try values.decode([String: SchedulerValue].self, forKey: .config)
            options = try values.decodeIfPresent([String: SchedulerValue].self, forKey: .options)
            steps = try values.decodeIfPresent(Int.self, forKey: .steps)
            timesteps = try values.decodeIfPresent([Double].self, forKey: .timesteps)
            sigmas = try values.decodeIfPresent([Double].self, forKey: .sigmas)
            begin = try values.decodeIfPresent(Int.self, forKey: .begin)
            (timestepCount, sigmaCount) = (try count(.timestepCount), try count(.sigmaCount))
            (drawCount, noisyCount) = (try count(.drawCount), try count(.noisyCount))
            reason = try values.decodeIfPresent(String.self, forKey: .reason)
        }

        enum CodingKeys: String, CodingKey {
            case `class`, config, options, steps, timesteps, sigmas, begin, reason
            case timestepCount = "timestep_count"
            case sigmaCount = "sigma_count"
            case drawCount = "draw_count"
            case noisyCount = "noisy_count"
        }

        var request: TimestepRequest {
            if let timesteps { return .timesteps(timesteps) }
            if let sigmas { return .sigmas(sigmas) }
            return .steps(steps ?? 0)
        }

        var stepOptions: SchedulerStepOptions {
            var result = SchedulerStepOptions()
            func number(_ key: String) -> Double? {
                switch options?[key] {
                case .number(let value): value
                case .integer(let value): Double(value)
                default: nil
                }
            }
            result.eta = number("eta")
            result.useClippedModelOutput = options?["use_clipped_model_output"] == .flag(true)
            result.churn = number("s_churn") ?? result.churn
            result.churnMinimumSigma = number("s_tmin") ?? result.churnMinimumSigma
            result.churnMaximumSigma = number("s_tmax") ?? result.churnMaximumSigma
            result.noiseScale = number("s_noise") ?? result.noiseScale
            return result
        }

        var label: String { "\(`class`) \(config) \(request) \(options ?? [:]) from \(begin ?? 0)" }
    }

    /// What diffusers computed for one case.
    struct Values {
        let initNoiseSigma: Float
        let timesteps: [Float]
        let sigmas: [Float]
        /// The start sample with the first draw as noise, at the middle timestep.
        let noisy: [Float]
        /// The sample after every step.
        let samples: [[Float]]
    }

    struct Resolved: Decodable {
        /// The text of a configuration file.
        let file: String
        let `class`: String
        let inPipeline: Bool
        let values: [String: SchedulerValue]

        enum CodingKeys: String, CodingKey {
            case file, `class`, values
            case inPipeline = "in_pipeline"
        }
    }

    /// The cases for which diffusers has no values.
    static func leftOut() throws -> [Case] {
        struct Manifest: Decodable {
            let leftOut: [Case]
            enum CodingKeys: String, CodingKey { case leftOut = "left_out" }
        }
        return try JSONDecoder().decode(Manifest.self, from: Data(contentsOf: folder.appending(path: "manifest.json"))).leftOut
    }

    static let elements = 16
    static let folder = TestCache.folder.appending(path: "schedulers")

    let start: [Float]
    let draws: [[Float]]
    let cases: [(case: Case, values: Values)]

    init() throws {
        struct Header: Decodable {
            let draws: Int
            let cases: [Case]
        }
        let header = try JSONDecoder().decode(
            Header.self, from: Data(contentsOf: Self.folder.appending(path: "cases.json")))
        let data = try Data(contentsOf: Self.folder.appending(path: "values.bin"))
        let all = unsafe data.withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map {
                unsafe Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
            }
        }
        var next = 0
        func take(_ count: Int) -> [Float] {
            defer { next += count }
            return Array(all[next..<next + count])
        }
        start = take(Self.elements)
        draws = (0..<header.draws).map { _ in take(Self.elements) }
        cases = header.cases.map { item in
            let values = Values(
                initNoiseSigma: take(1)[0], timesteps: take(item.timestepCount), sigmas: take(item.sigmaCount),
                noisy: take(item.noisyCount), samples: ((item.begin ?? 0)..<item.timestepCount).map { _ in take(Self.elements) }
            )
            return (item, values)
        }
    }

    /// The formula that stands for a network in the reference script.
    static func model(_ input: [Float], timestep: Float, varianceType: SchedulerValue?) -> [Float] {
        let output = input.map { $0 * Float(0.3) + timestep * Float(0.0005) }
        let variance: [Float]
        switch varianceType {
        case .text("learned"): variance = input.map { $0 * $0 * Float(0.01) }
        case .text("learned_range"): variance = input.map { $0 * Float(0.05) }
        default: return output
        }
        // Two pictures of two channels of 2x2: each picture's prediction, then its variance.
        return Array(output[..<8] + variance[..<8] + output[8...] + variance[8...])
    }
}
