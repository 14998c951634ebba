import GraphRuntime

extension Tensor {
    /// The same elements at an odd address, as they may lie in a file; strings as they are.
    public func misaligned() throws -> Tensor {
        guard strings == nil else { return self }
        let bytes = try Tensor(dtype: .uint8, shape: Shape([byteCount + 1]), bytes: [0] + self.bytes)
        return try Tensor(dtype: dtype, shape: shape, storage: bytes.storage, byteOffset: bytes.byteOffset + 1)
    }
}
