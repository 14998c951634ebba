import ArgumentParser
import Foundation

/// What kind of file an option writes. A name that promises another kind is refused: a PNG under the name `a.jpg` would be taken for
/// what it isn't by whoever gets it.
enum OutputFormat: String {
    case png = "PNG"
    case svg = "SVG"
    case dot = "Graphviz's dot"
    case npy = "a .npy array"
    case json = "JSON"
    case csv = "comma-separated values"

    /// What well-known extensions stand for; others may be anything.
    private static let knownExtensions: [String: String] = {
        var result: [String: String] = [:]
        let kinds = [
            ("PNG", "png"), ("SVG", "svg"), ("Graphviz's dot", "dot gv"), ("a .npy array", "npy"), ("JSON", "json"),
            ("comma-separated values", "csv"), ("JPEG", "jpg jpeg jpe jfif pjpeg pjp"), ("JPEG 2000", "jp2 j2k jpx"),
            ("JPEG XL", "jxl"), ("WebP", "webp"), ("GIF", "gif"), ("a bitmap", "bmp dib"), ("TIFF", "tif tiff"),
            ("AVIF", "avif"), ("HEIF", "heic heif"), ("an animated PNG", "apng"), ("an icon", "ico icns"), ("Targa", "tga"),
            ("a Photoshop file", "psd psb"), ("OpenEXR", "exr"), ("Radiance HDR", "hdr"), ("QOI", "qoi"),
            ("a portable map", "pbm pgm ppm pnm pam pfm"), ("an X pixmap", "xpm xbm"), ("compressed SVG", "svgz"),
            ("PDF", "pdf"), ("PostScript", "ps eps"), ("a video", "mp4 m4v mov mkv webm avi"), ("an .npz archive", "npz"),
            ("PyTorch tensors", "pt pth ckpt"), ("safetensors", "safetensors"), ("an ONNX model", "onnx"),
            ("tab-separated values", "tsv"), ("HTML", "html htm"), ("YAML", "yaml yml"),
            ("a compressed file", "gz bz2 xz zst zip 7z"),
        ]
        for (kind, extensions) in kinds { for name in extensions.split(separator: " ") { result[String(name)] = kind } }
        return result
    }()

    /// The extension that names of this kind end with.
    private var fileExtension: String {
        switch self {
        case .png: "png"
        case .svg: "svg"
        case .dot: "dot"
        case .npy: "npy"
        case .json: "json"
        case .csv: "csv"
        }
    }

    /// - Parameters:
    ///   - path: what was given; nil and `-` pass.
    ///   - option: the option, for the message.
    /// - Throws: `ValidationError` for a name that is another kind's.
    func check(_ path: String?, option: String) throws {
        guard let path, path != "-" else { return }
        let name = path.split(separator: "/").last ?? ""
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex,
            let kind = Self.knownExtensions[name[name.index(after: dot)...].lowercased()], kind != rawValue
        else { return }
        let stem = path.dropLast(name[dot...].count)
        throw ValidationError(
            "\(option) is \"\(path)\", a name for \(kind), and what is written is \(rawValue): name it \(stem).\(fileExtension)."
        )
    }
}
