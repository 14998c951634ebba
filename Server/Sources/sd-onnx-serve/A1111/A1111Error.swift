import Foundation

/// The form that errors of AUTOMATIC1111's API have: its own for all, and FastAPI's list for fields.
struct A1111Error: Encodable {
    private let error: APIError

    init(_ error: APIError) { self.error = error }

    static func text(_ error: APIError) -> String { (try? JSONAnswer.text(A1111Error(error))) ?? "{}" }

    private struct FieldProblem: Encodable {
        let loc: [String]
        let msg: String
        let type: String
    }

    private enum CodingKeys: String, CodingKey {
        case error, detail, body, errors
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if error.status == .unprocessableContent, let field = error.field {
            let problem = FieldProblem(
                loc: ["body"] + field.split(separator: ".").map(String.init), msg: error.message, type: "value_error")
            try container.encode([problem], forKey: .detail)
            try container.encode("RequestValidationError", forKey: .error)
        } else {
            try container.encode(error.message, forKey: .detail)
            try container.encode("HTTPException", forKey: .error)
        }
        try container.encode("", forKey: .body)
        try container.encode(error.message, forKey: .errors)
    }
}
