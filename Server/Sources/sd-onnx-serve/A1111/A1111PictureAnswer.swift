import Foundation
import SDPipeline

/// The answer of `txt2img` and `img2img`.
struct A1111PictureAnswer: Encodable {
    /// What was asked for, with the second pass's fields beside the others.
    struct Parameters: Encodable {
        let request: A1111Request

        func encode(to encoder: any Encoder) throws {
            try request.encode(to: encoder)
            try request.hires?.encode(to: encoder)
        }
    }

    let images: [String]
    let parameters: Parameters
    /// JSON, as a text.
    let info: String

    init(_ job: Job, request: A1111Request) throws {
        let status = job.status
        images = request.sendImages ? status.pictures.map { Data($0.bytes).base64EncodedString() } : []
        var echo = request
        if request.includeInitImages != true { (echo.initImages, echo.mask) = (nil, nil) }
        parameters = Parameters(request: echo)
        info = try JSONAnswer.text(A1111Info(job, request: request))
    }
}

/// What `info` says.
struct A1111Info: Encodable {
    let prompt: String
    let allPrompts: [String]
    let negativePrompt: String
    let allNegativePrompts: [String]
    let seed: UInt64
    let allSeeds: [UInt64]
    let subseed: UInt64
    let allSubseeds: [UInt64]
    let subseedStrength: Double
    let width: Int
    let height: Int
    let samplerName: String
    let cfgScale: Double
    let steps: Int
    let batchSize: Int
    let restoreFaces = false
    let sdModelName: String
    let sdModelHash: String?
    let denoisingStrength: Double?
    let extraGenerationParams: [String: String]
    let indexOfFirstImage = 0
    let infotexts: [String]
    let styles: [String]
    let jobTimestamp: String
    let clipSkip: Int
    let version = ProgramVersion.current

    init(_ job: Job, request: A1111Request) throws {
        let (pictures, first) = (job.status.pictures, job.request.firstRequest)
        let count = max(pictures.count, 1)
        prompt = request.prompt
        allPrompts = Array(repeating: request.prompt, count: count)
        negativePrompt = request.negativePrompt
        allNegativePrompts = Array(repeating: request.negativePrompt, count: count)
        let seeds = pictures.map(\.record.seed)
        seed = seeds.first ?? first?.seed ?? 0
        allSeeds = seeds.isEmpty ? [seed] : seeds
        let subseeds = pictures.compactMap(\.record.variationSeed)
        allSubseeds = subseeds.isEmpty ? Array(repeating: 0, count: count) : subseeds
        subseed = allSubseeds.first ?? 0
        subseedStrength = request.subseedStrength
        (width, height) = (request.width, request.height)
        samplerName = request.samplerName.flatMap { $0.isEmpty ? nil : $0 } ?? request.samplerIndex
        (cfgScale, steps, batchSize) = (request.cfgScale, request.steps, request.batchSize)
        (sdModelName, sdModelHash) = (job.request.model.name, job.request.model.shortHash)
        denoisingStrength = request.denoisingStrength
        var extra = request.scheduler.map { ["Schedule type": $0] } ?? [:]
        for pair in pictures.first?.record.infotext.pairs ?? [] where pair.key.hasPrefix("Hires ") {
            extra[pair.key] = pair.value
        }
        extraGenerationParams = extra
        infotexts = pictures.map(\.parameters)
        styles = request.styles
        jobTimestamp = A1111Time.stamp(job.created)
        clipSkip = first?.clipSkip ?? 1
    }

    private enum CodingKeys: String, CodingKey {
        case prompt, seed, subseed, width, height, steps, infotexts, styles, version
        case allPrompts = "all_prompts"
        case negativePrompt = "negative_prompt"
        case allNegativePrompts = "all_negative_prompts"
        case allSeeds = "all_seeds"
        case allSubseeds = "all_subseeds"
        case subseedStrength = "subseed_strength"
        case samplerName = "sampler_name"
        case cfgScale = "cfg_scale"
        case batchSize = "batch_size"
        case restoreFaces = "restore_faces"
        case faceRestorationModel = "face_restoration_model"
        case sdModelName = "sd_model_name"
        case sdModelHash = "sd_model_hash"
        case sdVAEName = "sd_vae_name"
        case sdVAEHash = "sd_vae_hash"
        case seedResizeFromWidth = "seed_resize_from_w"
        case seedResizeFromHeight = "seed_resize_from_h"
        case denoisingStrength = "denoising_strength"
        case extraGenerationParams = "extra_generation_params"
        case indexOfFirstImage = "index_of_first_image"
        case jobTimestamp = "job_timestamp"
        case clipSkip = "clip_skip"
        case isUsingInpaintingConditioning = "is_using_inpainting_conditioning"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(prompt, forKey: .prompt)
        try container.encode(allPrompts, forKey: .allPrompts)
        try container.encode(negativePrompt, forKey: .negativePrompt)
        try container.encode(allNegativePrompts, forKey: .allNegativePrompts)
        try container.encode(seed, forKey: .seed)
        try container.encode(allSeeds, forKey: .allSeeds)
        try container.encode(subseed, forKey: .subseed)
        try container.encode(allSubseeds, forKey: .allSubseeds)
        try container.encode(subseedStrength, forKey: .subseedStrength)
        try container.encode(width, forKey: .width)
        try container.encode(height, forKey: .height)
        try container.encode(samplerName, forKey: .samplerName)
        try container.encode(cfgScale, forKey: .cfgScale)
        try container.encode(steps, forKey: .steps)
        try container.encode(batchSize, forKey: .batchSize)
        try container.encode(restoreFaces, forKey: .restoreFaces)
        try container.encodeNil(forKey: .faceRestorationModel)
        try container.encode(sdModelName, forKey: .sdModelName)
        try container.encode(sdModelHash, forKey: .sdModelHash)
        try container.encodeNil(forKey: .sdVAEName)
        try container.encodeNil(forKey: .sdVAEHash)
        try container.encode(-1, forKey: .seedResizeFromWidth)
        try container.encode(-1, forKey: .seedResizeFromHeight)
        try container.encode(denoisingStrength, forKey: .denoisingStrength)
        try container.encode(extraGenerationParams, forKey: .extraGenerationParams)
        try container.encode(indexOfFirstImage, forKey: .indexOfFirstImage)
        try container.encode(infotexts, forKey: .infotexts)
        try container.encode(styles, forKey: .styles)
        try container.encode(jobTimestamp, forKey: .jobTimestamp)
        try container.encode(clipSkip, forKey: .clipSkip)
        try container.encode(false, forKey: .isUsingInpaintingConditioning)
        try container.encode(version, forKey: .version)
    }
}
