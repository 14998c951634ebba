import Foundation
import SDPipeline

/// The pictures, as OpenAI's API gives them.
struct OpenAIAnswer: Encodable {
    struct Picture: Encodable {
        var base64: String?
        var url: String?
        /// The seed, which OpenAI's own has not.
        var seed: UInt64

        private enum CodingKeys: String, CodingKey {
            case url, seed
            case base64 = "b64_json"
        }
    }

    struct Usage: Encodable {
        struct Details: Encodable {
            let text: Int
            let image = 0
            private enum CodingKeys: String, CodingKey {
                case text = "text_tokens"
                case image = "image_tokens"
            }
        }
        let input: Int
        let output = 0
        let total: Int
        let details: Details

        init(_ job: Job) {
            let tokens = job.status.pictures.first.map { $0.record.promptTokens - 2 } ?? 0
            (input, total, details) = (tokens, tokens, Details(text: tokens))
        }

        private enum CodingKeys: String, CodingKey {
            case input = "input_tokens"
            case output = "output_tokens"
            case total = "total_tokens"
            case details = "input_tokens_details"
        }
    }

    let created: Int
    let data: [Picture]
    let background = "opaque"
    let outputFormat: String
    let size: String
    let quality = "auto"
    let usage: Usage

    /// - Parameter origin: the server's address, as the client knows it.
    init(_ job: Job, _ request: OpenAIRequest, origin: String) {
        created = Int(Date().timeIntervalSince1970)
        let pictures = job.status.pictures
        data = pictures.enumerated().map { index, picture in
            switch request.form {
            case .base64: Picture(base64: Data(picture.bytes).base64EncodedString(), seed: picture.record.seed)
            case .url:
                Picture(
                    url: "\(origin)/v1/images/files/\(job.id)/\(index + 1).\(picture.encoding.fileExtension)",
                    seed: picture.record.seed)
            }
        }
        outputFormat = request.encoding.format.rawValue
        size = pictures.first.map { "\($0.width)x\($0.height)" } ?? "auto"
        usage = Usage(job)
    }

    private enum CodingKeys: String, CodingKey {
        case created, data, background, size, quality, usage
        case outputFormat = "output_format"
    }
}

/// An event of a stream.
struct OpenAIEvent: Encodable {
    let type: String
    let base64: String
    var partialIndex: Int?
    let created = Int(Date().timeIntervalSince1970)
    let size: String
    let quality = "auto"
    let background = "opaque"
    let outputFormat: String
    var usage: OpenAIAnswer.Usage?

    private enum CodingKeys: String, CodingKey {
        case type, size, quality, background, usage
        case base64 = "b64_json"
        case partialIndex = "partial_image_index"
        case created = "created_at"
        case outputFormat = "output_format"
    }
}

struct OpenAIModels: Encodable {
    struct Model: Encodable {
        let id: String
        let object = "model"
        let created: Int
        let owner = "sd-onnx"

        init(_ model: ServedModel) { (id, created) = (model.name, Int(model.created.timeIntervalSince1970)) }

        private enum CodingKeys: String, CodingKey {
            case id, object, created
            case owner = "owned_by"
        }
    }
    let object = "list"
    let data: [Model]

    private enum CodingKeys: String, CodingKey {
        case object, data
    }
}
