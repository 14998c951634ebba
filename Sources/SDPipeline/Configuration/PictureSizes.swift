import Foundation
import GraphRuntime
import ONNXLoader

/// The widths and heights that a model makes pictures of, in pixels.
public struct PictureSizes: Sendable, Equatable {
    /// The largest width and height: far above what a machine's memory takes, far below what overflows.
    public static let largest = 16384

    /// Widths and heights are multiples of this: pixels per latent, times what the levels of the U-Net halve latents by, since what an
    /// exported graph halved and doubled again has another size otherwise.
    public let multiple: Int
    /// What is made where nothing is asked for.
    public let defaultWidth: Int
    /// As ``defaultWidth``.
    public let defaultHeight: Int
    /// Where the graphs were exported for one width: that one.
    public let fixedWidth: Int?
    /// Where the graphs were exported for one height: that one.
    public let fixedHeight: Int?

    init(multiple: Int, trainedHeight: Int, trainedWidth: Int, fixedWidth: Int? = nil, fixedHeight: Int? = nil) {
        self.multiple = max(multiple, 1)
        self.fixedWidth = fixedWidth
        self.fixedHeight = fixedHeight
        defaultWidth = fixedWidth ?? Self.nearest(trainedWidth, multiple: self.multiple)
        defaultHeight = fixedHeight ?? Self.nearest(trainedHeight, multiple: self.multiple)
    }

    /// The width that the model takes and that is nearest to a picture's; where two are equally near, the larger.
    public func nearestWidth(to width: Int) -> Int { fixedWidth ?? Self.nearest(width, multiple: multiple) }

    /// The height that the model takes and that is nearest to a picture's; where two are equally near, the larger.
    public func nearestHeight(to height: Int) -> Int { fixedHeight ?? Self.nearest(height, multiple: multiple) }

    /// - Throws: ``PipelineError`` with the nearest widths that the model takes.
    func check(width: Int) throws { try check(width, fixed: fixedWidth, name: "width") }

    /// - Throws: ``PipelineError`` with the nearest heights that the model takes.
    func check(height: Int) throws { try check(height, fixed: fixedHeight, name: "height") }

    private func check(_ size: Int, fixed: Int?, name: String) throws {
        if let fixed {
            guard size == fixed else {
                throw PipelineError(
                    "The \(name) is \(size), expected \(fixed), for which alone the model was exported.", kind: .invalidRequest)
            }
            return
        }
        let greatest = Self.largest / multiple * multiple
        guard size > 0, size <= greatest, size % multiple == 0 else {
            let lower = min(max(size, 0), greatest) / multiple * multiple
            let near = [lower, lower + multiple].filter { $0 > 0 && $0 <= greatest }.map(String.init)
            throw PipelineError(
                "The \(name) is \(size), expected a multiple of \(multiple) up to \(greatest), such as "
                    + near.joined(separator: " or ") + ".", kind: .invalidRequest)
        }
    }

    private static func nearest(_ size: Int, multiple: Int) -> Int {
        let greatest = max(largest / multiple * multiple, multiple)
        return min(max((min(max(size, 0), largest) + multiple / 2) / multiple * multiple, multiple), greatest)
    }
}

extension PictureSizes {
    /// The height and width that the first input of four axes of a graph is declared with, as far as they are fixed; nil for both where
    /// the file can't be read, which loading it will say.
    static func fixed(in file: URL) -> (height: Int?, width: Int?) {
        guard let graph = try? ONNXModel(contentsOf: file).graph else {
            return (nil, nil)
        }
        for id in graph.inputs where graph.initializers[id] == nil {
            guard case .tensor(_, let dimensions?)? = graph.values[id].type, dimensions.count == 4 else { continue }
            let fixed = dimensions.map { if case .fixed(let extent) = $0, extent > 0 { extent } else { nil as Int? } }
            return (fixed[2], fixed[3])
        }
        return (nil, nil)
    }
}
