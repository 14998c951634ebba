import GraphRuntime

/// A truth value as the byte 0 or 1 that it is in memory: of `Bool`s, the compiler's vectors are put together one bit at a time.
struct TruthByte: TensorElement {
    let byte: UInt8

    static var dtype: DType { .bool }
}
