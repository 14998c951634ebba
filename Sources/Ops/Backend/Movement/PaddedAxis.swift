import GraphRuntime

/// What surrounds a padded tensor.
enum PadMode: String {
    case constant, reflect, edge, wrap
}

/// What goes to each index of a padded axis: some elements one by one, a run of the axis's own, and others one by one.
struct PaddedAxis {
    let extent: Int
    let before: Side
    let own: Range<Int>
    let after: Side

    /// What lies before or behind the run.
    struct Side {
        let count: Int
        /// Indices of the axis; nil where all of them are the constant.
        let indices: [Int]?

        fileprivate init(_ positions: Range<Int>, extent: Int, mode: PadMode) {
            count = positions.count
            indices = mode == .constant ? nil : positions.map { mode.index($0, extent: extent) }
        }

        /// -1 for the constant.
        subscript(position: Int) -> Int { indices?[position] ?? -1 }
    }

    /// - Parameters:
    ///   - before: elements before the axis; negative ones crop, and so with `after`.
    /// - Throws: ``TensorError`` where the mode has nothing to take elements from.
    init(_ extent: Int, before: Int, after: Int, mode: PadMode) throws(TensorError) {
        let total = saturatingAdd(saturatingAdd(before, extent), after)
        guard total >= 0, total <= 1 << 32, before.magnitude <= 1 << 48, after.magnitude <= 1 << 48 else {
            throw TensorError("pads \(before) and \(after) don't fit an axis of extent \(extent)")
        }
        guard extent > 0 || mode == .constant || total == 0 else {
            throw TensorError("an axis without elements can't be padded by mode \(mode.rawValue)")
        }
        self.extent = extent
        // Counted from the axis's first element.
        let all = -before..<total - before
        own = all.clamped(to: 0..<extent)
        self.before = Side(all.lowerBound..<max(min(all.upperBound, 0), all.lowerBound), extent: extent, mode: mode)
        self.after = Side(min(max(all.lowerBound, extent), all.upperBound)..<all.upperBound, extent: extent, mode: mode)
    }

    var count: Int { before.count + own.count + after.count }

    /// Whether it is the axis itself.
    var isWhole: Bool { own.count == extent && before.count + after.count == 0 }

    /// The element of the axis that goes to a position; -1 for the constant.
    subscript(position: Int) -> Int {
        let index = position - before.count
        return index < 0 ? before[position] : index < own.count ? own.lowerBound + index : after[index - own.count]
    }
}

extension PadMode {
    /// The element that goes to an index outside of an axis.
    fileprivate func index(_ index: Int, extent: Int) -> Int {
        switch self {
        case .constant: return -1
        case .edge: return index < 0 ? 0 : extent - 1
        case .wrap: return ((index % extent) + extent) % extent
        case .reflect:
            let period = max(2 * (extent - 1), 1)
            let place = ((index % period) + period) % period
            return min(place, period - place) % extent
        }
    }
}
