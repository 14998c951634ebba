/// What a product of matrices is added to.
enum ProductStart<Element> {
    case zero
    /// What stands in C.
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
        if let matrix {
            self = .matrix(matrix, columns: columns)
        } else {
            self = columns.map { .columns($0) } ?? .zero
        }
    }

    /// What a part of the product is added to; `step` is from one row of the whole product to the next.
    func part(rows: Range<Int>, columns: Range<Int>, step: Int) -> Self {
        switch self {
        case .zero, .target: self
        case .columns(let values): .columns(values + columns.lowerBound)
        case .rows(let values): .rows(values + rows.lowerBound)
        case .matrix(let values, let offsets):
            .matrix(values + rows.lowerBound * step + columns.lowerBound, columns: offsets.map { $0 + columns.lowerBound })
        }
    }

    /// What the product is added to where C begins so many numbers later.
    func shifted(by count: Int) -> Self {
        guard case .matrix(let values, let offsets) = self else { return self }
        return .matrix(values + count, columns: offsets)
    }
}
