import ArgumentParser
import Foundation
import SDPipeline

/// Adapters that change a model's weights.
struct LoRAOptions: ParsableArguments {
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A LoRA (or LoCon, LoHa, LoKr, GLoRA, IA³, DoRA), with how much it counts, and how much for the text encoders; may be given several times. (default: 1, and the same)",
            valueName: "FILE.safetensors[:WEIGHT[:TEXT-WEIGHT]]"), transform: LoRAOptions.weighted)
    var lora: [WeightedFile] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "A folder of LoRAs that tags of the prompt name, such as <lora:name:0.8>; folders in it count too.",
            valueName: "DIR"),
        transform: OptionValues.path)
    var loraDir: String?

    /// A file, and how much it counts.
    struct WeightedFile: Equatable {
        let path: String
        let weight: Double
        let textWeight: Double
    }

    /// Numbers after colons are weights, where no file has all of the text as its name.
    static func weighted(_ text: String) throws -> WeightedFile {
        let whole = try OptionValues.path(text)
        if FileManager.default.fileExists(atPath: whole) { return WeightedFile(path: whole, weight: 1, textWeight: 1) }
        var pieces = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        // What follows the ending is meant as a weight, whatever it is.
        let ending = pieces.firstIndex { $0.lowercased().hasSuffix(".safetensors") }
        var weights: [Double] = []
        while pieces.count > 1, weights.count < 2, let last = pieces.last {
            guard let value = Double(last), value.isFinite, abs(value) <= 1e6 else {
                if let ending, ending < pieces.count - 1 {
                    throw OptionValues.Expectation(
                        description: "expected FILE.safetensors:WEIGHT with a number, found \"\(last)\".")
                }
                break
            }
            weights.insert(value, at: 0)
            pieces.removeLast()
        }
        let path = try OptionValues.path(pieces.joined(separator: ":"))
        guard !path.isEmpty else { throw OptionValues.Expectation(description: "expected FILE.safetensors.") }
        let weight = weights.first ?? 1
        return WeightedFile(path: path, weight: weight, textWeight: weights.dropFirst().first ?? weight)
    }

    func validate() throws {
        if let path = lora.map(\.path).firstDuplicate {
            throw ValidationError("--lora \(path) is given twice: once is enough.")
        }
    }

    /// The adapters of the options, and of the tags of prompts, which count nothing by themselves.
    func loras(prompts: [String]) throws -> [LoRA] {
        var result = try lora.map { try LoRA(contentsOf: URL(fileURLWithPath: $0.path)) }
        guard let loraDir else { return result }
        let folder = try LoRAFolder(URL(fileURLWithPath: loraDir))
        for prompt in prompts {
            for tag in try LoRATag.taken(from: prompt).tags where !result.contains(where: { $0.name == tag.name }) {
                result.append(try LoRA(contentsOf: folder.file(named: tag.name), name: tag.name, weight: 0))
            }
        }
        return result
    }

    /// How much the adapters of the options count.
    func fill(_ request: inout GenerationRequest) {
        request.loraWeights = lora.map {
            let name = URL(fileURLWithPath: $0.path).deletingPathExtension().lastPathComponent
            return AdapterWeight(name: name, weight: $0.weight, textWeight: $0.textWeight)
        }
    }

    /// Equal for options that load the same files.
    var key: [String] { lora.map(\.path) + ["\n", loraDir ?? ""] }
}
