/// What a model may take of the machine before it is refused. A file of some hundred bytes can ask for all memory there is: one that
/// wasn't made by who runs it is loaded within limits.
///
/// The limits are totals, of one load, one plan or one run each. The defaults leave room for the largest Stable Diffusion models; the
/// values of tensors that lie in mapped files count for nothing, whatever their size.
public struct ResourceLimits: Sendable, Equatable {
    /// Bytes that loading a model may take in memory: the graph itself (an estimate), sparse tensors made dense, and values that have to be
    /// unpacked. 2 GB by default.
    public var loadedBytes = 2 << 30
    /// Messages of the file: nodes, attributes, tensors, types, extents of declared shapes. 4,194,304 by default; a U-Net of Stable Diffusion
    /// XL has about 100,000.
    public var messages = 4 << 20
    /// Tensors of the file. 1,048,576 by default.
    public var tensors = 1 << 20
    /// Nodes of the graph, calls of functions expanded. 1,048,576 by default.
    public var nodes = 1 << 20
    /// Bytes of the constants that a session computes ahead: what would go beyond them is computed in each run. Nil, the default, stands for
    /// 256 MB and four times the bytes of the model's own constants.
    public var foldedBytes: Int?
    /// Bytes that one run may take for values between nodes and for outputs, as far as they are known before it starts, and that the
    /// outputs of one node may take where they aren't. Nil, the default, stands for ``AvailableMemory/total``.
    public var runBytes: Int?

    /// The defaults.
    public init() {}

    /// The defaults, with no more than `bytes` of memory for a load, for constants and for a run each.
    ///
    /// - Parameter bytes: 0 or more.
    public init(memory bytes: Int) {
        loadedBytes = min(loadedBytes, bytes)
        foldedBytes = bytes
        runBytes = bytes
    }
}

extension ResourceLimits {
    /// - Parameters:
    ///   - byteCount: what is needed; `Int.max` where counting it overflowed.
    ///   - limit: ``runBytes``.
    /// - Throws: ``GraphError`` of kind `limit` where it is more than that.
    static func requireRunBytes(_ byteCount: Int, within limit: Int?) throws(GraphError) {
        let limit = limit ?? AvailableMemory.total
        guard byteCount == .max || byteCount > limit else { return }
        let needed = byteCount == .max ? "\(byteCount) or more" : "\(byteCount)"
        throw GraphError("the values take \(needed) bytes, expected at most \(limit), the limit of a run", kind: .limit)
    }
}

extension Fact {
    /// Bytes of the tensors that are known by type and shape; `Int.max` where the sum overflows.
    static func byteCount(_ facts: [Fact?]) -> Int {
        var sum = 0
        for fact in facts {
            guard let dtype = fact?.dtype, let shape = fact?.shape, let bytes = dtype.byteCount(of: shape.count) else {
                continue
            }
            let (total, overflow) = sum.addingReportingOverflow(bytes)
            if overflow { return .max }
            sum = total
        }
        return sum
    }
}
