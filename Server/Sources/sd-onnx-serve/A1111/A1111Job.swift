import Foundation
import SDPipeline

extension A1111Request {
    private static let fieldNames = FieldNames(
        batch: "batch_size", strength: "denoising_strength", hires: "hr_scale", hiresSteps: "hr_second_pass_steps",
        hiresScheduler: "hr_sampler_name", hiresPrompt: "hr_prompt")

    /// As sampler and schedule are named.
    private var sampler: String {
        samplerName.flatMap { $0.isEmpty ? nil : $0 } ?? (samplerIndex.isEmpty ? "Euler" : samplerIndex)
    }

    /// The sampler and the schedule as a scheduler's name.
    var schedulerName: String {
        get throws { try A1111Sampler.scheduler(sampler, schedule: scheduler) }
    }

    /// - Throws: ``APIError`` with the field that is wrong.
    func job(_ services: Services, options: A1111Options.Values) throws -> JobRequest {
        let options = try overrides.fields.map { try A1111Options.read($0, over: options) } ?? options
        let model = try overrides.model.map { try A1111Options.model($0, services) } ?? services.models.chosen
        var request = GenerationRequest(
            prompt: prompt, negativePrompt: negativePrompt, width: width, height: height, steps: steps, guidanceScale: cfgScale,
            seed: seed >= 0 ? UInt64(seed) : UInt64(UInt32.random(in: .min ... .max)), batchCount: batchSize,
            scheduler: try schedulerName)
        request.promptSyntax = .a1111
        if subseedStrength > 0 {
            let other = subseed >= 0 ? UInt64(subseed) : UInt64(UInt32.random(in: .min ... .max))
            request.variation = SeedVariation(seed: other, strength: subseedStrength)
        }
        request.stepOptions = try stepOptions(request.scheduler ?? "")
        let clipSkip = overrides.clipSkip ?? services.models.clipSkip
        request.clipSkip = clipSkip == 1 ? nil : clipSkip
        if options.unguidedShare > 0 { request.guidanceInterval = GuidanceInterval(start: options.unguidedShare, end: 1) }
        if options.showsPreviews { request.livePreview = LivePreview(interval: options.previewInterval, method: .linear) }
        try readPictures(into: &request, services.pictures)
        request.controls = controls
        request.secondPass = try hires?.pass(
            strength: denoisingStrength ?? 0.75, sampler: sampler, schedule: scheduler, services)
        var job = try JobRequest(
            model: model, request: request, rounds: nIter, fields: Self.fieldNames, services, api: "a1111")
        job.encoding = PictureEncoding(format: options.format, quality: options.jpegQuality)
        job.alias = forceTaskId
        return job
    }

    /// Those that the scheduler takes: clients send all of them with every sampler.
    private func stepOptions(_ scheduler: String) throws -> SchedulerStepOptions {
        var options = SchedulerStepOptions()
        let known = (try? SchedulerRegistry.standard.find(scheduler).descriptor.stepOptions) ?? []
        if known.contains("eta") { options.eta = eta }
        if known.contains("s_churn") { options.churn = sChurn ?? 0 }
        if known.contains("s_tmin") { options.churnMinimumSigma = sTmin ?? 0 }
        // As there, 0 stands for no bound.
        if known.contains("s_tmax"), let sTmax, sTmax > 0 { options.churnMaximumSigma = sTmax }
        if known.contains("s_noise") { options.noiseScale = sNoise ?? 1 }
        return options
    }

    private func readPictures(into request: inout GenerationRequest, _ reader: PictureReader) throws {
        guard let text = initImages?.first else { return }
        let source = try reader.source(base64: text, field: "init_images.0")
        request.initialImage = try reader.image(source, field: "init_images.0")
        request.inputFiles.initialImage = InputFiles.File(path: "init_images.0", bytes: source.bytes)
        request.strength = denoisingStrength
        request.resizeMode = [.stretch, .fill, .fit, .latent][min(resizeMode ?? 0, 3)]
        guard let mask else { return }
        let maskSource = try reader.source(base64: mask, field: "mask")
        var picture = try reader.mask(maskSource, field: "mask")
        if (picture.width, picture.height) != (source.width, source.height) {
            picture = try picture.resized(width: source.width, height: source.height)
        }
        var inpainting = Inpainting(mask: picture, invertsMask: inpaintingMaskInvert == 1, blur: Double(maskBlur ?? 0))
        inpainting.content = [.fill, .original, .noise, .nothing][min(inpaintingFill ?? 0, 3)]
        if inpaintFullRes == true {
            inpainting.padding = inpaintFullResPadding ?? 0
            request.resizeMode = .stretch
        }
        request.inpainting = inpainting
        request.inputFiles.mask = InputFiles.File(path: "mask", bytes: maskSource.bytes)
    }
}
