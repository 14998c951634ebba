import CKernels

/// The windows of a strip of rows of one picture or of several ones, in a task's memory.
@unsafe struct TileStrip {
    let window: ConvolutionWindow
    let planes: WindowPlanes
    let layout: TileWeightLayout
    let pictures: Range<Int>
    let group: Int
    let rows: Range<Int>
    let room: TileStripRoom
    let memory: UnsafeMutablePointer<Float>

    private static let panel = Int(CK_AMX_PANEL)
    private static let pixel = Int(CK_AMX_PIXEL)

    /// Rounds all channels.
    func fill(from source: UnsafePointer<Float>) {
        let fill = unsafe planes.fill(rows: rows)
        for picture in unsafe pictures {
            let plane = unsafe picture * window.group + group
            for block in unsafe 0..<layout.blocks {
                let channel = block * Int(CK_AMX_BLOCK)
                unsafe ck_amx_window_fill(
                    fill, fill.count, source + (plane * layout.channels + channel) * window.inputCount, window.inputCount,
                    Int32(min(Int(CK_AMX_BLOCK), layout.channels - channel)),
                    memory + (picture - pictures.lowerBound) * room.pictureStep + block * room.blockStep)
            }
        }
    }

    /// The sums of a panel's outputs for all windows.
    func multiply(_ panel: Int, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?) {
        let starts = unsafe memory + room.starts
        let outputs = unsafe layout.outputs(of: panel)
        unsafe starts.update(repeating: 0, count: Self.panel)
        if let bias = unsafe bias {
            unsafe starts.update(from: bias + group * layout.outputs + outputs.lowerBound, count: outputs.count)
        }
        let offsets = unsafe planes.offsets(rows: rows.count)
        let lanes = unsafe planes.laneCount(rows: rows.count)
        let tilePairs = unsafe (lanes + Self.panel - 1) / Self.panel
        let products = unsafe tilePairs * pictures.count
        let blockFloats = unsafe layout.taps * Int(CK_AMX_STEP)
        for first in unsafe stride(from: 0, to: layout.blocks, by: room.passBlocks) {
            let blocks = unsafe min(room.passBlocks, layout.blocks - first)
            let isLast = unsafe first + blocks == layout.blocks
            let place = unsafe weights + layout.place(group: group, panel: panel) + first * blockFloats
            let aheadLines = (blocks * blockFloats / 16 + products - 1) / products
            for index in 0..<products {
                let (picture, lane) = unsafe (index / tilePairs, index % tilePairs * Self.panel)
                let tiles: Int32 = unsafe 2 * (lanes - lane) > Self.panel ? 2 : 1
                let sums = unsafe memory + room.sums + (room.passBlocks < layout.blocks ? index * Self.panel * Self.panel : 0)
                unsafe ck_amx_window_product(
                    tiles, blocks, room.blockStep, layout.taps, offsets,
                    memory + picture * room.pictureStep + first * room.blockStep + lane * Self.pixel, place,
                    first == 0 ? starts : sums, first == 0 ? 0 : Self.panel, sums,
                    place + blocks * blockFloats + index * aheadLines * 16, aheadLines)
                guard isLast else { continue }
                unsafe ck_amx_window_turn(
                    sums, tiles, memory + room.products + picture * room.laneStep + lane, room.outputStep)
            }
        }
    }

    /// The sums into the pictures, where they are finished while they are in cache.
    func write(_ panel: Int, into target: UnsafeMutablePointer<Float>, _ epilogue: ConvolutionEpilogue) {
        let outputs = unsafe layout.outputs(of: panel)
        let (width, count) = unsafe (planes.output.columns, rows.count * planes.output.columns)
        for picture in unsafe pictures {
            let products = unsafe memory + room.products + (picture - pictures.lowerBound) * room.laneStep
            let plane = unsafe picture * window.outputChannels + group * layout.outputs
            for output in outputs {
                let place = unsafe (plane + output) * window.outputCount + rows.lowerBound * width
                let row = unsafe products + (output - outputs.lowerBound) * room.outputStep
                if unsafe planes.isDense {
                    unsafe (target + place).update(from: row, count: count)
                } else {
                    unsafe ck_window_rows(row, planes.step, target + place, width, rows.count, width)
                }
                unsafe epilogue.apply(target + place, count: count, place: place)
            }
        }
    }
}

/// The places of a strip's parts in its memory, in floats.
struct TileStripRoom {
    private static let panel = Int(CK_AMX_PANEL)
    private static let pixel = Int(CK_AMX_PIXEL)

    /// Blocks of channels of a pass over all windows.
    let passBlocks: Int
    /// From one block of pixels to the next, and from one picture to the next one.
    let blockStep: Int
    let pictureStep: Int
    /// Windows from one picture to the next, and from one output to the next one.
    let laneStep: Int
    let outputStep: Int
    let sums: Int
    let products: Int
    let starts: Int
    let floatCount: Int

    init(_ planes: WindowPlanes, _ layout: TileWeightLayout, pictures: Int, rows: Int, passBlocks: Int) {
        self.passBlocks = passBlocks
        blockStep = planes.floatCount(rows: rows) * Self.pixel
        pictureStep = blockStep * layout.blocks
        laneStep = (planes.laneCount(rows: rows) + Self.panel - 1) / Self.panel * Self.panel
        // Not a multiple of 4 KB, of which the first-level cache keeps a few only.
        outputStep = laneStep * pictures + 16
        // A last tile's windows reach behind the last pixel.
        sums = pictureStep * pictures + Self.panel * Self.pixel
        let isOnePass = passBlocks >= layout.blocks
        products = sums + (isOnePass ? Self.panel : laneStep * pictures) * Self.panel
        starts = products + outputStep * Self.panel
        floatCount = starts + Self.panel
    }
}
