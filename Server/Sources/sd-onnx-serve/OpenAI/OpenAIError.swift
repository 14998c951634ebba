import Hummingbird

/// The form that errors of OpenAI's API have.
struct OpenAIError: Encodable {
    struct Content: Encodable {
        let message: String
        let type: String
        let param: String?
        let code: String

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(message, forKey: .message)
            try container.encode(type, forKey: .type)
            try container.encode(param, forKey: .param)
            try container.encode(code, forKey: .code)
        }

        private enum CodingKeys: String, CodingKey {
            case message, type, param, code
        }
    }
    let error: Content

    init(_ error: APIError) {
        let type =
            switch error.status.code {
            case 401: "authentication_error"
            case 400..<500: "invalid_request_error"
            default: "server_error"
            }
        self.error = Content(message: error.message, type: type, param: error.field, code: error.code)
    }

    static func text(_ error: APIError) -> String { (try? JSONAnswer.text(OpenAIError(error))) ?? "{}" }
}
