/// What an adapter holds for one module: the tensors of one of the forms.
struct AdapterModule: Sendable {
    /// How the difference of a weight is written down.
    enum Form: Sendable, Equatable {
        /// Two factors (Hu et al. 2021, LoRA); for a convolution of more than one pixel LoCon.
        case lora
        /// Two factors around a core (LoCon in Tucker form).
        case tuckerLoRA
        /// Two such products, element by element (Hyeon-Woo et al. 2021, FedPara): LoHa.
        case loha
        /// A Kronecker product (LoKr).
        case lokr
        /// What W + s·(W·A₁·A₂ + B₁·B₂) adds (Chavan et al. 2023, GLoRA).
        case glora
        /// A factor for each output or input (Liu et al. 2022, IA³).
        case ia3
        /// The difference itself.
        case full
    }

    let part: AdapterKey.Part
    /// See ``AdapterKey/module``.
    let module: String
    /// Names in the file.
    let keys: [AdapterKey.Field: String]
    let form: Form
    /// Columns of the first factor; nil where there is none.
    let rank: Int?
    /// What the difference is multiplied by, before the adapter's weight.
    let scale: Float
    /// The alpha that is stated; nil for none.
    let alpha: Double?
    /// Whether factors of IA³ are for inputs.
    let scalesInputs: Bool

    /// See ``AdapterKey/name``.
    var name: String { AdapterKey.plain(module) }

    /// Whether directions and lengths of the weight's rows are apart (Liu et al. 2024, DoRA).
    var isDoRA: Bool { keys[.doraScale] != nil || keys[.magnitude] != nil }

    /// - Parameters:
    ///   - stated: alpha and whether it is divided by the rank's root, where the adapter's configuration says so.
    /// - Throws: ``SafetensorsFile/FormatError`` where tensors are missing or don't multiply.
    init(
        part: AdapterKey.Part, module: String, keys: [AdapterKey.Field: String], file: SafetensorsFile,
        stated: (alpha: Double, byRoot: Bool)?
    ) throws {
        func shape(_ field: AdapterKey.Field) -> [Int]? { keys[field].flatMap { file.entries[$0]?.shape } }
        func require(_ fields: AdapterKey.Field...) throws {
            guard let missing = fields.first(where: { keys[$0] == nil }) else { return }
            let found = keys.keys.map(\.rawValue).sorted().joined(separator: ", ")
            throw SafetensorsFile.FormatError(
                reason: "its module \"\(module.shortened(to: 120))\" has \(found) and no \(missing.rawValue)")
        }
        let rank: Int?
        if keys[.down] != nil || keys[.up] != nil || keys[.mid] != nil {
            try require(.down, .up)
            form = keys[.mid] == nil ? .lora : .tuckerLoRA
            rank = shape(.down)?.first
        } else if keys.keys.contains(where: { $0.rawValue.hasPrefix("hada_") }) {
            try require(.hadaW1A, .hadaW1B, .hadaW2A, .hadaW2B)
            if keys[.hadaT1] != nil || keys[.hadaT2] != nil { try require(.hadaT1, .hadaT2) }
            form = .loha
            rank = shape(.hadaW1B)?.first
        } else if keys.keys.contains(where: { $0.rawValue.hasPrefix("lokr_") }) {
            if keys[.lokrW1] == nil { try require(.lokrW1A, .lokrW1B) }
            if keys[.lokrW2] == nil { try require(.lokrW2A, .lokrW2B) }
            form = .lokr
            // Where both are whole nothing is divided by a rank.
            rank = keys[.lokrW2] == nil ? shape(.lokrW2B)?.first : keys[.lokrW1] == nil ? shape(.lokrW1B)?.first : nil
        } else if keys[.gloraA1] != nil || keys[.gloraA2] != nil || keys[.gloraB1] != nil || keys[.gloraB2] != nil {
            try require(.gloraA1, .gloraA2, .gloraB1, .gloraB2)
            form = .glora
            rank = shape(.gloraA2)?.first
        } else if keys[.factors] != nil {
            form = .ia3
            rank = nil
        } else {
            guard keys[.diff] != nil || keys[.diffBias] != nil else {
                try require(.down, .up)
                throw SafetensorsFile.FormatError(reason: "its module \"\(module.shortened(to: 120))\" has no difference")
            }
            form = .full
            rank = nil
        }
        if let rank, rank == 0 {
            throw SafetensorsFile.FormatError(
                reason: "its module \"\(module.shortened(to: 120))\" has the rank 0, expected 1 or more")
        }
        (self.part, self.module, self.keys, self.rank) = (part, module, keys, rank)
        if let key = keys[.alpha] {
            alpha = try Self.number(key, file)
        } else {
            alpha = stated?.alpha
        }
        scalesInputs = try keys[.onInput].map { try Self.number($0, file) != 0 } ?? false
        var scale: Double = 1
        if let rank, let alpha, alpha != 0 {
            let byRoot = keys[.alpha] == nil && stated?.byRoot == true
            scale = alpha / (byRoot ? Double(rank).squareRoot() : Double(rank))
        }
        if let key = keys[.scalar] { scale *= try Self.number(key, file) }
        self.scale = Float(scale)
    }

    /// A tensor of one number, of any type.
    private static func number(_ key: String, _ file: SafetensorsFile) throws -> Double {
        guard let entry = file.entries[key] else { return 0 }
        guard entry.shape.reduce(1, *) == 1 else {
            throw SafetensorsFile.FormatError(
                reason:
                    "its tensor \"\(key.shortened(to: String.longestName))\" has the shape \(entry.shape.prefix(8)), expected one number"
            )
        }
        if let integer = file.integer(key) { return Double(integer) }
        return Double(try file.floats(key)[0])
    }
}
