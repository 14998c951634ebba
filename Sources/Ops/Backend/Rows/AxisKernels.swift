import CKernels
import GraphRuntime

/// The lines along an axis in bands of neighbours, which are worked off row by row: memory is then read as it lies.
struct AxisBands {
    private let split: AxisSplit
    /// Bands of each row.
    private let pieces: Int

    /// Lines of a band: their rows are whole cache lines, and the first-level cache keeps a few of them.
    private static let width = 512

    init(_ split: AxisSplit) {
        self.split = split
        pieces = (split.inner + Self.width - 1) / Self.width
    }

    var count: Int { split.outer * pieces }
    /// Bands that are worth a thread's attention.
    var grain: Int { max(BroadcastPlan.grain / (min(split.inner, Self.width) * max(split.count, 1)), 1) }

    /// The first element of a band's first row, and how many lines it has.
    subscript(band: Int) -> (first: Int, width: Int) {
        let start = band % pieces * Self.width
        return (band / pieces * split.count * split.inner + start, min(Self.width, split.inner - start))
    }
}

/// Sums (or products) up to each element along an axis, of neighbouring lines together: each row is the one before it and a row of x.
///
/// - Parameter y: of x's type and shape.
/// - Throws: ``TensorError`` where it isn't.
func cumulateRows<Element: NumericElement>(
    _ type: Element.Type, _ x: Tensor, _ split: AxisSplit, product: Bool, exclusive: Bool, reverse: Bool, into y: MutableTensor,
    threads: ThreadPool
) throws {
    let (count, inner, bands) = (split.count, split.inner, AxisBands(split))
    nonisolated(unsafe) let source = unsafe try x.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try y.pointer(to: Element.self)
    guard y.count == x.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    let identity: Element = product ? .one : .zero
    threads.forEachRange(bands.count, grain: bands.grain) { range in
        for band in range {
            let (first, width) = bands[band]
            for step in 0..<count {
                let place = first + (reverse ? count - 1 - step : step) * inner
                let row = unsafe target + place
                if exclusive, step == 0 {
                    unsafe row.update(repeating: identity, count: width)
                    continue
                }
                let last = place + (reverse ? inner : -inner)
                let numbers = unsafe source + (exclusive ? last : place)
                if step == 0 {
                    for index in 0..<width {
                        unsafe row[index] = product ? .product(.one, numbers[index]) : .sum(.zero, numbers[index])
                    }
                    continue
                }
                let before = unsafe target + last
                if product {
                    for index in 0..<width { unsafe row[index] = .product(before[index], numbers[index]) }
                } else {
                    for index in 0..<width { unsafe row[index] = .sum(before[index], numbers[index]) }
                }
            }
        }
    }
}

/// Whether an element takes the place of the best before it, see ``argExtreme(_:axis:largest:selectsLast:into:threads:)``: the first NaN does.
@inline(__always)
func replacesExtreme<Element: NumericElement>(
    _ value: Element, _ best: Element, largest: Bool, selectsLast: Bool
) -> Bool {
    (largest ? value > best : value < best) || (selectsLast && value == best) || (value.isNaN && !best.isNaN)
}

/// Where the largest (or least) elements along an axis are, of neighbouring lines together, row by row.
///
/// - Parameter y: int64, of x's shape without the axis.
/// - Throws: ``TensorError`` where it isn't.
func chooseAmongRows<Element: NumericElement>(
    _ type: Element.Type, _ x: Tensor, _ split: AxisSplit, largest: Bool, selectsLast: Bool, into y: MutableTensor,
    threads: ThreadPool
) throws {
    let (count, inner, bands) = (split.count, split.inner, AxisBands(split))
    nonisolated(unsafe) let source = unsafe try x.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try y.pointer(to: Int64.self)
    guard y.count == split.outer * inner else { throw TensorError("shape \(y.shape) isn't that of \(x.shape) without an axis") }
    threads.forEachRange(bands.count, grain: bands.grain) { range in
        for band in range {
            let (first, width) = bands[band]
            // Where the band's outputs are: an output for each of its lines.
            let outer = first / (count * inner)
            let positions = unsafe target + (first - outer * (count - 1) * inner)
            if type == Float.self, count < 1 << 31 {
                unsafe ck_column_places(
                    UnsafeRawPointer(source + first).assumingMemoryBound(to: Float.self), inner, count, positions, width,
                    largest ? 0 : 1, selectsLast ? 1 : 0)
                continue
            }
            unsafe positions.update(repeating: 0, count: width)
            unsafe withUnsafeTemporaryAllocation(of: Element.self, capacity: width) { memory in
                guard let best = memory.baseAddress else { return }
                unsafe best.initialize(from: source + first, count: width)
                for step in 1..<max(count, 1) {
                    let row = unsafe source + first + step * inner
                    for index in 0..<width {
                        let (value, old) = unsafe (row[index], best[index])
                        let isBetter = replacesExtreme(value, old, largest: largest, selectsLast: selectsLast)
                        unsafe best[index] = isBetter ? value : old
                        unsafe positions[index] = isBetter ? Int64(step) : positions[index]
                    }
                }
            }
        }
    }
}

/// Where the largest (or least) elements of lines are, whose elements lie side by side.
///
/// - Parameter y: int64, with an element for each line of `count` elements.
/// - Throws: ``TensorError`` where it has others.
func chooseInLines<Element: NumericElement>(
    _ type: Element.Type, _ x: Tensor, count: Int, largest: Bool, selectsLast: Bool, into y: MutableTensor, threads: ThreadPool
) throws {
    if type == Float.self, !selectsLast {
        return try chooseInFloatLines(x, count: count, largest: largest, into: y, threads: threads)
    }
    // Before AVX-512, vectors of 64-bit integers have neither minimum nor maximum.
    if !Element.dtype.isFloatingPoint, Element.dtype.bitWidth < 64, !selectsLast {
        return unsafe try forEachPlace(of: type, x, count: count, in: y, threads: threads) {
            unsafe placeOfExtreme($0, count, largest: largest)
        }
    }
    unsafe try forEachPlace(of: type, x, count: count, in: y, threads: threads) {
        unsafe placeInOrder($0, count, largest: largest, selectsLast: selectsLast)
    }
}

/// The first place of the extreme, which is looked for once it is known: neither of the two passes has to wait for the element before. The
/// first NaN is found in order.
private func chooseInFloatLines(_ x: Tensor, count: Int, largest: Bool, into y: MutableTensor, threads: ThreadPool) throws {
    unsafe try forEachPlace(of: Float.self, x, count: count, in: y, threads: threads) { row in
        let extreme = unsafe largest ? ck_row_max(row, count) : ck_row_min(row, count)
        guard !extreme.isNaN else { return unsafe placeInOrder(row, count, largest: largest, selectsLast: false) }
        return unsafe ck_row_place(row, count, extreme)
    }
}

/// The first place of the extreme of integers, of at least one.
private func placeOfExtreme<Element: NumericElement>(_ row: UnsafePointer<Element>, _ count: Int, largest: Bool) -> Int {
    var extreme = unsafe row[0]
    if largest {
        for index in 1..<max(count, 1) { unsafe extreme = row[index] > extreme ? row[index] : extreme }
    } else {
        for index in 1..<max(count, 1) { unsafe extreme = row[index] < extreme ? row[index] : extreme }
    }
    var place = 0
    while unsafe row[place] != extreme { place += 1 }
    return place
}

private func forEachPlace<Element: NumericElement>(
    of type: Element.Type, _ x: Tensor, count: Int, in y: MutableTensor, threads: ThreadPool,
    _ place: @Sendable (UnsafePointer<Element>) -> Int
) throws {
    nonisolated(unsafe) let source = unsafe try x.pointer(to: Element.self)
    nonisolated(unsafe) let target = unsafe try y.pointer(to: Int64.self)
    guard y.count * count == x.count else { throw TensorError("shape \(y.shape) isn't that of \(x.shape) without an axis") }
    threads.forEachRange(y.count, grain: max(BroadcastPlan.grain / count, 1)) { range in
        for line in range { unsafe target[line] = Int64(place(source + line * count)) }
    }
}

/// Each element is compared with the best before it.
private func placeInOrder<Element: NumericElement>(
    _ row: UnsafePointer<Element>, _ count: Int, largest: Bool, selectsLast: Bool
) -> Int {
    var (best, place) = unsafe (row[0], 0)
    for index in 1..<max(count, 1) {
        let value = unsafe row[index]
        if replacesExtreme(value, best, largest: largest, selectsLast: selectsLast) { (best, place) = (value, index) }
    }
    return place
}
