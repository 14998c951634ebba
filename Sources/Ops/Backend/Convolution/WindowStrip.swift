import CKernels

/// The outputs of a strip of rows of one plane, which kernels write where they go.
struct WindowStrip {
    let layout: RowPanelLayout
    let group: Int
    /// Of the weights.
    let panels: Range<Int>
    /// Of the strip's first window, of the group's first output.
    let place: Int
    let windows: Int
    /// From one output to the next.
    let planeStep: Int

    /// - Parameters:
    ///   - strip: the windows, laid out.
    ///   - weights: as the layout has them.
    ///   - starts: [groups, outputs]; nil for zeros.
    ///   - panelStarts: room for those of a panel.
    func multiply(
        _ strip: ck_window_strip, _ weights: UnsafePointer<Float>, starts: UnsafePointer<Float>?,
        panelStarts: UnsafeMutablePointer<Float>, _ epilogue: ConvolutionEpilogue, into target: UnsafeMutablePointer<Float>
    ) {
        let inRegisters = unsafe epilogue.inRegisters
        var (strip, finish) = unsafe (strip, inRegisters?.finish ?? ck_finish.nothing)
        for panel in panels {
            let row = panel * layout.panelRows
            let rows = min(layout.panelRows, layout.rows - row)
            for index in 0..<rows { unsafe panelStarts[index] = unsafe starts?[group * layout.rows + row + index] ?? 0 }
            let first = place + row * planeStep
            let own = unsafe weights + layout.place(group: group, panel: panel)
            let ahead = unsafe panel + 1 < panels.upperBound ? weights + layout.place(group: group, panel: panel + 1) : nil
            unsafe ck_window_strip_product(
                Int32(rows), &strip, own, layout.panelRows, panelStarts, inRegisters?.residual.map { unsafe $0 + first },
                &finish,
                target + first, planeStep, ahead)
            guard unsafe inRegisters == nil else { continue }
            for index in 0..<rows {
                unsafe epilogue.apply(target + first + index * planeStep, count: windows, place: first + index * planeStep)
            }
        }
    }
}
