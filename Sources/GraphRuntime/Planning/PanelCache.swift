import Foundation
import Synchronization

/// Weights in the order in which kernels read them, in a folder of files that later processes map: their first run packs nothing.
///
/// Each form of a constant has a file of its own, which says of what it was made: of which bytes of which content of the model's file, in
/// which form, by which program. What doesn't match, or whose checksum is another, is packed and written again, so that models may be
/// exchanged and programs built anew. All files may be deleted at any time, also while they are in use; none is deleted but for others of
/// its name, so that a folder for many models, shapes and programs grows. Only constants that lie in a file are kept.
public final class PanelCache: Sendable {
    /// Where the files are.
    public let folder: String
    private let report: @Sendable (String) -> Void
    private let hasReported = Mutex(false)

    /// A cache in a folder, which is made where it isn't there.
    ///
    /// - Parameters:
    ///   - folder: its path.
    ///   - report: is told once, from any thread, why a form couldn't be kept, such as that the disk is full: a sentence. Runs don't fail
    ///     for it.
    /// - Throws: ``GraphError`` of kind `file` where there can't be such a folder, or nothing can be written to it.
    public init(folder: String, report: @escaping @Sendable (String) -> Void = { _ in }) throws(GraphError) {
        self.folder = folder
        self.report = report
        func failure(_ reason: String) -> GraphError {
            GraphError(
                "the folder \(folder.shortened(to: String.longestName)) can't hold packed weights: \(reason)", kind: .file)
        }
        let target = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path
        let attributes = try? FileManager.default.attributesOfItem(atPath: target)
        if let type = attributes?[.type] as? FileAttributeType, type != .typeDirectory {
            throw failure("it is a file, expected a folder")
        }
        do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
            throw failure("it can't be made")
        }
        guard FileManager.default.isWritableFile(atPath: folder) else { throw failure("nothing can be written to it") }
        TensorFile.removePartialFiles(in: folder)
    }

    /// A form of a constant from its file; else `pack` makes it, and the file is written.
    ///
    /// - Parameters:
    ///   - form: as ``PackedConstants/constant(_:form:others:pack:)`` has it.
    ///   - others: likewise.
    /// - Throws: what `pack` throws.
    func tensor(
        _ source: Tensor, form: String, others: [Tensor], threads: ThreadPool,
        pack: (Tensor, ThreadPool) throws(TensorError) -> Tensor
    ) throws(TensorError) -> Tensor {
        guard let title = Self.title([source] + others, form: form) else { return try pack(source, threads) }
        let path = "\(folder)/\(Self.name(title))"
        if let known = TensorFile.read(path, title: title, threads: threads) { return known }
        let made = try pack(source, threads)
        if let reason = TensorFile.write(made, title: title, to: path, threads: threads) {
            let isFirst = hasReported.withLock { hasReported in
                defer { hasReported = true }
                return !hasReported
            }
            if isFirst {
                report("Packed weights aren't kept: \(path.shortened(to: String.longestName)) can't be written: \(reason).")
            }
        }
        return made
    }

    /// What a file's content follows from; nil for constants that aren't in a file.
    private static func title(_ constants: [Tensor], form: String) -> String? {
        guard let program else { return nil }
        var lines = ["sd-onnx packed weights", "program \(program)"]
        for constant in constants {
            guard let file = constant.storage.fileIdentity else { return nil }
            lines += [
                "file \(file)", "bytes \(constant.byteOffset) \(constant.byteCount)",
                "source \(constant.dtype.rawValue) \(constant.shape.dimensions)",
            ]
        }
        let title = (lines + ["form \(form)"]).joined(separator: "\n")
        return title.utf8.count <= TensorFile.longestTitle ? title : nil
    }

    /// A file's name: 64 bits of FNV-1a of its title. Of two with one name, the later is kept.
    private static func name(_ title: String) -> String {
        let number = title.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return String(number, radix: 16) + ".panels"
    }

    /// Stands for the code that packs: the checksums of the program and of the library that this code is in; nil where they can't be read.
    private static let program: String? = {
        let threads = ThreadPool(threadCount: 1)
        let images = [Bundle.main.executablePath, LoadedImage.path].compactMap { $0 }
        let checksums = Set(images).compactMap { path in
            TensorStorage.mapping(file: path).flatMap { try? Tensor(dtype: .uint8, shape: Shape([$0.byteCount]), storage: $0) }
                .map { $0.checksum(threads: threads) }
        }
        return checksums.isEmpty ? nil : checksums.sorted().map { String($0, radix: 16) }.joined(separator: " ")
    }()
}
