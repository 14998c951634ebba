import SDPipeline
import TestSupport
import Testing

@Suite struct SchedulerUseTests {
    private let plain = SchedulerConfiguration(className: nil)
    private let registry = SchedulerRegistry.standard

    @Test(arguments: [
        ("ddim", "DDIMScheduler"), ("DDIMScheduler", "DDIMScheduler"), ("ddpm", "DDPMScheduler"), ("PNDM", "PNDMScheduler"),
        ("plms", "PNDMScheduler"), ("euler", "EulerDiscreteScheduler"), ("Euler Karras", "EulerDiscreteScheduler"),
        ("euler_discrete", "EulerDiscreteScheduler"), ("euler-beta", "EulerDiscreteScheduler"),
        // AUTOMATIC1111
        ("Euler a", "EulerAncestralDiscreteScheduler"), ("LMS Karras", "LMSDiscreteScheduler"),
        ("Heun", "HeunDiscreteScheduler"),
        ("DPM2", "KDPM2DiscreteScheduler"), ("DPM2 a Karras", "KDPM2AncestralDiscreteScheduler"),
        ("DPM++ 2M", "DPMSolverMultistepScheduler"), ("DPM++ 2M Karras", "DPMSolverMultistepScheduler"),
        ("DPM++ 2M SDE Exponential", "DPMSolverMultistepScheduler"),
        ("DPM++ 2M SDE Heun Karras", "DPMSolverMultistepScheduler"),
        ("DPM++ 3M SDE Karras", "DPMSolver3MSDEScheduler"), ("DPM++ 2S a", "DPMSolver2SAncestralScheduler"),
        ("DPM++ 2S a Karras", "DPMSolver2SAncestralScheduler"), ("DPM fast", "DPMSolverFastScheduler"),
        ("Restart", "RestartScheduler"), ("PLMS", "PNDMScheduler"), ("DDIM", "DDIMScheduler"), ("LMS", "LMSDiscreteScheduler"),
        ("DPM++ 2M Align Your Steps", "DPMSolverMultistepScheduler"), ("Euler a KL Optimal", "EulerAncestralDiscreteScheduler"),
        ("DPM++ 2M Automatic", "DPMSolverMultistepScheduler"), ("DPM++ 2M SDE Polyexponential", "DPMSolverMultistepScheduler"),
        ("Euler Uniform", "EulerDiscreteScheduler"), ("Euler Simple", "EulerDiscreteScheduler"),
        ("Heun Normal", "HeunDiscreteScheduler"), ("DPM++ 2M Beta", "DPMSolverMultistepScheduler"),
        ("Euler DDIM", "EulerDiscreteScheduler"), ("Euler a Turbo", "EulerAncestralDiscreteScheduler"),
        ("UniPC SGM Uniform", "UniPCMultistepScheduler"),
        // CompVis and k-diffusion
        ("k_euler", "EulerDiscreteScheduler"), ("k_euler_a", "EulerAncestralDiscreteScheduler"),
        ("k_lms", "LMSDiscreteScheduler"), ("k_heun", "HeunDiscreteScheduler"), ("k_dpm_2", "KDPM2DiscreteScheduler"),
        ("k_dpm_2_a", "KDPM2AncestralDiscreteScheduler"), ("k_dpm_fast", "DPMSolverFastScheduler"),
        ("k_dpmpp_2m", "DPMSolverMultistepScheduler"), ("k_dpmpp_2s_a", "DPMSolver2SAncestralScheduler"),
        ("k_dpmpp_sde", "DPMSolverSDEScheduler"), ("sample_dpmpp_2s_ancestral", "DPMSolver2SAncestralScheduler"),
        ("sample_dpm_fast", "DPMSolverFastScheduler"), ("sample_dpmpp_3m_sde", "DPMSolver3MSDEScheduler"),
        ("sample_euler_ancestral", "EulerAncestralDiscreteScheduler"), ("DPM++ SDE Karras", "DPMSolverSDEScheduler"),
        ("UniPC", "UniPCMultistepScheduler"), ("LCM", "LCMScheduler"), ("Euler SGM Uniform", "EulerDiscreteScheduler"),
        // stable-diffusion.cpp and ComfyUI
        ("euler_a", "EulerAncestralDiscreteScheduler"), ("dpm++2m", "DPMSolverMultistepScheduler"), ("ipndm", "IPNDMScheduler"),
        ("ddim_trailing", "DDIMScheduler"), ("tcd", "TCDScheduler"), ("dpmpp_2m", "DPMSolverMultistepScheduler"),
        ("dpmpp_sde", "DPMSolverSDEScheduler"), ("dpm_2_ancestral", "KDPM2AncestralDiscreteScheduler"),
        ("dpm++2mv2", "DPMSolver2MV2Scheduler"), ("dpm++2s_a", "DPMSolver2SAncestralScheduler"),
        ("dpmpp_2s_ancestral", "DPMSolver2SAncestralScheduler"), ("dpmpp_3m_sde_gpu", "DPMSolver3MSDEScheduler"),
        ("dpmpp_2m_sde_gpu", "DPMSolverMultistepScheduler"), ("euler ddim_uniform", "EulerDiscreteScheduler"),
        ("euler discrete", "EulerDiscreteScheduler"), ("dpm++2m ays", "DPMSolverMultistepScheduler"),
        ("euler sgm_uniform", "EulerDiscreteScheduler"), ("uni_pc_bh2", "UniPCMultistepScheduler"),
        ("euler_ancestral", "EulerAncestralDiscreteScheduler"),
        // diffusers
        ("EulerAncestralDiscreteScheduler", "EulerAncestralDiscreteScheduler"),
        ("DPMSolverMultistep", "DPMSolverMultistepScheduler"),
    ])
    func findsByEveryName(name: String, className: String) throws {
        #expect(try registry.find(name).descriptor.className == className)
    }

    /// Names of samplers and schedules that others have, with what the reason says.
    @Test(arguments: [
        ("DPM adaptive", "dpm-fast is the same solver"), ("k_dpm_adaptive", "dpm-fast is the same solver"),
        ("DPM adaptive Karras", "dpm-fast"), ("DDIM CFG++", "given the guided one alone"),
        ("euler_cfg_pp", "given the guided one alone"), ("dpmpp_2m_cfg_pp", "given the guided one alone"),
        ("res_multistep", "ComfyUI"), ("er_sde", "ComfyUI"), ("heunpp2", "heun and restart"), ("ipndm_v", "take lms"),
        ("DPM++ 2M Align Your Steps GITS", "\"ays\" is a published one"),
        ("Euler Align Your Steps 32", "\"ays\" is a published one"), ("dpm++2m gits", "\"ays\" is a published one"),
        ("euler smoothstep", "\"beta\""),
    ])
    func refusesWhatOthersHaveByName(name: String, reason: String) {
        let error = #expect(throws: SchedulerError.self) { try registry.find(name) }
        guard case .refusedScheduler(let found, let text)? = error else {
            Issue.record("\(name): \(error?.description ?? "")")
            return
        }
        #expect(found == name)
        #expect(text.contains(reason), "\(text)")
        #expect(error?.description == "The scheduler \"\(name)\" isn't built: \(text).")
    }

    /// What a scheduler says of its steps, by its kind, its settings and the options, is what they do.
    @Test func drawNoiseWhereTheySaySo() throws {
        var (eta, churn) = (SchedulerStepOptions(), SchedulerStepOptions())
        (eta.eta, churn.churn) = (0.5, 1)
        let plain = registry.descriptors.map { ($0.shortName, SchedulerStepOptions()) }
        let named = ["dpm++2m-sde", "dpm++ 2m sde heun", "dpm++ 3m", "dpm solver"].map { ($0, SchedulerStepOptions()) }
        // Restart goes back from 20 steps on alone.
        for (name, options) in plain + named + [("ddim", eta), ("euler", churn), ("edm-euler", churn), ("flow-heun", churn)] {
            let scheduler = try registry.make(
                name, configuration: SchedulerConfiguration(className: nil), request: .steps(40))
            var (state, sample, draws) = (scheduler.makeState(), [Float](repeating: 1, count: 4), 0)
            for index in scheduler.timesteps.indices {
                sample = try scheduler.step(
                    [0.1, 0.2, -0.1, 0.3], at: index, sample: sample, state: &state, options: options,
                    noise: { count in
                        draws += 1
                        return [Float](repeating: 0.5, count: count)
                    })
            }
            #expect(scheduler.drawsNoise(with: options) == (draws > 0), "\(name)")
        }
    }

    @Test func noiseLevelsBehindANameAreThoseOfTheirSchedule() throws {
        let configuration = SchedulerConfiguration(className: "EulerDiscreteScheduler")
        func sigmas(_ name: String, _ request: TimestepRequest = .steps(7)) throws -> [Float] {
            try registry.make(name, configuration: configuration, request: request).sigmas
        }
        for (suffix, schedule) in [
            ("Align Your Steps", NamedSchedule.ays), ("ays", .ays), ("AYS 11", .ays), ("ays sdxl", .aysXL),
            ("KL Optimal", .klOptimal), ("SGM Uniform", .sgmUniform), ("simple", .simple), ("Laplace", .laplace),
        ] {
            try expectEqual(sigmas("euler \(suffix)"), sigmas("euler", .named(schedule, steps: 7)), "\(suffix)")
            try expectEqual(sigmas("dpm++2m \(suffix)"), sigmas("dpm++2m", .named(schedule, steps: 7)), "\(suffix)")
        }
        try expectEqual(sigmas("euler polyexponential"), sigmas("euler exponential"))
        try expectEqual(sigmas("euler automatic"), sigmas("euler"))
        // Schedulers without the setting get the levels as a list.
        for (suffix, schedule) in [("Karras", NamedSchedule.karras), ("Exponential", .exponential), ("Beta", .beta)] {
            let named = try sigmas("euler a", .named(schedule, steps: 7))
            try expectEqual(sigmas("Euler a \(suffix)"), named)
            let key = "use_\(schedule.rawValue)_sigmas"
            let stated = try registry.make(
                "euler a", configuration: configuration, request: .steps(7), overrides: [key: .flag(true)])
            expectEqual(stated.sigmas, named)
            try expectClose(sigmas("euler \(suffix)"), named, within: Tolerance(relative: 1e-6), suffix)
        }
        // What a person states counts more than what a name means.
        try expectEqual(sigmas("euler ays", .sigmas([3, 1, 0])), [3, 1, 0])
        let automatic = try registry.make("Automatic", configuration: configuration, request: .steps(7))
        #expect(automatic.name == "EulerDiscreteScheduler")
        #expect(throws: Never.self) { try registry.check("Automatic") }
        // Schedulers without such noise levels say what they lack.
        for (name, lacks) in [
            ("ddim karras", "use_karras_sigmas"), ("ddim kl optimal", "sigmas kl-optimal"), ("lcm ays", "for 10"),
        ] {
            let error = #expect(throws: SchedulerError.self) { try sigmas(name) }
            #expect(error?.description.contains(lacks) == true, "\(error?.description ?? "")")
        }
    }

    @Test func aliasesStandForSettings() throws {
        let karras = try registry.make("euler karras", configuration: plain, request: .steps(5))
        #expect(karras.settings.values["use_karras_sigmas"] == .flag(true))
        let plms = try registry.make("plms", configuration: plain, request: .steps(1))
        #expect(plms.timesteps == [0])
    }

    @Test func suggestsTheClosestName() {
        let error = #expect(throws: SchedulerError.self) { try registry.find("eulr") }
        #expect(error?.description.contains("Did you mean euler") == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("Known schedulers: ddim, ddim-inverse, ddpm") == true)
        for (name, hint) in [
            ("eluer", "Did you mean euler?"), ("dpm++2n", "Did you mean dpm++2m"),
            ("DPMSolverMultistepSheduler", "DPMSolverMultistepScheduler"),
        ] {
            let error = #expect(throws: SchedulerError.self) { try registry.find(name) }
            #expect(error?.description.contains(hint) == true, "\(error?.description ?? "")")
        }
        for name in ["lol", "foo", "banana", "xyz", "scheduler"] {
            let error = #expect(throws: SchedulerError.self) { try registry.find(name) }
            #expect(error?.description.contains("Did you mean") == false, "\(error?.description ?? "")")
        }
        let other = #expect(throws: SchedulerError.self) { try registry.find(String(repeating: "x", count: 1_000_000)) }
        #expect(other?.description.contains("Did you mean") == false)
        expectError("There is no scheduler \"\". Known schedulers: ddim") { try registry.find("") }
    }

    @Test(arguments: ["ddim", "ddpm", "euler", "pndm", "plms"], [0, -1, 1001, Int.max, Int.min])
    func refusesNumbersOfSteps(name: String, steps: Int) {
        let error = #expect(throws: SchedulerError.self) {
            try registry.make(name, configuration: plain, request: .steps(steps))
        }
        #expect(error?.description.contains("\(steps) steps") == true)
    }

    @Test func refusesListsThatCannotBeUsed() {
        let timesteps = "the list of timesteps must descend and lie between 999 and 0"
        let sigmas = "the list of sigmas must have at least two finite values above 0 that descend"
        let lists: [(String, TimestepRequest, String)] = [
            ("ddim", .timesteps([3, 2]), "it has no option timesteps"),
            ("pndm", .sigmas([3, 0]), "it has no option for a list of sigmas"),
            ("ddpm", .sigmas([1, 0]), "it has no option for a list of sigmas"),
            ("ddpm", .timesteps([]), timesteps), ("ddpm", .timesteps([5, 5]), timesteps),
            ("ddpm", .timesteps([1000, 5]), timesteps), ("ddpm", .timesteps([.nan]), timesteps),
            ("euler", .timesteps([.infinity]), timesteps), ("ddpm", .timesteps([5.5]), "its timesteps are whole numbers"),
            ("euler", .sigmas([1]), sigmas), ("euler", .sigmas([1, 0, 0]), sigmas), ("euler", .sigmas([.nan, 0]), sigmas),
            ("euler", .sigmas([1, 2, 0]), sigmas), ("dpm++2m", .sigmas([1, 2, 0]), sigmas),
            ("lms", .sigmas([2, 2, 1, 0]), "two noise levels in a row are 2.0"),
            ("dpm++2m", .sigmas([2, 2, 0]), "some of them would have the same timestep"),
            ("heun", .sigmas([2, 1]), "ends with 1.0, expected 0"), ("dpm2", .sigmas([2, 1]), "ends with 1.0, expected 0"),
            ("euler karras", .timesteps([5, 3]), "can't be used where the noise levels are set"),
            ("flow-euler ays", .steps(10), "ays stands for noise levels of models that were trained by diffusion"),
            ("pndm", .steps(3), "with Runge-Kutta steps at least 4 are needed"),
        ]
        for (name, request, reason) in lists {
            expectError(reason, "\(name) \(request)") { try registry.make(name, configuration: plain, request: request) }
        }
    }

    @Test(arguments: ["ddim", "ddpm", "euler", "pndm", "plms"])
    func refusesSizesAndIndicesThatDoNotFit(name: String) throws {
        let scheduler = try registry.make(name, configuration: plain, request: .steps(5))
        var state = scheduler.makeState()
        let sample: [Float] = [1, 2, 3, 4]
        for (output, index, reason) in [
            ([Float](), 0, "the model's output has 0 values and the sample 4"),
            ([1, 2, 3], 0, "the model's output has 3 values and the sample 4"), (sample, -1, "there is no step -1"),
            (sample, 1000, "there is no step 1000"),
        ] {
            expectError(reason) { try scheduler.step(output, at: index, sample: sample, state: &state) { _ in [] } }
        }
        expectError("the noise has 1 values and the sample 4") { try scheduler.addNoise(to: sample, noise: [1], at: 0) }
        expectError("there is no step 99") { try scheduler.addNoise(to: sample, noise: sample, at: 99) }
    }

    @Test func refusesNoiseOfAnotherSize() throws {
        let scheduler = try registry.make("ddpm", configuration: plain, request: .steps(5))
        var state = scheduler.makeState()
        expectError("1 noise values were given, expected 2") {
            try scheduler.step([1, 2], at: 0, sample: [1, 2], state: &state) { _ in [1] }
        }
    }

    @Test func refusesAStartInTheMiddleOfRungeKuttaSteps() throws {
        let scheduler = try registry.make("pndm", configuration: plain, request: .steps(20))
        let reason = "Runge-Kutta steps can't start in the middle of a run"
        expectError(reason) { try scheduler.checkStart(at: 3) }
        var state = scheduler.makeState()
        let reasons = [(3, reason), (15, "multistep steps need the Runge-Kutta steps before them")]
        for (index, reason) in reasons {
            expectError(reason) { try scheduler.step([1], at: index, sample: [1], state: &state) { _ in [] } }
        }
    }

    @Test func refusesStepOptionsByName() throws {
        var options = SchedulerStepOptions()
        options.eta = 0.5
        try options.check(for: DDIMScheduler.descriptor)
        expectError("EulerDiscreteScheduler has no option eta. Its options: s_churn") {
            try options.check(for: EulerDiscreteScheduler.descriptor)
        }
        options.eta = .nan
        expectError("eta is nan, expected a number from 0 to 1") { try options.check(for: DDIMScheduler.descriptor) }
    }

    /// Without clipping the posterior's mean is equation 11 of Ho et al. 2020:
    /// μ = 1/√α_t · (x_t − β_t / √(1 − ᾱ_t) · ε), and the last step adds no noise.
    @Test func ddpmMeanIsEquation11() throws {
        let scheduler = try DDPMScheduler(
            settings: SchedulerSettings(
                plain, for: DDPMScheduler.descriptor, overrides: ["clip_sample": .flag(false)]), request: .steps(1000))
        var state = scheduler.makeState()
        for timestep in [0, 1, 17, 500, 999] {
            let found = try scheduler.step([0.3], at: 999 - timestep, sample: [0.7], state: &state) { count in
                #expect(timestep > 0)
                return [Float](repeating: 0, count: count)
            }
            let beta = Double(scheduler.noiseSchedule.betas[timestep])
            let product = scheduler.noiseSchedule.betas[...timestep].reduce(1.0) { $0 * (1 - Double($1)) }
            let mean = 1 / (1 - beta).squareRoot() * (0.7 - beta / (1 - product).squareRoot() * 0.3)
            #expect(abs(Double(found[0]) - mean) < 1e-4, "timestep \(timestep)")
        }
    }

    /// `fixed_large_log` is the deviation √β_t that its name says.
    @Test func ddpmLargeLogarithmIsLarge() throws {
        let results = try ["fixed_large", "fixed_large_log"].map { kind in
            let scheduler = try registry.make(
                "ddpm", configuration: plain, request: .steps(10), overrides: ["variance_type": .text(kind)])
            var state = scheduler.makeState()
            return try scheduler.step([0.3], at: 4, sample: [0.7], state: &state) { _ in [1] }[0]
        }
        #expect(abs(results[0] - results[1]) < 1e-5)
    }

    @Test func trailingGivesAsManyTimestepsAsAsked() throws {
        for steps in 1...1000 {
            let scheduler = try registry.make(
                "ddim", configuration: plain, request: .steps(steps), overrides: ["timestep_spacing": .text("trailing")])
            #expect(scheduler.timesteps.count == steps)
            #expect(scheduler.timesteps.first == 999)
        }
    }
}
