import Foundation
import ONNXLoader

/// What a PEFT adapter's configuration says of alpha: in the metadata of a file that diffusers wrote (`lora_adapter_metadata`), or in an
/// `adapter_config.json` beside the file.
struct AdapterConfiguration {
    private struct Settings: Decodable {
        var alpha: Double?
        var patterns = AlphaPatterns()
        var byRoot = false
        /// The patterns as a file of their own has them, without their order.
        private(set) var stated: [String: Double] = [:]

        private enum Key: String, CodingKey {
            case alpha
            case loraAlpha = "lora_alpha"
            case alphaPattern = "alpha_pattern"
            case byRoot = "use_rslora"
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Key.self)
            alpha = try? values.decode(Double.self, forKey: .loraAlpha)
            if alpha == nil { alpha = try? values.decode(Double.self, forKey: .alpha) }
            stated = (try? values.decode([String: Double].self, forKey: .alphaPattern)) ?? [:]
            byRoot = (try? values.decode(Bool.self, forKey: .byRoot)) ?? false
        }

        init(alpha: Double?, byRoot: Bool) { (self.alpha, self.byRoot) = (alpha, byRoot) }
    }

    /// By the part's folder; "" for all.
    private var settings: [String: Settings] = [:]

    /// - Parameter url: of the adapter's file.
    init(_ metadata: [String: String], beside url: URL) {
        if let text = metadata["lora_adapter_metadata"],
            let all = try? JSONText.decode([String: Flat].self, from: Array(text.utf8))
        {
            for part in AdapterKey.Part.allCases {
                func value(_ key: String) -> Flat? { all["\(part.rawValue).\(key)"] }
                guard case .number(let alpha)? = value("lora_alpha") else { continue }
                var patterns: [String: Double] = [:]
                if case .numbers(let numbers)? = value("alpha_pattern") { patterns = numbers }
                var byRoot = false
                if case .flag(true)? = value("use_rslora") { byRoot = true }
                var found = Settings(alpha: alpha, byRoot: byRoot)
                let keys = JSONText.keys(ofObjectAt: ["\(part.rawValue).alpha_pattern"], in: Array(text.utf8))
                found.patterns = AlphaPatterns(patterns, order: keys)
                settings[part.rawValue] = found
            }
        }
        let file = url.deletingLastPathComponent().appendingPathComponent("adapter_config.json")
        if url.lastPathComponent == "adapter_model.safetensors", let bytes = try? BoundedFile.read(file, limit: 1 << 22),
            var found = try? JSONText.decode(Settings.self, from: bytes)
        {
            found.patterns = AlphaPatterns(found.stated, order: JSONText.keys(ofObjectAt: ["alpha_pattern"], in: bytes))
            settings[""] = found
        }
    }

    /// The alpha of a module, and whether it is divided by the rank's root; nil where nothing is said.
    ///
    /// - Throws: ``SafetensorsFile/FormatError`` where a pattern that it depends on can't be read, `CancellationError` where the task is
    ///   cancelled.
    func alpha(of module: String, part: AdapterKey.Part) throws -> (alpha: Double, byRoot: Bool)? {
        guard let found = settings[part.rawValue] ?? settings[""] else { return nil }
        return (try found.patterns.alpha(of: module) ?? found.alpha).flatMap { $0.isFinite ? ($0, found.byRoot) : nil }
    }

    private enum Flat: Decodable {
        case number(Double)
        case flag(Bool)
        case numbers([String: Double])
        case other

        init(from decoder: any Decoder) throws {
            if let numbers = try? [String: Double](from: decoder) {
                self = .numbers(numbers)
            } else if let value = try? decoder.singleValueContainer() {
                if let flag = try? value.decode(Bool.self) {
                    self = .flag(flag)
                } else {
                    self = (try? value.decode(Double.self)).map(Self.number) ?? .other
                }
            } else {
                self = .other
            }
        }
    }
}
