import Foundation
import GraphRuntime

/// A tensor as the weights of a model are: in a file that is mapped into memory, so that kernels may pack it once.
enum WeightFile {
    private struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The file is gone at once; its pages stay mapped until the program ends.
    static func map(_ tensor: Tensor) throws -> Tensor {
        guard tensor.byteCount > 0 else { return tensor }
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("microbench-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: url) }
        try Data(tensor.rawBytes).write(to: url)
        let descriptor = open(url.path, O_RDONLY)
        defer { close(descriptor) }
        guard descriptor >= 0, let base = mmap(nil, tensor.byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED
        else { throw Failure(description: "can't map \(url.path)") }
        let storage = TensorStorage(base: base, byteCount: tensor.byteCount, owner: Owner(), isMappedFile: true)
        return try Tensor(dtype: tensor.dtype, shape: tensor.shape, storage: storage, byteOffset: 0)
    }

    private final class Owner {}
}
