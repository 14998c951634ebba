import Foundation
import GraphRuntime

/// Copies of tensors in a file that is mapped into memory, as the weights of a model are.
final class MappedTensors {
    let tensors: [Tensor]

    private final class Mapping {
        let base: UnsafeMutableRawPointer
        let byteCount: Int

        init(_ data: Data) throws {
            let url = FileManager.default.temporaryDirectory.appendingPathComponent("weights-\(UUID().uuidString)")
            try data.write(to: url)
            defer { try? FileManager.default.removeItem(at: url) }
            let file = open(url.path, O_RDONLY)
            defer { close(file) }
            guard file >= 0, let base = mmap(nil, max(data.count, 1), PROT_READ, MAP_PRIVATE, file, 0), base != MAP_FAILED
            else {
                throw CocoaError(.fileReadUnknown)
            }
            self.base = base
            byteCount = data.count
        }

        deinit { munmap(base, max(byteCount, 1)) }
    }

    init(_ tensors: [Tensor]) throws {
        // At addresses that are multiples of four only, as protobuf may have them.
        var data = Data(repeating: 0, count: 4)
        let offsets = tensors.map { tensor in
            defer { data.append(contentsOf: tensor.rawBytes) }
            return data.count
        }
        let mapping = try Mapping(data)
        let storage = TensorStorage(base: mapping.base, byteCount: data.count, owner: mapping, isMappedFile: true)
        self.tensors = try zip(tensors, offsets).map { tensor, offset in
            try Tensor(dtype: tensor.dtype, shape: tensor.shape, storage: storage, byteOffset: offset)
        }
    }
}
