import Foundation
import ONNXLoader

/// Everything that a picture was made with: enough to make it again.
///
/// Written by one encoder into PNG files (``pngText``) and, by programs, as JSON; `JSONDecoder` reads it back. Keys are in snake case.
public struct GenerationRecord: Sendable, Equatable, Codable {
    /// The key of the PNG text that holds this record as JSON.
    public static let pngKey = "sd-onnx"

    /// The program that made the picture.
    public var program = "sd-onnx"
    /// Its version, see ``ProgramVersion``.
    public var version = ProgramVersion.current
    /// The name of the model's folder.
    public var model: String
    /// See ``ModelHash``; nil where the files couldn't be read.
    public var modelHash: String?
    /// What the picture shows.
    public var prompt: String
    /// What it was kept away from; empty for nothing.
    public var negativePrompt: String
    /// Tokens of the prompt, start and end included, before it was cut.
    public var promptTokens: Int
    /// Tokens of the negative prompt, likewise.
    public var negativePromptTokens: Int
    /// Tokens that the text encoder takes.
    public var tokenLimit: Int
    /// Whether the prompt, or a negative prompt that has an effect, was cut to ``tokenLimit``.
    public var isPromptCut: Bool
    /// How the prompts were read, see ``PromptSyntax``; nil for literally, where that is what happens to them by itself.
    public var promptSyntax: String?
    /// See ``GenerationRequest/clipSkip``; nil for the model's own.
    public var clipSkip: Int?
    /// ControlNets, where there were some.
    public var controls: [Control]?
    /// See ``GenerationRequest/freeU``.
    public var freeU: FreeU?
    /// See ``GenerationRequest/stepCaching``.
    public var stepCaching: StepCaching?
    /// See ``GenerationRequest/guidanceInterval``.
    public var guidanceInterval: GuidanceInterval?
    /// Another prompt that was mixed in, see ``GenerationRequest/promptBlend``.
    public var promptBlend: PromptBlend?
    /// Words that were learned, where there were some.
    public var embeddings: [Embedding]?
    /// Adapters that counted, where there were some.
    public var loras: [Adapter]?
    /// Pixels in a row.
    public var width: Int
    /// Rows.
    public var height: Int
    /// Steps of the scheduler.
    public var steps: Int
    /// See ``GenerationRequest/guidanceScale``.
    public var guidanceScale: Double
    /// The seed of this picture's generator.
    public var seed: UInt64
    /// Which generator drew the noise; nil for ``NoiseSource/torch``.
    public var noiseSource: NoiseSource?
    /// See ``SeedVariation/seed``: that of this picture; nil for none.
    public var variationSeed: UInt64?
    /// See ``SeedVariation/strength``; nil for none.
    public var variationStrength: Double?
    /// Whether each picture of the batch has a generator of its own.
    public var batchSeeds: BatchSeeds
    /// Pictures that were made at once.
    public var batchCount: Int
    /// This picture's place among them, from 1 on.
    public var number: Int
    /// Whether the safety checker flagged the picture, so that it is black; nil where it wasn't asked.
    public var isFlagged: Bool?
    /// Of a picture on the way: after how many evaluations of the U-Net it was taken; nil for the result.
    public var evaluations: Int?
    /// A name by which the registry finds the scheduler with its variant, such as `dpm++2m karras`.
    public var scheduler: String
    /// The noise levels that ``scheduler`` stands for, where they are no setting (``NamedSchedule``).
    public var schedule: String?
    /// The class in diffusers.
    public var schedulerClass: String
    /// The settings that were stated over the model's, by diffusers' names.
    public var schedulerOverrides: [String: SchedulerValue]
    /// All settings of the scheduler, by diffusers' names.
    public var schedulerSettings: [String: SchedulerValue]
    /// A named schedule of noise levels (``NamedSchedule``); nil where none was asked for.
    public var sigmas: String?
    /// The noise levels that were asked for, in the place of `steps`.
    public var sigmaList: [Double]?
    /// The timesteps that were asked for, in the place of `steps`.
    public var timesteps: [Double]?
    /// ``SchedulerStepOptions/eta``; as those that follow, nil where it is the default.
    public var eta: Double?
    /// ``SchedulerStepOptions/churn``.
    public var churn: Double?
    /// ``SchedulerStepOptions/churnMinimumSigma``.
    public var churnMinimumSigma: Double?
    /// ``SchedulerStepOptions/churnMaximumSigma``.
    public var churnMaximumSigma: Double?
    /// ``SchedulerStepOptions/noiseScale``.
    public var noiseScale: Double?
    /// ``SchedulerStepOptions/useClippedModelOutput``.
    public var usesClippedModelOutput: Bool?
    /// The share of the steps that was taken; nil without a picture to start from.
    public var strength: Double?
    /// The picture to start from, where its file is known.
    public var initialImage: InputFiles.File?
    /// What became of the picture's proportions; nil where it was stretched, or there was none.
    public var resize: String?
    /// The mask of what was repainted, where its file is known.
    public var mask: InputFiles.File?
    /// Pixels by which the mask's edges were softened; as those that follow, nil where it is the default.
    public var maskBlur: Double?
    /// Whether what the mask leaves was repainted.
    public var invertsMask: Bool?
    /// What lay under the mask at first.
    public var maskContent: String?
    /// Pixels around the mask that were made at full size.
    public var onlyMasked: Int?
    /// Pixels that were painted around the picture: left, top, right, bottom.
    public var outpaint: [Int]?
    /// The noise to start from, where its file is known.
    public var initialLatents: InputFiles.File?
    /// The folder's name of another VAE than the model's own.
    public var vae: String?
    /// The SHA-256 of its graphs, see ``ModelHash``.
    public var vaeHash: String?
    /// Pixels along each side of the tiles that the VAE worked in; nil for none.
    public var vaeTile: Int?
    /// The folder's name of the refiner that took the last steps.
    public var refiner: String?
    /// Its SHA-256, see ``ModelHash``.
    public var refinerHash: String?
    /// See ``GenerationRequest/refinerStart``.
    public var refinerStart: Double?
    /// A second pass at a larger size, where there was one; ``width`` and ``height`` are those of the first.
    public var secondPass: SecondPass?
    /// See ``ConditionedSizes/original``; as those that follow, nil where it is the default.
    public var originalSize: PixelSize?
    /// See ``ConditionedSizes/crop``.
    public var crop: PixelPoint?
    /// See ``ConditionedSizes/target``.
    public var targetSize: PixelSize?
    /// See ``ConditionedSizes/aestheticScore``.
    public var aestheticScore: Double?
    /// See ``ConditionedSizes/negativeAestheticScore``.
    public var negativeAestheticScore: Double?
    /// Whether an empty negative prompt was asked for, which isn't the same as none for models of the SDXL family; nil for no.
    public var negativePromptIsEmptyText: Bool?
    /// Whose token ids prompts became, see ``TokenizerConvention``.
    public var tokenizer: String
    /// In which numbers products were computed, see `Precision` of GraphRuntime.
    public var precision: String
    /// In which numbers weights were kept, see `WeightFormat` of GraphRuntime; nil for those of the files.
    public var weights: String?
    /// Where numbers of half-precision models were rounded, see `HalfRounding` of GraphRuntime.
    public var halfRounding: String
    /// The threads that it ran on; as with those that follow, others may change the rounding of a colour by 1/255.
    public var threads: Int
    /// Whether memory was spared, see `SessionOptions` of GraphRuntime.
    public var savesMemory: Bool
    /// Whether graphs were optimised.
    public var optimizes: Bool
    /// The vector instructions of the kernels: `avx512`, `avx2` or `plain`.
    public var instructionSet: String

    /// A word that was learned.
    public struct Embedding: Sendable, Equatable, Codable {
        /// What stands for it in a prompt.
        public var name: String
        /// Where it comes from.
        public var file: InputFiles.File
    }

    /// An adapter, and how much it counted in all: by itself and by tags of the prompt.
    public struct Adapter: Sendable, Equatable, Codable {
        /// What tags call it.
        public var name: String
        /// Where it comes from.
        public var file: InputFiles.File
        /// See ``LoRA/shortHash``.
        public var shortHash: String
        /// For the U-Net.
        public var weight: Double
        /// For the text encoders.
        public var textWeight: Double

        private enum CodingKeys: String, CodingKey {
            case name, file, weight
            case shortHash = "short_hash"
            case textWeight = "text_weight"
        }
    }

    private enum CodingKeys: String, CodingKey {
        case embeddings, controls, loras
        case freeU = "freeu"
        case stepCaching = "cache"
        case guidanceInterval = "cfg_interval"
        case program, version, model, prompt, width, height, steps, seed, number, evaluations, scheduler, schedule, sigmas
        case timesteps, eta, strength, resize, mask, outpaint, vae, refiner, crop
        case tokenizer, precision, weights, threads
        case halfRounding = "half_rounding"
        case modelHash = "model_hash"
        case negativePrompt = "negative_prompt"
        case promptTokens = "prompt_tokens"
        case negativePromptTokens = "negative_prompt_tokens"
        case tokenLimit = "token_limit"
        case isPromptCut = "prompt_cut"
        case promptSyntax = "prompt_syntax"
        case clipSkip = "clip_skip"
        case promptBlend = "prompt_blend"
        case guidanceScale = "cfg_scale"
        case noiseSource = "rng"
        case variationSeed = "variation_seed"
        case variationStrength = "variation_strength"
        case batchSeeds = "batch_seeds"
        case batchCount = "batch_count"
        case schedulerClass = "scheduler_class"
        case schedulerOverrides = "scheduler_overrides"
        case schedulerSettings = "scheduler_settings"
        case sigmaList = "sigma_list"
        case churn = "s_churn"
        case churnMinimumSigma = "s_tmin"
        case churnMaximumSigma = "s_tmax"
        case noiseScale = "s_noise"
        case usesClippedModelOutput = "use_clipped_model_output"
        case initialImage = "init_image"
        case initialLatents = "init_latents"
        case maskBlur = "mask_blur"
        case invertsMask = "invert_mask"
        case maskContent = "mask_content"
        case onlyMasked = "only_masked"
        case vaeTile = "vae_tile"
        case vaeHash = "vae_hash"
        case refinerHash = "refiner_hash"
        case refinerStart = "refiner_start"
        case secondPass = "hires"
        case originalSize = "original_size"
        case targetSize = "target_size"
        case aestheticScore = "aesthetic_score"
        case negativeAestheticScore = "negative_aesthetic_score"
        case negativePromptIsEmptyText = "negative_prompt_empty"
        case isFlagged = "is_flagged"
        case savesMemory = "low_memory"
        case optimizes = "optimize"
        case instructionSet = "instruction_set"
    }
}

extension GenerationRecord {
    /// What is kept with a PNG: `parameters`, which programs of this field show, and this record as JSON.
    public var pngText: [PNGText] {
        get throws {
            // A zero, which no option can hold, would end a text of PNG.
            [
                PNGText(key: "parameters", text: parameters.replacing("\0", with: "")),
                PNGText(key: Self.pngKey, text: try json),
            ]
        }
    }

    /// Reads the record of a PNG file.
    ///
    /// - Parameter png: the file's content.
    /// - Returns: nil where it has none.
    /// - Throws: ``PipelineError`` where the text isn't JSON, `DecodingError` where it isn't a record.
    public init?(png: [UInt8]) throws {
        guard let text = (PNGText.entries(in: png) { $0 == Self.pngKey }).first?.text else { return nil }
        do { self = try JSONText.decode(Self.self, from: [UInt8](text.utf8)) } catch let error as JSONText.FormatError {
            throw PipelineError("The picture's record can't be read: \(error.reason).", kind: .malformedFile)
        }
    }

    /// Reads a record from its JSON.
    ///
    /// - Throws: ``PipelineError`` where the text isn't JSON, or not a record.
    public init(json text: String) throws(PipelineError) {
        let reason: String
        do {
            self = try JSONText.decode(Self.self, from: [UInt8](text.utf8))
            return
        } catch let error as JSONText.FormatError {
            reason = error.reason
        } catch DecodingError.keyNotFound(let key, _) {
            reason = "it has no \"\(key.stringValue)\""
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context)
        {
            reason = "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" has another value than a record's"
        } catch { reason = "it isn't a record" }
        throw PipelineError("The picture's record can't be read: \(reason).", kind: .malformedFile)
    }

    /// The record as JSON, by which it is written everywhere.
    ///
    /// - Throws: what `JSONEncoder` throws.
    public var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
