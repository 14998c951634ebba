/// What a product of matrices is added to.
@unsafe
enum ProductStart<Element> {
    case zero
    /// What is in C.
    case target
    /// n numbers, each added to a column of C.
    case columns(UnsafePointer<Element>)
    /// m numbers, each added to a row of C.
    case rows(UnsafePointer<Element>)
    /// A matrix that lies as C does, and n numbers as ``columns(_:)`` has them, if any. The matrix is added last: beside its larger
    /// numbers the products would lose more digits.
    case matrix(UnsafePointer<Element>, columns: UnsafePointer<Element>?)

    /// - Parameters:
    ///   - columns: n numbers, each added to a column of C; nil for none.
    ///   - matrix: added to C; nil for none.
    init(columns: UnsafePointer<Element>?, matrix: UnsafePointer<Element>? = nil) {
        if let matrix = unsafe matrix {
            unsafe self = unsafe .matrix(matrix, columns: columns)
        } else {
            unsafe self = unsafe columns.map { unsafe .columns($0) } ?? .zero
        }
    }

    /// What a part of the product is added to; `step` is from one row of the whole product to the next.
    func part(rows: Range<Int>, columns: Range<Int>, step: Int) -> Self {
        switch unsafe self {
        case .zero, .target: unsafe self
        case .columns(let values): unsafe .columns(values + columns.lowerBound)
        case .rows(let values): unsafe .rows(values + rows.lowerBound)
        case .matrix(let values, let offsets):
            unsafe .matrix(
                values + rows.lowerBound * step + columns.lowerBound, columns: offsets.map { unsafe $0 + columns.lowerBound })
        }
    }

    /// What the product is added to where C begins so many numbers later.
    func shifted(by count: Int) -> Self {
        guard case .matrix(let values, let offsets) = unsafe self else { return unsafe self }
        return unsafe .matrix(values + count, columns: offsets)
    }
}
