import Foundation
import GraphRuntime
import ONNXLoader

/// Copies of tensors in a file that is mapped into memory, as the weights of a model are.
final class MappedTensors {
    let tensors: [Tensor]

    init(_ tensors: [Tensor]) throws {
        // At addresses that are multiples of four only, as protobuf may have them.
        var data = Data(repeating: 0, count: 4)
        let offsets = tensors.map { tensor in
            defer { data.append(contentsOf: tensor.bytes) }
            return data.count
        }
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("weights-\(UUID().uuidString)")
        try data.write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        let storage = try MappedFile.map(url.path)
        self.tensors = try zip(tensors, offsets).map { tensor, offset in
            try Tensor(dtype: tensor.dtype, shape: tensor.shape, storage: storage, byteOffset: offset)
        }
    }
}
