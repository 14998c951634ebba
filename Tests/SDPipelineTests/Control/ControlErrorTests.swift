import Foundation
import SDPipeline
import TestSupport
import Testing

/// ControlNets, their settings and models that don't fit together each have a sentence of their own.
@Suite struct ControlErrorTests {
    private static let root = ControlParityTests.root

    private static func image(_ width: Int = 64, _ height: Int = 64) throws -> RGBImage {
        try RGBImage(width: width, height: height, pixels: [UInt8](repeating: 90, count: 3 * width * height))
    }

    private static func control(_ network: String?, _ change: (inout Control) -> Void = { _ in }) throws -> Control {
        var control = Control(network: network.map(root.appendingPathComponent), image: try image())
        change(&control)
        return control
    }

    /// What a plan, or a run of two steps, says.
    private static func message(
        _ model: String, _ controls: [Control], runs: Bool = false,
        _ change: (inout GenerationRequest) throws -> Void = { _ in }
    ) throws -> String {
        let configuration = try PipelineConfiguration(modelFolder: root.appendingPathComponent("\(model)/model"))
        var request = GenerationRequest(prompt: "a fox", width: 64, height: 64, steps: 2, controls: controls)
        try change(&request)
        let error = #expect(throws: PipelineError.self) {
            let plan = try configuration.plan(for: request)
            if runs { _ = try StableDiffusionPipeline(configuration).generate(plan) }
        }
        return error?.message ?? ""
    }

    @Test(arguments: [
        (0.5, 0.5), (0.8, 0.2), (-0.1, 1), (0, 1.1), (.nan, 1), (0, .nan),
    ]) func shares(start: Double, end: Double) throws {
        let control = try Self.control("sd1/control-0") { ($0.start, $0.end) = (start, end) }
        #expect(
            try Self.message("sd1", [control]).contains(
                "takes part from \(start) to \(end) of the run, expected shares from 0 to 1, the first below the second"))
    }

    @Test(arguments: [Double.nan, .infinity, 1e300]) func strengths(strength: Double) throws {
        let control = try Self.control("sd1/control-0") { $0.strength = strength }
        #expect(
            try Self.message("sd1", [control]).contains("The strength of a ControlNet is \(strength), expected a finite number")
        )
    }

    @Test func files() throws {
        let folder = try TemporaryFolder()
        func message(_ url: URL) throws -> String {
            try Self.message("sd1", [Control(network: url, image: Self.image())], runs: true)
        }
        #expect(try message(folder.url.appendingPathComponent("nothing")).contains("nothing doesn't exist"))
        #expect(try message(folder.url).contains("has no model.onnx"))
        try Data().write(to: folder.url.appendingPathComponent("diffusion_pytorch_model.safetensors"))
        let weights = try message(folder.url)
        #expect(weights.contains("has the weights diffusion_pytorch_model.safetensors and no graph"), "\(weights)")
        #expect(weights.contains("Tools/export-controlnet.py"))
        let text = folder.url.appendingPathComponent("text.onnx")
        try Data("no model".utf8).write(to: text)
        #expect(try message(text).contains("text.onnx"))
        // A U-Net is none.
        let unet = Self.root.appendingPathComponent("sd1/model/unet/model.onnx")
        #expect(try message(unet).contains("expected a ControlNet's inputs"))
    }

    /// By the configuration files where there are some, else by the graphs.
    @Test func otherFamilies() throws {
        let other = try Self.message("sd1", [Self.control("sd2/control-0")])
        #expect(other.contains("has a cross_attention_dim of 48, and the model's U-Net one of 32"), "\(other)")
        let folder = try TemporaryFolder()
        func message(_ network: String, for model: String) throws -> String {
            let file = folder.url.appendingPathComponent("\(network.replacing("/", with: "-")).onnx")
            try FileManager.default.copyItem(at: Self.root.appendingPathComponent("\(network)/model.onnx"), to: file)
            return try Self.message(model, [Control(network: file, image: Self.image())], runs: true)
        }
        let width = try message("sd2/control-0", for: "sd1")
        #expect(width.contains("takes states of the prompt of 48 numbers, and the model's text encoder gives 32"), "\(width)")
        let sizes = try message("sdxl/control-0", for: "sd1")
        #expect(
            sizes.contains("takes the input \"text_embeds\", which a ControlNet of a Stable Diffusion model doesn't have"),
            "\(sizes)")
    }

    @Test func otherOutputs() throws {
        let few = try Self.message("sd1", [Self.control("broken/few")], runs: true)
        #expect(few.contains("gives 5 residuals and one for the middle block, and the U-Net has 6 skip connections"), "\(few)")
        let order = try Self.message("sd1", [Self.control("broken/order")], runs: true)
        #expect(order.contains("for skip connection 0, and the U-Net has 16 there"), "\(order)")
        #expect(order.contains("[2, 32, 4, 4]") || order.contains("32 channels"), "\(order)")
        let declared = try Self.message("sd1-residuals", [Self.control("broken/order")], runs: true)
        #expect(declared.contains("for skip connection 0, and the U-Net has 16"), "\(declared)")
    }

    @Test func numbersThatAreNotFinite() throws {
        let message = try Self.message("sd1", [Self.control("broken/nan")], runs: true)
        #expect(message.contains("The ControlNet nan answers numbers that aren't finite"), "\(message)")
        #expect(message.contains("controlnet_mid_block.weight\" has NaN"), "\(message)")
    }

    @Test func ownNetworks() throws {
        let none = try Self.message("sd1", [Self.control(nil)])
        #expect(none.contains("has no ControlNet of its own"), "\(none)")
        let mixed = try Self.message("sd1", [Self.control(nil), Self.control("sd1/control-0")])
        #expect(mixed.contains("1 of 2 control pictures are for the model's own ControlNets"), "\(mixed)")
        let one = try Self.message("sd1-inside", [Self.control(nil)])
        #expect(one.contains("has 2 ControlNets inside of its U-Net, and there are 1 control pictures"), "\(one)")
        let missing = try Self.message("sd1-inside", [], runs: true)
        #expect(
            missing.contains("The U-Net has 2 ControlNets inside (\"controlnet_conds\"): a control picture for each"),
            "\(missing)")
        let named = try Self.message("sd1-inside", [Self.control("sd1/control-0"), Self.control("sd1/control-1")], runs: true)
        #expect(named.contains("and no network of one's own"), "\(named)")
        let guess = try Self.message("sd1-inside", [Self.control(nil) { $0.guesses = true }, Self.control(nil)])
        #expect(guess.contains("the guess mode needs networks of their own"), "\(guess)")
    }

    /// A model folder that has a ControlNet uses it, and may be called so.
    @Test func networksInTheModelFolder() throws {
        let folder = try TemporaryFolder()
        let source = Self.root.appendingPathComponent("sd1/model")
        for part in try FileManager.default.contentsOfDirectory(atPath: source.path) where part != "model_index.json" {
            try FileManager.default.createSymbolicLink(
                at: folder.url.appendingPathComponent(part), withDestinationURL: source.appendingPathComponent(part))
        }
        try FileManager.default.createSymbolicLink(
            at: folder.url.appendingPathComponent("controlnet"),
            withDestinationURL: Self.root.appendingPathComponent("sd1/control-0"))
        let index = try String(contentsOf: source.appendingPathComponent("model_index.json"), encoding: .utf8)
        try index.replacing("StableDiffusionPipeline", with: "StableDiffusionControlNetPipeline").write(
            to: folder.url.appendingPathComponent("model_index.json"), atomically: true, encoding: .utf8)
        let request = GenerationRequest(prompt: "a fox", width: 64, height: 64, steps: 2, controls: [try Self.control(nil)])
        let own = try StableDiffusionPipeline(modelFolder: folder.url).generate(request)
        var named = request
        named.controls = [try Self.control("sd1/control-0")]
        let other = try StableDiffusionPipeline(modelFolder: source).generate(named)
        #expect(own.images == other.images)
        var two = request
        two.controls.append(two.controls[0])
        let error = #expect(throws: PipelineError.self) { try PipelineConfiguration(modelFolder: folder.url).plan(for: two) }
        #expect(error?.message.contains("has one ControlNet, and there are 2 control pictures") == true)
    }

    @Test func maskedParts() throws {
        let message = try Self.message("sd1", [Self.control("sd1/control-0")]) { request in
            request.initialImage = try Self.image(80, 64)
            request.inpainting = Inpainting(
                mask: try PictureMask(width: 80, height: 64, values: [UInt8](repeating: 255, count: 80 * 64)), padding: 4)
        }
        #expect(message.contains("The control picture has 64×64 pixels, and the mask 80×64"), "\(message)")
    }

    @Test func factorsOfFreeU() throws {
        for (b1, s2) in [(0, 0.2), (1.5, 0), (-1, 0.2), (.nan, 0.2), (1.5, .infinity)] as [(Double, Double)] {
            let message = try Self.message("sd1", []) { $0.freeU = FreeU(b1: b1, b2: 1.6, s1: 0.9, s2: s2) }
            #expect(message.contains("expected four numbers above 0"), "\(message)")
        }
        // A U-Net without skip connections.
        let folder = try TemporaryFolder()
        let emoji = RepositoryRoot.url.appendingPathComponent("Models/emoji")
        for part in try FileManager.default.contentsOfDirectory(atPath: emoji.path) where part != "unet" {
            try FileManager.default.createSymbolicLink(
                at: folder.url.appendingPathComponent(part), withDestinationURL: emoji.appendingPathComponent(part))
        }
        let unet = folder.url.appendingPathComponent("unet")
        try FileManager.default.createDirectory(at: unet, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            at: emoji.appendingPathComponent("unet/config.json"), to: unet.appendingPathComponent("config.json"))
        let graph = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/not-finite/unet-overflow.onnx")
        try FileManager.default.copyItem(at: graph, to: unet.appendingPathComponent("model.onnx"))
        let pipeline = try StableDiffusionPipeline(modelFolder: folder.url)
        let error = #expect(throws: PipelineError.self) {
            try pipeline.generate(
                GenerationRequest(prompt: "a fox", steps: 2, freeU: FreeU(b1: 1.5, b2: 1.6, s1: 0.9, s2: 0.2)))
        }
        #expect(error?.message.contains("The U-Net's graph has no concatenations") == true, "\(error?.message ?? "")")
    }

    /// The size that is made is the control picture's where nothing else is asked for.
    @Test func sizes() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.root.appendingPathComponent("sd1/model"))
        var request = GenerationRequest(
            prompt: "a fox",
            controls: [Control(network: Self.root.appendingPathComponent("sd1/control-0"), image: try Self.image(100, 50))])
        let plan = try configuration.plan(for: request)
        #expect(plan.width == 96 && plan.height == 48)
        request.width = 64
        #expect(try configuration.plan(for: request).width == 64)
    }
}
