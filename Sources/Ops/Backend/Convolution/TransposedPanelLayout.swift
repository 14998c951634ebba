import GraphRuntime

/// The weights [channels, outputs, taps] of each group of a transposed convolution in panels for `ck_pointwise`: rows, of which an output
/// channel has one for each tap, are the numbers that lie side by side.
///
/// Panels hold the taps of a few output channels, or several of them those of one.
struct TransposedPanelLayout: Sendable {
    let groups: Int
    /// Output channels of a group.
    let outputs: Int
    let taps: Int
    /// Input channels of a group.
    let channels: Int
    /// Output channels whose taps share panels.
    let unit: Int
    /// Panels of so many output channels.
    let panels: Int
    /// Rows of a panel.
    let panelRows: Int

    /// Rows of a unit's weights at most, and units at least, which are shared among threads.
    private static let (mostRowsOfUnit, leastUnits) = (56, 8)

    /// - Parameter mostRows: of a panel.
    init(groups: Int, outputs: Int, taps: Int, channels: Int, mostRows: Int) {
        (self.groups, self.outputs, self.taps, self.channels) = (groups, outputs, taps, channels)
        let most = max(Self.mostRowsOfUnit / max(taps, 1), 1)
        unit = max(min(most, (outputs + Self.leastUnits - 1) / Self.leastUnits), 1)
        panels = (unit * taps + mostRows - 1) / mostRows
        panelRows = (unit * taps + max(panels, 1) - 1) / max(panels, 1)
    }

    var units: Int { (outputs + unit - 1) / unit }

    var floatCount: Int { groups * units * panels * panelRows * channels }

    func place(group: Int, unit: Int, panel: Int) -> Int { ((group * units + unit) * panels + panel) * panelRows * channels }

    /// Rows that a panel has of the taps of `rows` rows.
    func rows(panel: Int, of rows: Int) -> Int { max(min(panelRows, rows - panel * panelRows), 0) }

    /// - Parameter source: [groups · channels, outputs, taps].
    func pack(_ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, threads: ThreadPool) {
        nonisolated(unsafe) let (source, target) = unsafe (source, target)
        threads.forEach(groups * units) { index in
            let (group, unit) = (index / units, index % units)
            let first = unit * self.unit
            let unitRows = min(self.unit, outputs - first) * taps
            for panel in 0..<panels {
                let rows = rows(panel: panel, of: unitRows)
                let to = unsafe target + place(group: group, unit: unit, panel: panel)
                for channel in 0..<channels {
                    let from = unsafe source + ((group * channels + channel) * outputs + first) * taps + panel * panelRows
                    let column = unsafe to + channel * panelRows
                    unsafe column.update(from: from, count: rows)
                    unsafe (column + rows).update(repeating: 0, count: panelRows - rows)
                }
            }
        }
    }

    /// The constant, of float32 or of halves, in this order.
    func packed(_ weights: Tensor, constants: PackedConstants) -> PackedConstant? {
        guard weights.dtype == .float32 || weights.dtype.isHalf, weights.count == groups * channels * outputs * taps,
            weights.count > 0
        else {
            return nil
        }
        return unsafe constants.floats(
            weights, form: "panels of \(panelRows) rows of \(groups)×\(channels)×\(outputs)×\(taps)", count: floatCount
        ) { unsafe pack($0, into: $1, threads: $2) }
    }
}
