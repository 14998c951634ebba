import CKernels
import GraphRuntime

/// The keys of a row of elements of four bytes, see ``OrderKey``, which are computed and compared in vectors.
struct OrderedRow {
    private let tensor: Tensor
    private let key: OrderKey<UInt32>
    private let flip: UInt32
    private var keys: [UInt32]

    /// - Parameters:
    ///   - tensor: rows of `count` elements.
    ///   - flip: bits of keys to change.
    init(_ tensor: Tensor, key: OrderKey<UInt32>, flip: UInt32, count: Int) {
        (self.tensor, self.key, self.flip) = (tensor, key, flip)
        keys = [UInt32](repeating: 0, count: count)
    }

    /// Makes the keys those of another row.
    mutating func load(row: Int) {
        precondition(row >= 0 && (row + 1) * keys.count <= tensor.count, "there is no such row")
        let elements = unsafe tensor.start.assumingMemoryBound(to: UInt32.self)
        unsafe ck_order_keys(elements + row * keys.count, keys.count, key.sign, key.infinity ?? .max, flip, &keys)
    }

    subscript(position: Int) -> UInt32 {
        @inline(__always) get { keys[position] }
    }

    /// The first place from `position` on whose key is below `bound`; the number of keys where there is none.
    @inline(__always)
    func next(from position: Int, below bound: UInt32) -> Int {
        unsafe ck_next_below(keys, position, keys.count, bound)
    }
}
