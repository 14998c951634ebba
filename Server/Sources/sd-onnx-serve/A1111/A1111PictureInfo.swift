import SDPipeline

/// What `png-info` says of a picture.
struct A1111PictureInfo: Encodable {
    /// The settings as they are in the picture; empty where it has none.
    let info: String
    /// All texts of the picture but the settings.
    let items: [String: String]
    /// The settings, by name.
    let parameters: [String: String]

    init(_ source: PictureSource) {
        let metadata = (try? PictureMetadata(source.bytes)) ?? nil
        let texts = metadata?.texts ?? (source.format == .png ? PNGText.entries(in: source.bytes) : [])
        let settings = texts.first { $0.key == "parameters" }?.text
        info = settings ?? ""
        items = Dictionary(texts.map { ($0.key, $0.text) }) { first, _ in first }
        parameters = settings.map { Infotext(parsing: $0).parameters } ?? [:]
    }
}
