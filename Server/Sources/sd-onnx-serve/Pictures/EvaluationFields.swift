import SDPipeline

/// Which evaluations of the U-Net a request of the own API, or of OpenAI's, has computed, by the names of `sd-onnx generate`'s options.
enum EvaluationFields {
    /// - Throws: ``APIError`` with the field that is wrong.
    static func read(_ fields: some FieldReader, into request: inout GenerationRequest) throws {
        if let text = try fields.text("cache", atMost: 100), !text.isEmpty {
            guard let caching = StepCaching(text) else {
                throw APIError.invalid(
                    "cache",
                    "cache is \"\(text.prefix(40))\", expected deep:INTERVAL[:BRANCH[:START]], forecast[:THRESHOLD], or both with a plus sign between them."
                )
            }
            request.stepCaching = caching
        }
        if let text = try fields.text("cfg_interval", atMost: 100), !text.isEmpty {
            guard let interval = GuidanceInterval(text) else {
                throw APIError.invalid(
                    "cfg_interval",
                    "cfg_interval is \"\(text.prefix(40))\", expected two shares of the run from 0 to 1, the first below the second, such as 0.1,0.8."
                )
            }
            request.guidanceInterval = interval
        }
        request.isFast = try fields.flag("fast") ?? false
    }
}
