import Foundation
import GraphRuntime
import ONNXLoader

/// A tensor as the weights of a model are: in a file that is mapped into memory, so that kernels may pack it once.
enum WeightFile {
    /// The file is gone at once; its pages stay mapped until the program ends.
    static func map(_ tensor: Tensor) throws -> Tensor {
        guard tensor.byteCount > 0 else { return tensor }
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("microbench-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: url) }
        try Data(tensor.bytes).write(to: url)
        return try Tensor(dtype: tensor.dtype, shape: tensor.shape, storage: MappedFile.map(url.path))
    }
}
