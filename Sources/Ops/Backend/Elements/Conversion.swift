import CKernels
import GraphRuntime

/// y = x, converted as `ck_conversion_of` says; nil where it knows one of the types neither as a number nor as truth values. The tensors
/// outlive what is returned.
func preparedConversion(_ x: Tensor, into y: MutableTensor) throws(TensorError) -> PreparedRun? {
    // Truth values are bytes of 0 and 1.
    let isBool = x.dtype == .bool
    guard let source = isBool ? CK_UINT8 : x.dtype.numberType, let target = y.dtype.numberType else { return nil }
    guard x.count == y.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    guard let kernel = unsafe ck_conversion_of(source, target) else { return nil }
    nonisolated(unsafe) let numbers = unsafe x.start
    nonisolated(unsafe) let results = unsafe y.start
    let (count, sourceSize, targetSize) = (x.count, x.dtype.bitWidth / 8, y.dtype.bitWidth / 8)
    return { threads in
        threads.forEachRange(count, grain: BroadcastPlan.grain) { range in
            unsafe kernel(numbers + range.lowerBound * sourceSize, results + range.lowerBound * targetSize, range.count)
        }
    }
}

extension DType {
    fileprivate var numberType: ck_number_type? {
        switch self {
        case .float32: CK_FLOAT
        case .float64: CK_DOUBLE
        case .int8: CK_INT8
        case .int16: CK_INT16
        case .int32: CK_INT32
        case .int64: CK_INT64
        case .uint8: CK_UINT8
        case .uint16: CK_UINT16
        case .uint32: CK_UINT32
        case .uint64: CK_UINT64
        case .bool: CK_BOOL
        default: nil
        }
    }
}
