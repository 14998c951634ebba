import SDPipeline

/// The LoRAs that a request names, and how much they count.
enum AdapterFields {
    /// More at once are a mistake.
    static let most = 16
    private static let weights = -100.0...100.0

    /// The field `lora`: a text such as `night:0.8`, several with commas between them, with a second number for the text encoders; or a
    /// list of objects with `name`, `weight` and `text_weight`.
    ///
    /// - Throws: ``APIError`` with the field that is wrong.
    static func read(_ fields: RequestFields, _ name: String, _ store: AdapterStore) throws -> [AdapterWeight] {
        if fields.isText(name) { return try read(try fields.text(name, atMost: 4000) ?? "", field: name, store) }
        let list = try fields.objects(name, atMost: most) ?? []
        return try unique(
            list.enumerated().map { index, object in
                let field = "\(name).\(index).name"
                guard let adapter = try object.text("name"), !adapter.isEmpty else {
                    throw APIError.invalid(field, "\(field) is missing, expected the name of a LoRA.")
                }
                try store.check(adapter, field: field)
                let weight = try object.number("weight", in: weights) ?? 1
                return AdapterWeight(name: adapter, weight: weight, textWeight: try object.number("text_weight", in: weights))
            }, field: name)
    }

    /// - Throws: ``APIError`` with the field that is wrong.
    static func read(_ text: String, field: String, _ store: AdapterStore) throws -> [AdapterWeight] {
        guard !text.allSatisfy(\.isWhitespace) else { return [] }
        let items = text.split(separator: ",", omittingEmptySubsequences: false)
        guard items.count <= most else {
            throw APIError.invalid(field, "\(field) names \(items.count) LoRAs, at most \(most) are accepted.")
        }
        return try unique(
            items.map { item in
                var parts = item.split(separator: ":", omittingEmptySubsequences: false).map {
                    String($0.drop(while: \.isWhitespace))
                }
                var numbers: [Double] = []
                while parts.count > 1, numbers.count < 2, let last = parts.last,
                    let number = Double(last.filter { !$0.isWhitespace })
                {
                    guard weights.contains(number) else {
                        throw APIError.invalid(
                            field, "\(field) has the weight \(last.prefix(40)), expected a number from -100 to 100.")
                    }
                    numbers.insert(number, at: 0)
                    parts.removeLast()
                }
                let name = parts.joined(separator: ":")
                try store.check(name, field: field)
                return AdapterWeight(name: name, weight: numbers.first ?? 1, textWeight: numbers.dropFirst().first)
            }, field: field)
    }

    private static func unique(_ list: [AdapterWeight], field: String) throws -> [AdapterWeight] {
        var names: Set<String> = []
        if let twice = list.first(where: { !names.insert($0.name).inserted }) {
            throw APIError.invalid(field, "\(field) names the LoRA \"\(twice.name.prefix(80))\" twice: once is enough.")
        }
        return list
    }

    /// The names of all LoRAs of a request, those of its prompts' tags among them.
    ///
    /// - Throws: ``APIError`` for one that there isn't, or a tag whose weight is no number.
    static func names(in request: GenerationRequest, fields: FieldNames, _ store: AdapterStore) throws -> [String] {
        var names = Set(request.loraWeights.map(\.name))
        for (prompt, field) in [(request.prompt, fields.prompt), (request.secondPass?.prompt ?? "", fields.hiresPrompt)] {
            names.formUnion(try tags(of: prompt, field: field, store).map(\.name))
        }
        guard names.count <= most else {
            throw APIError.invalid(fields.prompt, "\(names.count) LoRAs are named, at most \(most) are accepted.")
        }
        return names.sorted()
    }

    private static func tags(of prompt: String, field: String, _ store: AdapterStore) throws -> [LoRATag] {
        let tags: [LoRATag]
        do { tags = try LoRATag.taken(from: prompt).tags } catch let error as PipelineError {
            throw APIError.invalid(field, error.message)
        }
        for tag in tags {
            try store.check(tag.name, field: field)
            guard weights.contains(tag.weight), weights.contains(tag.textWeight) else {
                throw APIError.invalid(
                    field, "\(field) gives the LoRA \"\(tag.name.prefix(80))\" a weight beyond -100 to 100.")
            }
        }
        return tags
    }
}
