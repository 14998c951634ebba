import SDPipeline

extension Infotext {
    /// The settings by their names, with `Prompt` and `Negative prompt`.
    var parameters: [String: String] {
        var result = Dictionary(pairs.map { ($0.key, $0.value) }) { _, last in last }
        (result["Prompt"], result["Negative prompt"]) = (prompt, negativePrompt)
        return result
    }
}

extension PictureSettings {
    /// The fields of a request that the settings stand for, those that aren't known left out.
    ///
    /// - Parameter infotext: where they are from; samplers and schedules have the names there that requests have.
    func requestFields(_ infotext: Infotext) -> [String: String] {
        var fields = ["prompt": prompt ?? "", "negative_prompt": negativePrompt ?? ""]
        func add(_ name: String, _ value: (some CustomStringConvertible)?) { fields[name] = value?.description }
        add("steps", steps)
        add("cfg_scale", guidanceScale)
        add("seed", seed)
        add("subseed", variationSeed)
        add("subseed_strength", variationStrength)
        add("width", width)
        add("height", height)
        add("denoising_strength", strength ?? hiresStrength)
        if hasSecondPass {
            fields["enable_hr"] = "true"
            add("hr_scale", hiresScale)
            add("hr_resize_x", hiresWidth)
            add("hr_resize_y", hiresHeight)
            add("hr_second_pass_steps", hiresSteps)
            add("hr_upscaler", hiresUpscaler)
            add("hr_prompt", hiresPrompt)
            add("hr_negative_prompt", hiresNegativePrompt)
            add("hr_cfg", hiresGuidanceScale)
            add("hr_sampler_name", infotext["Hires sampler"])
            add(
                "hr_scheduler",
                Self.schedule(infotext["Hires schedule type"], sampler: infotext["Hires sampler"], hiresScheduler))
        }
        add("eta", eta)
        add("s_churn", churn)
        add("s_tmin", churnMinimumSigma)
        add("s_tmax", churnMaximumSigma)
        add("s_noise", noiseScale)
        add("sampler_name", infotext["Sampler"])
        add(
            "scheduler",
            Self.schedule(infotext["Schedule type"] ?? infotext["Scheduler"], sampler: infotext["Sampler"], scheduler))
        return fields
    }

    /// A schedule's name: of "Automatic", what it stands for in an infotext, which isn't what it does in a request.
    private static func schedule(_ type: String?, sampler: String?, _ scheduler: String?) -> String? {
        guard let type, type.lowercased() == "automatic", let sampler, let scheduler, scheduler.hasPrefix(sampler + " ") else {
            return type
        }
        return String(scheduler.dropFirst(sampler.count + 1))
    }
}
