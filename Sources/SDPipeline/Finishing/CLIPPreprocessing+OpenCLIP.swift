import Foundation
import ONNXLoader

extension CLIPPreprocessing {
    /// The preprocessing of open_clip's models (`image_transform` without training): `open_clip_config.json` with `preprocess_cfg`, or a file
    /// with that alone, `preprocess_cfg.json`.
    ///
    /// What they don't state is as in open_clip: the model's `image_size` or 224, bicubic, the shortest edge, the colours of OpenAI's CLIP.
    ///
    /// - Throws: ``PipelineError`` for what it can't say.
    init(openCLIP file: URL) throws {
        guard let bytes = try? BoundedFile.read(file, limit: 1 << 22),
            let json = JSONValue(parsing: String(decoding: bytes, as: UTF8.self)), json.object != nil
        else { throw PipelineError("\(file.path) isn't a JSON object.", kind: .malformedFile) }
        let settings = json["preprocess_cfg"] ?? json
        func wrong(_ key: String, expected: String) -> PipelineError {
            let found = settings[key]?.plain ?? "a list or an object"
            return PipelineError("\(file.path): \(key) is \(found), expected \(expected).", kind: .malformedFile)
        }
        func text(_ key: String, of values: [String]) throws -> String? {
            guard let value = settings[key] else { return nil }
            guard let text = value.text, values.contains(text) else {
                throw wrong(key, expected: values.dropLast().joined(separator: ", ") + " or \(values[values.count - 1])")
            }
            return text
        }
        func numbers(_ key: String) throws -> [Double]? {
            guard let value = settings[key] else { return nil }
            let numbers = value.number.map { [$0, $0, $0] } ?? (value.list ?? []).compactMap(\.number)
            guard numbers.count == 3 else { throw wrong(key, expected: "a list of 3 numbers") }
            return numbers
        }
        let stated = settings["size"] ?? json["model_cfg"]?["vision_cfg"]?["image_size"]
        let extents = (stated.map { $0.list ?? [$0] } ?? []).compactMap(\.whole).compactMap { Int(exactly: $0) }
        guard stated == nil || (1...2).contains(extents.count), extents.allSatisfy({ (1...4096).contains($0) }) else {
            throw wrong("size", expected: "one or two whole numbers from 1 to 4096")
        }
        // Rows come first.
        let box = PixelSize(width: extents.last ?? 224, height: extents.first ?? 224)
        self.init()
        (crop, centre) = (box, .nearest)
        filter = try text("interpolation", of: ["bicubic", "bilinear", "random"]) == "bilinear" ? .bilinear : .bicubic
        switch try text("resize_mode", of: ["shortest", "longest", "squash"]) {
        case "longest":
            size = .fitting(box)
            guard let gray = settings["fill_color"].map({ $0.whole.flatMap(UInt8.init(exactly:)) }) ?? 0 else {
                throw wrong("fill_color", expected: "a whole number from 0 to 255")
            }
            filling = gray
        case "squash": (size, crop) = (.exact(box), nil)
        default:
            if box.width == box.height {
                size = .shortestEdge(box.width)
            } else {
                // Whatever the interpolation, as there.
                (size, filter) = (.covering(box), .bicubic)
            }
        }
        let deviation = try numbers("std") ?? Self.deviation
        guard deviation.allSatisfy({ Float($0).isNormal }) else { throw wrong("std", expected: "numbers other than 0") }
        normalization = (try numbers("mean") ?? Self.mean, deviation)
    }
}
