/// What keeps a predicted original sample within range: nothing, clipping, or dynamic thresholding.
struct OriginalSampleLimit: Sendable {
    private enum Method {
        case none
        case clip(range: Float)
        case threshold(ratio: Double, largest: Float)
    }

    private let method: Method

    static let none = OriginalSampleLimit(method: .none)

    var isThreshold: Bool { if case .threshold = method { true } else { false } }

    private init(method: Method) { self.method = method }

    init(_ settings: SchedulerSettings) throws {
        if settings.has("thresholding"), try settings.flag("thresholding") {
            method = .threshold(
                ratio: try settings.number("dynamic_thresholding_ratio"),
                largest: Float(try settings.number("sample_max_value")))
        } else if settings.has("clip_sample"), try settings.flag("clip_sample") {
            method = .clip(range: Float(try settings.number("clip_sample_range")))
        } else {
            method = .none
        }
    }

    /// - Parameters:
    ///   - original: the predicted x_0, flat `[N, C, H, W]`.
    ///   - batchSize: N.
    func apply(_ original: [Float], batchSize: Int) -> [Float] {
        switch method {
        case .none:
            return original
        case .clip(let range):
            return original.map { clamped($0, -range, range) }
        case .threshold(let ratio, let largest):
            return thresholded(original, batchSize: batchSize, ratio: ratio, largest: largest)
        }
    }

    /// Saharia et al. 2022 (Imagen), section 2.3: each picture is clipped to the `ratio` quantile s of its absolute
    /// values, 1 ≤ s ≤ `largest`, and divided by s.
    private func thresholded(_ original: [Float], batchSize: Int, ratio: Double, largest: Float) -> [Float] {
        guard !original.isEmpty, original.count.isMultiple(of: batchSize) else { return original }
        let size = original.count / batchSize
        var result: [Float] = []
        result.reserveCapacity(original.count)
        for start in stride(from: 0, to: original.count, by: size) {
            let picture = original[start..<start + size]
            let limit = clamped(Self.quantile(picture.map(\.magnitude), ratio), 1, largest)
            result += picture.map { clamped($0, -limit, limit) / limit }
        }
        return result
    }

    /// `torch.quantile` with linear interpolation, in single precision. `values` isn't empty.
    private static func quantile(_ values: [Float], _ ratio: Double) -> Float {
        if values.contains(where: \.isNaN) { return .nan }
        let sorted = values.sorted()
        let rank = Float(ratio) * Float(sorted.count - 1)
        let below = min(Int(rank), sorted.count - 1)
        let above = min(Int(rank.rounded(.up)), sorted.count - 1)
        let weight = rank - Float(below)
        let difference = sorted[above] - sorted[below]
        return weight < 0.5 ? sorted[below] + weight * difference : sorted[above] - difference * (1 - weight)
    }
}
