import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import Synchronization

/// An exported super-resolution network, which makes a picture some whole number of times larger.
///
/// A network has one input and one picture as its first output, both of four axes: pictures, channels, rows and columns, or channels last.
/// Three channels are red, green and blue; one is the luminance, and what is left of the colours is enlarged by Pillow's bicubic filter, as in
/// PyTorch's example of super-resolution. Values are 0 to 1, or 0 to 255 for inputs of bytes and where ``ValueRange`` says so; numbers are of
/// 16, 32 or 64 bits. The sizes of the input may be fixed, and may have to be multiples of up to 64: pictures are continued by their outermost
/// pixels then, which are cut off again.
public final class SuperResolutionNetwork: Sendable {
    /// What white is for a network whose input isn't of bytes: no file says it.
    public enum ValueRange: String, Sendable, CaseIterable {
        /// 0 to 1.
        case unit = "1"
        /// 0 to 255.
        case bytes = "255"
    }

    /// The network's file.
    public let file: InputFiles.File
    private let component: Component
    private let input: InputDeclaration
    private let form: Form
    /// What windows' sides have to be multiples of, found with the first one; nil before.
    private let alignment = Mutex<Int?>(nil)

    /// How pictures become the network's numbers.
    private struct Form {
        /// 3 or 1.
        let channels: Int
        let isChannelsLast: Bool
        /// What white is.
        let white: Float
        let fixedHeight: Int?
        let fixedWidth: Int?
    }

    /// Loads a network.
    ///
    /// - Parameters:
    ///   - url: the graph, or a folder with it as `model.onnx`.
    ///   - range: what white is; inputs of bytes say it themselves.
    ///   - threads: the threads to run on.
    ///   - limits: what the graph may take of the machine.
    /// - Throws: ``PipelineError`` with what the file is, where it isn't such a network.
    public convenience init(
        contentsOf url: URL, range: ValueRange = .unit, threads: ThreadPool = ThreadPool(),
        limits: ResourceLimits = ResourceLimits()
    ) throws {
        var options = SessionOptions(threads: threads)
        options.limits = limits
        try self.init(contentsOf: url, range: range, options: options)
    }

    init(contentsOf url: URL, range: ValueRange = .unit, options: SessionOptions) throws {
        let graph = try Self.graph(url)
        component = try Component("upscaler", file: graph, title: "network \(graph.lastPathComponent)", options: options)
        let inputs = component.session.inputs
        guard inputs.count == 1 else {
            throw PipelineError(
                "\(graph.path) takes \(inputs.isEmpty ? "nothing" : inputs.map(\.name).joined(separator: ", ")), expected a "
                    + "super-resolution network's one picture.", kind: .unsupportedModel)
        }
        input = InputDeclaration(inputs[0])
        form = try Self.form(of: input, range: range, path: graph.path)
        do {
            file = InputFiles.File(path: graph.path, bytes: try BoundedFile.read(graph, limit: 1 << 33))
        } catch {
            throw PipelineError("\(graph.path) can't be read: \(error.reason).", kind: .malformedFile)
        }
    }

    /// The graph that a path stands for.
    ///
    /// - Throws: ``PipelineError`` where there is none.
    static func graph(_ url: URL) throws(PipelineError) -> URL {
        guard FileManager.default.fileExists(atPath: url.path) else {
            throw PipelineError("\(url.path) doesn't exist, expected a super-resolution network.", kind: .missingFile)
        }
        let target = url.resolvingSymlinksInPath()
        guard (try? target.resourceValues(forKeys: [.isDirectoryKey]).isDirectory) == true else { return url }
        let graph = url.appendingPathComponent("model.onnx")
        guard FileManager.default.fileExists(atPath: graph.path) else {
            throw PipelineError("\(url.path) has no model.onnx, expected a super-resolution network.", kind: .missingFile)
        }
        return graph
    }

    private static func form(of input: InputDeclaration, range: ValueRange, path: String) throws -> Form {
        func fixed(_ axis: Int) -> Int? {
            guard let dimensions = input.dimensions, case .fixed(let extent) = dimensions[axis], extent > 0 else { return nil }
            return extent
        }
        func refusal() -> PipelineError {
            let shape = input.dimensions.map { "[" + $0.map(\.description).joined(separator: ", ") + "]" } ?? "any shape"
            return PipelineError(
                "\(path) takes \(input.dtype) of \(shape), expected pictures: [N, 3, height, width], [N, 1, height, width] or the "
                    + "channels last, of floating-point numbers or bytes.", kind: .unsupportedModel)
        }
        guard [.float32, .float16, .bfloat16, .float64, .uint8].contains(input.dtype),
            input.dimensions.map({ $0.count == 4 }) ?? true
        else { throw refusal() }
        let rows = input.fixedBatch ?? 1
        guard rows <= 64 else {
            throw PipelineError("\(path) takes \(rows) pictures at once, expected 64 at most.", kind: .unsupportedModel)
        }
        let (first, last) = input.dimensions == nil ? (nil, nil) : (fixed(1), fixed(3))
        let isLast = ![3, 1].contains(first ?? 3) || first == nil && [3, 1].contains(last ?? 0)
        guard let channels = isLast ? last : first ?? 3, [3, 1].contains(channels) else { throw refusal() }
        return Form(
            channels: channels, isChannelsLast: isLast, white: input.dtype == .uint8 || range == .bytes ? 255 : 1,
            fixedHeight: input.dimensions == nil ? nil : fixed(isLast ? 1 : 2),
            fixedWidth: input.dimensions == nil ? nil : fixed(isLast ? 2 : 3))
    }

    /// A picture as many times larger as the network makes it.
    ///
    /// - Parameters:
    ///   - picture: of any size.
    ///   - tiling: in what parts it is enlarged.
    ///   - observer: watches every node of the graph.
    ///   - report: called with the number of tiles that are done, and of all.
    /// - Throws: ``PipelineError`` where the network doesn't answer a picture that is a whole number of times larger, `CancellationError`
    ///   where the task is cancelled, and what `report` throws.
    public func enlarged(
        _ picture: RGBImage, tiling: PictureTiling = PictureTiling(), observer: (any RunObserver)? = nil,
        report: (_ completed: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> RGBImage {
        let source = try form.channels == 3 ? picture.raster : picture.raster.luminance
        let result = try enlarged(source, tiling: tiling, observer: observer, report: report)
        if form.channels == 3 { return try RGBImage(result) }
        let colours = try Resampling.resized(
            picture.raster.converted(toYCbCr: true), width: result.width, height: result.height, filter: .bicubic)
        return try RGBImage(colours.with(luminance: result).converted(toYCbCr: false))
    }

    /// A picture of a certain size: enlarged up to three times, until it is as large, then resized by Lanczos' filter, as AUTOMATIC1111's web
    /// interface does it.
    ///
    /// - Throws: as ``enlarged(_:tiling:observer:report:)``.
    public func enlarged(
        _ picture: RGBImage, width: Int, height: Int, tiling: PictureTiling = PictureTiling(),
        observer: (any RunObserver)? = nil,
        report: (_ completed: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> RGBImage {
        var result = picture
        for _ in 0..<3 where result.width < width || result.height < height {
            let larger = try enlarged(result, tiling: tiling, observer: observer, report: report)
            let isSame = larger.width == result.width
            result = larger
            if isSame { break }
        }
        return try result.resized(width: width, height: height)
    }

    private func enlarged(
        _ source: Raster, tiling: PictureTiling, observer: (any RunObserver)?, report: (Int, Int) throws -> Void
    ) throws -> Raster {
        var (plan, first) = try firstTile(of: source, tiling: tiling, observer: observer)
        let factor = first.width / plan.tileWidth
        let (width, height) = (source.width * factor, source.height * factor)
        guard max(width, height) <= Int(Int32.max) else {
            throw PipelineError("The picture would have \(width)×\(height) pixels.", kind: .outOfMemory)
        }
        var result = try Raster(width: width, height: height, channels: source.channels, filledWith: 0)
        let tiles = plan.tiles
        for (index, tile) in tiles.enumerated() {
            try Task.checkCancellation()
            if index > 0 { first = try run(plan.window(of: source, tile), observer: observer) }
            let kept = try first.cropped(
                left: (tile.kept.left - tile.left) * factor, top: (tile.kept.top - tile.top) * factor,
                width: tile.kept.width * factor, height: tile.kept.height * factor)
            result.paste(kept, left: tile.kept.left * factor, top: tile.kept.top * factor)
            try report(index + 1, tiles.count)
        }
        return result
    }

    /// The first tile's result, and the tiles: of networks that halve their input, of sides that they can halve.
    private func firstTile(
        of source: Raster, tiling: PictureTiling, observer: (any RunObserver)?
    ) throws -> (plan: TilePlan, result: Raster) {
        let known = alignment.withLock { $0 }
        var failure: (any Error)?
        var tried: [TilePlan] = []
        for multiple in known.map({ [$0] }) ?? [1, 2, 4, 8, 16, 32, 64] {
            let plan = try TilePlan(
                width: source.width, height: source.height, tiling: tiling, multiple: multiple, fixedWidth: form.fixedWidth,
                fixedHeight: form.fixedHeight)
            guard !tried.contains(plan) else { continue }
            tried.append(plan)
            do {
                let result = try run(plan.window(of: source, plan.tiles[0]), observer: observer)
                alignment.withLock { $0 = multiple }
                return (plan, result)
            } catch let error as CancellationError {
                throw error
            } catch {
                // The first one says most.
                failure = failure ?? error
            }
        }
        throw failure ?? PipelineError("The picture has no pixels.", kind: .invalidRequest)
    }

    /// What the network makes of a picture.
    private func run(_ window: Raster, observer: (any RunObserver)?) throws -> Raster {
        let rows = input.fixedBatch ?? 1
        let picture = [window.height, window.width]
        let shape = [rows] + (form.isChannelsLast ? picture + [form.channels] : [form.channels] + picture)
        let results = try component.run([input.name: tensor(window, shape: shape, rows: rows)], observer: observer)
        guard let name = component.session.outputs.first?.name, let answer = results[name] else {
            throw PipelineError("The \(component.title) answers nothing, expected a picture.", kind: .unsupportedModel)
        }
        let found = answer.shape.dimensions
        let axes = form.isChannelsLast ? (rows: 1, columns: 2, channels: 3) : (rows: 2, columns: 3, channels: 1)
        guard found.count == 4, found[0] == rows, found[axes.channels] == form.channels,
            found[axes.rows] >= window.height, found[axes.rows] % window.height == 0,
            found[axes.rows] / window.height * window.width == found[axes.columns]
        else {
            throw PipelineError(
                "The \(component.title) answers \(answer.dtype) of shape \(found) to a picture of shape \(shape), expected a picture "
                    + "that is a whole number of times larger.", kind: .unsupportedModel)
        }
        let values = try numbers(answer)
        let (height, width) = (found[axes.rows], found[axes.columns])
        var result = try Raster(width: width, height: height, channels: form.channels, filledWith: 0)
        let area = width * height
        for position in 0..<area {
            for channel in 0..<form.channels {
                let value = values[form.isChannelsLast ? position * form.channels + channel : channel * area + position]
                result.values[position * form.channels + channel] = UInt8(
                    min(max(value * 255 / form.white, 0), 255).rounded(.toNearestOrEven))
            }
        }
        return result
    }

    private func tensor(_ window: Raster, shape: [Int], rows: Int) throws -> Tensor {
        let area = window.width * window.height
        let (bytes, channels) = (window.values, form.channels)
        let ordered =
            form.isChannelsLast || channels == 1
            ? bytes : (0..<channels).flatMap { channel in (0..<area).map { bytes[$0 * channels + channel] } }
        if input.dtype == .uint8 {
            return try Tensor(Array(repeating: ordered, count: rows).flatMap { $0 }, shape: Shape(shape))
        }
        let values = ordered.map { Float($0) / 255 * form.white }
        return try input.tensor(rows: Array(repeating: values[...], count: rows), shape: shape)
    }

    /// An answer's numbers, of which none is infinite or NaN.
    private func numbers(_ answer: Tensor) throws -> [Float] {
        switch answer.dtype {
        case .uint8: return try answer.array(of: UInt8.self).map { Float($0) / 255 * form.white }
        case .float32, .float16, .bfloat16, .float64:
            let values =
                try answer.dtype == .float64
                ? answer.array(of: Double.self).map { Float($0) } : HalfPrecision.widen(answer).array(of: Float.self)
            guard values.span.isFinite else {
                throw PipelineError(
                    "The \(component.title) answers numbers that aren't finite.", kind: .notFinite(component: "upscaler"))
            }
            return values
        default:
            throw PipelineError(
                "The \(component.title) answers \(answer.dtype), expected floating-point numbers or bytes.",
                kind: .unsupportedModel)
        }
    }
}
