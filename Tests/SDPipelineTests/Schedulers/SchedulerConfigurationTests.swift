import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct SchedulerConfigurationTests {
    @Test func resolvesSettingsAsFromConfigDoes() throws {
        let data = try Data(contentsOf: SchedulerReferences.folder.appending(path: "configs.json"))
        let decoder = JSONDecoder()
        decoder.allowsJSON5 = true
        let references = try decoder.decode([SchedulerReferences.Resolved].self, from: data)
        #expect(references.count >= 300)
        for reference in references {
            var configuration = try SchedulerConfiguration(json: Data(reference.file.utf8))
            if reference.inPipeline { configuration = configuration.adjustedForStableDiffusion() }
            let descriptor = try SchedulerRegistry.standard.find(reference.class).descriptor
            let settings = try SchedulerSettings(configuration, for: descriptor)
            #expect(Set(settings.values.keys) == Set(reference.values.keys))
            for (key, wanted) in reference.values {
                let found = try #require(settings.values[key])
                // null means the default, as diffusers computes with it.
                if wanted == .absent, found == descriptor.parameters.first(where: { $0.key == key })?.defaultValue { continue }
                #expect(
                    same(found, wanted),
                    "\(reference.class).\(key) is \(found), diffusers has \(wanted) (in a pipeline: \(reference.inPipeline))")
            }
        }
    }

    @Test func readsTheEmbeddedModelsFile() throws {
        let url = RepositoryRoot.url.appending(path: "Models/emoji/scheduler/scheduler_config.json")
        let configuration = try SchedulerConfiguration(contentsOf: url)
        #expect(configuration.className == "DDIMScheduler")
        #expect(configuration.unknownKeys.isEmpty)
        let scheduler = try SchedulerRegistry.standard.make(configuration: configuration, request: .steps(20))
        #expect(scheduler is DDIMScheduler)
        #expect(scheduler.timesteps.first == 951 && scheduler.timesteps.last == 1)
        let euler = try SchedulerRegistry.standard.make("euler", configuration: configuration, request: .steps(20))
        #expect(euler.settings.values["timestep_spacing"] == .text("leading"))
        #expect(euler.settings.values["beta_end"] == .number(0.012))
    }

    /// Another class's null: no flag is set by it, as None isn't in diffusers, and a number is the class's own.
    @Test func takesNullsOfOtherClasses() throws {
        func settings(_ json: String, _ name: String) throws -> SchedulerSettings {
            try SchedulerSettings(
                SchedulerConfiguration(json: Data(json.utf8)), for: SchedulerRegistry.standard.find(name).descriptor)
        }
        let pndm = #"{"_class_name": "PNDMScheduler", "set_alpha_to_one": null, "clip_sample": null}"#
        let ddim = try settings(pndm, "ddim").values
        #expect(ddim["set_alpha_to_one"] == .flag(false) && ddim["clip_sample"] == .flag(false))
        let euler = #"{"_class_name": "EulerDiscreteScheduler", "sigma_min": null, "sigma_max": null}"#
        let edm = try settings(euler, "EDMEulerScheduler").values
        #expect(edm["sigma_min"] == .number(0.002) && edm["sigma_max"] == .number(80))
        #expect(throws: SchedulerError.self) { try settings(#"{"_class_name": "DDIMScheduler", "clip_sample": null}"#, "ddim") }
    }

    @Test func reportsKeysThatNoSchedulerKnows() throws {
        let json = #"{"_class_name": "DDIMScheduler", "beta_begin": 1, "solver_order": 2, "_note": 3, "colour": "red"}"#
        #expect(try SchedulerConfiguration(json: Data(json.utf8)).unknownKeys == ["beta_begin", "colour"])
    }

    @Test(arguments: [
        ("", "it is empty, expected JSON"), ("[]", "it isn't a JSON object"), ("3", "it isn't a JSON object"),
        ("{", "it isn't JSON"), (#"{"_class_name": 3}"#, "_class_name is 3, expected a text"),
        ("\u{0}\u{1}", "it isn't JSON: it holds a zero byte"),
    ])
    func refusesWhatIsNoObject(json: String, reason: String) {
        expectError("scheduler_config.json can't be used: \(reason)") { try SchedulerConfiguration(json: Data(json.utf8)) }
    }

    @Test func refusesAMissingFile() {
        expectError("/nonexistent/scheduler_config.json can't be used: No such file or directory") {
            try SchedulerConfiguration(contentsOf: URL(filePath: "/nonexistent/scheduler_config.json"))
        }
    }

    static let hostile: [(String, String)] = [
        (#""num_train_timesteps": 0"#, "num_train_timesteps"), (#""num_train_timesteps": -5"#, "num_train_timesteps"),
        (#""num_train_timesteps": 1000000000000"#, "num_train_timesteps"),
        (#""num_train_timesteps": 1e300"#, "num_train_timesteps"), (#""num_train_timesteps": 10.5"#, "num_train_timesteps"),
        (#""num_train_timesteps": "1000""#, "num_train_timesteps"), (#""num_train_timesteps": true"#, "num_train_timesteps"),
        (#""num_train_timesteps": null"#, "num_train_timesteps"), (#""beta_start": -1"#, "beta_start"),
        (#""beta_end": "NaN""#, "beta_end"), (#""beta_end": 2"#, "beta_end"), (#""beta_end": {}"#, "beta_end"),
        (#""beta_end": 1e999"#, "beta_end"), (#""beta_end": NaN"#, "beta_end"), (#""beta_end": -Infinity"#, "beta_end"),
        (#""beta_schedule": "cubic""#, "beta_schedule"), (#""beta_schedule": 1"#, "beta_schedule"),
        (#""trained_betas": [0.1, 0.2]"#, "trained_betas"), (#""trained_betas": [0.1, "a"]"#, "trained_betas"),
        (#""trained_betas": [0.1, 7]"#, "trained_betas"), (#""trained_betas": []"#, "trained_betas"),
        (#""prediction_type": "noise""#, "prediction_type"), (#""timestep_spacing": "log""#, "timestep_spacing"),
        (#""steps_offset": 9223372036854775807"#, "steps_offset"), (#""steps_offset": 999"#, "steps_offset"),
        (#""steps_offset": -7"#, "steps_offset"), (#""clip_sample": "yes""#, "clip_sample"),
        (#""clip_sample": 1"#, "clip_sample"),
        (#""dynamic_thresholding_ratio": 1.5"#, "dynamic_thresholding_ratio"), (#""sample_max_value": 0"#, "sample_max_value"),
    ]

    @Test(arguments: hostile)
    func namesTheKeyOfAWrongValue(member: String, key: String) throws {
        let configuration = try SchedulerConfiguration(json: Data("{\(member)}".utf8))
        let error = #expect(throws: SchedulerError.self) {
            try SchedulerRegistry.standard.make("ddim", configuration: configuration, request: .steps(20))
        }
        #expect(error?.description.contains(key) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("DDIMScheduler") == true)
    }

    @Test func refusesContradictionsAndOptionsOfOthers() {
        let plain = SchedulerConfiguration(className: nil)
        let registry = SchedulerRegistry.standard
        expectError("use_karras_sigmas and use_beta_sigmas can't be used together") {
            try registry.make(
                "euler", configuration: plain, request: .steps(3),
                overrides: ["use_karras_sigmas": .flag(true), "use_beta_sigmas": .flag(true)])
        }
        expectError("DDIMScheduler has no option use_karras_sigmas") {
            try registry.make("ddim", configuration: plain, request: .steps(3), overrides: ["use_karras_sigmas": .flag(true)])
        }
        expectError("beta_end is nan, expected a number from 0.0 to 1.0") {
            try registry.make("ddim", configuration: plain, request: .steps(3), overrides: ["beta_end": .number(.nan)])
        }
        expectError("prediction_type is \"sample\", expected one of epsilon, v_prediction") {
            try registry.make("pndm", configuration: plain, request: .steps(9), overrides: ["prediction_type": .text("sample")])
        }
        expectError("a schedule of noise levels needs at least 2 training timesteps") {
            try registry.make(
                "euler", configuration: plain, request: .steps(1),
                overrides: ["num_train_timesteps": .integer(1), "use_karras_sigmas": .flag(true)])
        }
        expectError("it has no _class_name, so name a scheduler") {
            try registry.make(configuration: plain, request: .steps(3))
        }
    }

    private func same(_ found: SchedulerValue, _ wanted: SchedulerValue) -> Bool {
        if case .number(let number) = found, case .integer(let whole) = wanted { return number == Double(whole) }
        return found == wanted
    }
}
