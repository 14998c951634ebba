import CKernels

/// How windows slide over a plane of float32, and how a strip of output rows finds the plane laid out, see `windows.h`.
struct WindowPlanes: Sendable {
    /// Rows and columns; windows along one axis have one column.
    let input: (rows: Int, columns: Int)
    let output: (rows: Int, columns: Int)
    private let kernel: (rows: Int, columns: Int)
    private let stride: (rows: Int, columns: Int)
    private let dilation: (rows: Int, columns: Int)
    /// Padding before the first row and the first column.
    private let before: (rows: Int, columns: Int)
    /// The remainders of rows, and of columns, by the stride that any place of a window has.
    private let phases: (rows: [Int], columns: [Int])

    /// Columns of a phase: from one row of windows to the next, there are so many lanes.
    let step: Int

    /// The most that a window may span along an axis, and the most columns of windows: sizes stay numbers.
    private static let (largestReach, largestWidth) = (1 << 12, 1 << 24)

    /// - Returns: nil for more than two axes, where there are no windows, and for windows that span too much.
    init?(input: [Int], output: [Int], kernel: [Int], strides: [Int], dilations: [Int], padsBegin: [Int]) {
        guard (1...2).contains(kernel.count), (output + input + kernel).allSatisfy({ $0 > 0 }),
            zip(kernel, dilations).allSatisfy({ $0 <= Self.largestReach && ($0 - 1) * $1 < Self.largestReach }),
            output.allSatisfy({ $0 <= Self.largestWidth })
        else { return nil }
        var axes = kernel.indices.map {
            (
                input: input[$0], output: output[$0], kernel: kernel[$0], stride: strides[$0], dilation: dilations[$0],
                before: padsBegin[$0]
            )
        }
        let isPointwise = kernel.allSatisfy { $0 == 1 } && strides.allSatisfy { $0 == 1 } && input == output
        if isPointwise, padsBegin.allSatisfy({ $0 == 0 }) {
            // Nothing tells the rows apart.
            axes = [(input.reduce(1, *), output.reduce(1, *), 1, 1, 1, 0)]
        } else if axes.count == 2, axes[0].input == 1, axes[0].output == 1, axes[0].kernel == 1, axes[0].before == 0 {
            axes.removeFirst()
        }
        if axes.count == 1 { axes.append((1, 1, 1, 1, 1, 0)) }
        self.input = (axes[0].input, axes[1].input)
        self.output = (axes[0].output, axes[1].output)
        self.kernel = (axes[0].kernel, axes[1].kernel)
        stride = (axes[0].stride, axes[1].stride)
        dilation = (axes[0].dilation, axes[1].dilation)
        before = (axes[0].before, axes[1].before)
        func remainders(_ axis: Int) -> [Int] {
            Set((0..<min(axes[axis].kernel, axes[axis].stride)).map { $0 * axes[axis].dilation % axes[axis].stride }).sorted()
        }
        phases = (remainders(0), remainders(1))
        step = axes[1].output + (axes[1].kernel - 1) * axes[1].dilation / axes[1].stride
    }

    init?(_ window: ConvolutionWindow) {
        self.init(
            input: window.input, output: window.output, kernel: window.kernel, strides: window.strides,
            dilations: window.dilations, padsBegin: window.padsBegin)
    }

    var taps: Int { kernel.rows * kernel.columns }
    /// Whether the windows of neighbouring rows are neighbouring lanes too.
    var isDense: Bool { step == output.columns }

    private func phaseRows(_ rowCount: Int) -> Int { rowCount + (kernel.rows - 1) * dilation.rows / stride.rows }

    /// Floats of a plane's phases, of a strip of so many output rows.
    func floatCount(rows rowCount: Int) -> Int { phases.rows.count * phases.columns.count * phaseRows(rowCount) * step }

    /// Lanes from a strip's first window to its last one.
    func laneCount(rows rowCount: Int) -> Int { (rowCount - 1) * step + output.columns }

    /// Where a window of a strip of so many output rows reads at each of its places, row by row.
    func offsets(rows rowCount: Int) -> [Int] {
        let size = phaseRows(rowCount) * step
        return (0..<taps).map { tap in
            let row = tap / kernel.columns * dilation.rows
            let column = tap % kernel.columns * dilation.columns
            let phase =
                (phases.rows.firstIndex(of: row % stride.rows) ?? 0) * phases.columns.count
                + (phases.columns.firstIndex(of: column % stride.columns) ?? 0)
            return phase * size + row / stride.rows * step + column / stride.columns
        }
    }

    /// How windows of a strip of so many output rows are gone through row by row, into `step` columns for each output row and each
    /// remainder of columns, and then column by column of these.
    func separateOffsets(rows rowCount: Int) -> (rows: [[Int]], columns: [Int]) {
        let size = phaseRows(rowCount) * step
        let rows = phases.columns.indices.map { column in
            (0..<kernel.rows).map { tap in
                let row = tap * dilation.rows
                let phase = (phases.rows.firstIndex(of: row % stride.rows) ?? 0) * phases.columns.count + column
                return phase * size + row / stride.rows * step
            }
        }
        let columns = (0..<kernel.columns).map { tap in
            let column = tap * dilation.columns
            let phase = phases.columns.firstIndex(of: column % stride.columns) ?? 0
            return phase * rowCount * step + column / stride.columns
        }
        return (rows, columns)
    }

    /// Whether fewer numbers are read that way, those between the two passes counted too.
    var isSeparable: Bool { kernel.rows * phases.columns.count + kernel.columns + 2 < taps }

    /// Floats between the two passes.
    func separateCount(rows rowCount: Int) -> Int { phases.columns.count * rowCount * step }

    /// How the phases of a plane are filled for a strip of output rows.
    func fill(rows: Range<Int>) -> [ck_window_phase] {
        let height = phaseRows(rows.count)
        var result: [ck_window_phase] = []
        for row in phases.rows {
            for column in phases.columns {
                let top = Self.inside(
                    first: rows.lowerBound * stride.rows - before.rows + row, step: stride.rows, count: height,
                    extent: input.rows)
                let left = Self.inside(first: column - before.columns, step: stride.columns, count: step, extent: input.columns)
                let target = result.count * height * step
                if input.columns == 1, step == 1, left.count == 1 {
                    // A plane of one column is one row.
                    result.append(
                        ck_window_phase(
                            rows_before: 0, rows: 1, rows_after: 0, before: top.before, count: top.count, after: top.after,
                            source: top.source, row_step: 0, column_step: stride.rows, target: target))
                } else {
                    result.append(
                        ck_window_phase(
                            rows_before: top.before, rows: top.count, rows_after: top.after, before: left.before,
                            count: left.count, after: left.after, source: top.source * input.columns + left.source,
                            row_step: stride.rows * input.columns, column_step: stride.columns, target: target))
                }
            }
        }
        return result
    }

    /// Of the places first, first + step, …: how many lie before 0, inside of the extent, and behind it, and which the first inside is.
    private static func inside(first: Int, step: Int, count: Int, extent: Int) -> (
        before: Int, count: Int, after: Int, source: Int
    ) {
        let before = min(first < 0 ? (-first + step - 1) / step : 0, count)
        let end = min(max(extent - first <= 0 ? 0 : (extent - first + step - 1) / step, before), count)
        return (before, end - before, count - end, end > before ? first + before * step : 0)
    }

    /// The size of equal strips of at most `most` rows.
    func stripRows(most: Int) -> Int { unsafe PackedProduct.balanced(output.rows, limit: max(most, 1), multiple: 1) }

    /// Output rows of each strip, where strips have `rowCount` rows.
    func strip(_ index: Int, rowCount: Int) -> Range<Int> { index * rowCount..<min((index + 1) * rowCount, output.rows) }
}
