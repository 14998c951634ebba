import Foundation

extension GenerationRecord {
    /// A second pass at a larger size, see ``SDPipeline/SecondPass``.
    public struct SecondPass: Sendable, Equatable, Codable {
        /// See ``SDPipeline/SecondPass/scale``.
        public var scale: Double
        /// See ``SDPipeline/SecondPass/strength``.
        public var strength: Double
        /// Steps that were stated; nil for those of the first pass.
        public var steps: Int?
        /// A ``LatentUpscaling``, `lanczos`, `nearest`, or the name of the network's file or folder.
        public var upscaler: String
        /// The network's file; nil for none, and where it can't be read.
        public var network: InputFiles.File?
        /// Of the picture, in pixels.
        public var width: Int
        /// Of the picture, in pixels.
        public var height: Int
        /// The width that was asked for in the place of ``scale``; nil for none.
        public var statedWidth: Int?
        /// The height that was asked for in the place of ``scale``; nil for none.
        public var statedHeight: Int?
        /// See ``SDPipeline/SecondPass/scheduler``; nil for that of the first pass, as for those that follow.
        public var scheduler: String?
        /// What AUTOMATIC1111's web interface calls the scheduler.
        public var sampler: String?
        /// What it calls the scheduler's noise levels.
        public var scheduleType: String?
        /// See ``SDPipeline/SecondPass/prompt``, as are those that follow.
        public var prompt: String?
        /// Nil for that of the first pass.
        public var negativePrompt: String?
        /// Nil for that of the first pass.
        public var guidanceScale: Double?

        private enum CodingKeys: String, CodingKey {
            case scale, strength, steps, upscaler, network, width, height, scheduler, sampler, prompt
            case scheduleType = "schedule_type"
            case statedWidth = "stated_width"
            case statedHeight = "stated_height"
            case negativePrompt = "negative_prompt"
            case guidanceScale = "cfg_scale"
        }

        /// What AUTOMATIC1111's web interface calls the upscaler.
        var webUIUpscaler: String {
            if network != nil { return (upscaler as NSString).deletingPathExtension }
            return LatentUpscaling(rawValue: upscaler)?.webUIName ?? ["lanczos": "Lanczos", "nearest": "Nearest"][upscaler]
                ?? upscaler
        }

        /// The settings as that program writes them.
        var pairs: [Infotext.Pair] {
            var result: [Infotext.Pair] = []
            func add(_ key: String, _ value: String?) { if let value { result.append(.init(key, value)) } }
            add("Hires sampler", sampler)
            add("Hires schedule type", scheduleType)
            add("Hires prompt", prompt)
            add("Hires negative prompt", negativePrompt)
            if statedWidth == nil, statedHeight == nil {
                add("Hires upscale", GenerationRecord.text(scale))
            } else {
                add("Hires resize", "\(statedWidth ?? 0)x\(statedHeight ?? 0)")
            }
            add("Hires steps", steps.map { "\($0)" })
            add("Hires upscaler", webUIUpscaler)
            // A key of that program's descendants.
            add("Hires CFG Scale", guidanceScale.map(GenerationRecord.text))
            return result
        }
    }
}

extension StableDiffusionPipeline {
    /// What is recorded of a plan's second pass; nil for none.
    func secondPassRecord(_ plan: GenerationPlan) -> GenerationRecord.SecondPass? {
        guard let pass = plan.request.secondPass, let second = plan.follower else { return nil }
        var (name, file): (String, InputFiles.File?)
        switch pass.upscaler {
        case .latent(let upscaling): (name, file) = (upscaling.rawValue, nil)
        case .lanczos: (name, file) = ("lanczos", nil)
        case .nearest: (name, file) = ("nearest", nil)
        case .network(let url):
            file = (try? superResolutionNetwork(url))?.file
            // Of a folder its own name, which says more than that of the graph in it.
            name = url.lastPathComponent
        }
        let sampler = pass.scheduler.map { name in
            WebUISampler(
                scheduler: name, className: second.scheduler.name, settings: second.scheduler.settings.values,
                schedule: (try? SchedulerRegistry.standard.find(name).schedule)?.rawValue, hasList: false)
        }
        return GenerationRecord.SecondPass(
            scale: pass.width ?? pass.height == nil ? pass.scale : Double(second.width) / Double(plan.width),
            strength: pass.strength, steps: pass.steps, upscaler: name, network: file, width: second.width,
            height: second.height, statedWidth: pass.width, statedHeight: pass.height, scheduler: pass.scheduler,
            sampler: sampler?.name, scheduleType: sampler?.scheduleType, prompt: pass.prompt,
            negativePrompt: pass.negativePrompt, guidanceScale: pass.guidanceScale)
    }
}
