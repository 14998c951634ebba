import Foundation

extension GenerationRecord {
    /// A ControlNet that took part.
    public struct Control: Sendable, Equatable, Codable {
        /// The name of its file or folder; nil where it was inside of the U-Net.
        public var network: String?
        /// The SHA-256 of its graph, see ``ModelHash``; nil where it was inside of the U-Net, or the file couldn't be read.
        public var networkHash: String?
        /// The picture that it saw, where its file is known.
        public var image: InputFiles.File?
        /// What was made of the picture: `canny:LOW,HIGH`; nil for nothing.
        public var preprocess: String?
        /// What became of the picture's proportions; nil where it was stretched.
        public var resize: String?
        /// See ``SDPipeline/Control/strength``.
        public var strength: Double
        /// See ``SDPipeline/Control/start``.
        public var start: Double
        /// See ``SDPipeline/Control/end``.
        public var end: Double
        /// See ``SDPipeline/Control/guesses``; nil for no.
        public var guesses: Bool?

        private enum CodingKeys: String, CodingKey {
            case network, image, preprocess, resize, strength, start, end
            case networkHash = "network_hash"
            case guesses = "guess"
        }

        /// In the form that AUTOMATIC1111's extension for ControlNet writes.
        var parameters: String {
            let name = (network ?? "inside of the U-Net") + (networkHash.map { " [\($0.prefix(8))]" } ?? "")
            var pairs: [(String, String)] = [
                ("Module", preprocess.map { String($0.prefix { $0 != ":" }) } ?? "none"), ("Model", name),
            ]
            pairs.append(("Weight", "\(strength)"))
            let modes = ["fit": "Resize and Fill", "fill": "Crop and Resize"]
            pairs.append(("Resize Mode", resize.flatMap { modes[$0] } ?? "Just Resize"))
            if let limits = preprocess?.split(separator: ":").last?.split(separator: ","), limits.count == 2 {
                pairs += [("Threshold A", String(limits[0])), ("Threshold B", String(limits[1]))]
            }
            pairs += [("Guidance Start", "\(start)"), ("Guidance End", "\(end)")]
            pairs.append(("Control Mode", guesses == true ? "Guess" : "Balanced"))
            if let image { pairs.append(("Image", "\(image.name) \(image.sha256)")) }
            return pairs.map { "\($0): \($1)" }.joined(separator: ", ")
        }
    }
}

extension ControlPreprocessing {
    /// As the command line takes it; nil for none.
    var text: String? {
        func text(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }
        return switch self {
        case .none: nil
        case .canny(let low, let high): "canny:\(text(low)),\(text(high))"
        }
    }
}

extension StableDiffusionPipeline {
    /// What is recorded of a request's ControlNets; nil for none.
    func controlRecords(_ request: GenerationRequest) -> [GenerationRecord.Control]? {
        guard !request.controls.isEmpty else { return nil }
        return request.controls.map { control in
            let files = try? ControlPlan.files(control, configuration)
            return GenerationRecord.Control(
                network: files?.name, networkHash: files.flatMap(controlNetHash), image: control.file,
                preprocess: control.preprocessing.text,
                resize: control.resizeMode == .stretch ? nil : control.resizeMode.rawValue, strength: control.strength,
                start: control.start, end: control.end, guesses: control.guesses ? true : nil)
        }
    }
}
