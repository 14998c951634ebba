import Foundation
import SDPipeline

extension FuzzTarget {
    /// A tokenizer's folder: vocab.json, merges.txt, tokenizer.json, tokenizer_config.json, special_tokens_map.json,
    /// added_tokens.json, and a text that is encoded and decoded.
    static let tokenizer = FuzzTarget(name: "tokenizer") { bytes in
        let names = [
            "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
            "added_tokens.json",
        ]
        let parts = files(in: bytes, count: names.count + 1)
        try ScratchFolder.fill(zip(names, parts).map { ($0, $1) })
        let tokenizer = try CLIPTokenizer(folder: ScratchFolder.url)
        let text = String(decoding: parts[names.count] ?? Array("A photo, of 2 cats!".utf8), as: UTF8.self)
        _ = tokenizer.tokenize(text)
        let (ids, mask) = tokenizer.encode(text, paddedTo: 77)
        precondition(ids.count == 77 && mask.count == 77, "\(ids.count) ids")
        _ = try tokenizer.decode(tokenizer.encode(text))
    }

    /// scheduler_config.json, for the scheduler that it names and for every other one, each for a run of four steps.
    static let scheduler = FuzzTarget(name: "scheduler") { bytes in
        let configuration = try SchedulerConfiguration(json: Data(bytes))
        let registry = SchedulerRegistry.standard
        for name in [nil] + registry.descriptors.map { Optional($0.className) } {
            do {
                let scheduler = try registry.make(name, configuration: configuration, request: .steps(4))
                var state = scheduler.makeState()
                var sample = [Float](repeating: scheduler.initNoiseSigma, count: 4)
                for index in scheduler.timesteps.indices {
                    let input = try scheduler.scaleModelInput(sample, at: index)
                    sample = try scheduler.step(input, at: index, sample: sample, state: &state) { count in
                        [Float](repeating: 0.5, count: count)
                    }
                }
            } catch is SchedulerError {
                // The next scheduler may take what this one refuses.
            }
        }
    }

    /// A model's folder without its graphs: model_index.json, the components' configurations and the scheduler's.
    static let configuration = FuzzTarget(name: "configuration") { bytes in
        let names = [
            "model_index.json", "unet/config.json", "vae_decoder/config.json", "text_encoder/config.json",
            "scheduler/scheduler_config.json", "tokenizer/tokenizer.json",
        ]
        let parts = files(in: bytes, count: names.count)
        let graphs = ["unet", "vae_decoder", "text_encoder"].map {
            ("\($0)/model.onnx", Optional([UInt8](repeating: 0, count: 8)))
        }
        try ScratchFolder.fill(zip(names, parts).map { ($0, $1) } + graphs)
        let configuration = try PipelineConfiguration(modelFolder: ScratchFolder.url)
        _ = try configuration.plan(for: GenerationRequest(prompt: "a fox"))
    }

    /// A picture, with the checksums that its chunks ought to have: mutated ones would stop libpng before anything is read.
    static let png = FuzzTarget(name: "png") { bytes in
        let bytes = Checksums.repaired(bytes)
        let image = try PNGFile.decode(bytes, pixelLimit: 1 << 20)
        precondition(image.pixels.count == image.width * image.height * 3, "\(image.pixels.count) bytes")
        let again = try PNGFile.decode(PNGFile.encode(image))
        precondition(again == image, "the picture isn't what was written")
    }

    /// A picture of which nothing is known but that it may be a JPEG.
    static let jpeg = FuzzTarget(name: "jpeg") { bytes in
        let image = try PictureSource(bytes, pixelLimit: 1 << 18).decoded()
        precondition(image.pixels.count == image.width * image.height * 3, "\(image.pixels.count) bytes")
    }

    /// What a picture's file says, by a key that the first byte chooses.
    static let metadata = FuzzTarget(name: "metadata") { bytes in
        let keys = ["parameters", "prompt", "Comment", "invokeai_metadata", "sd-metadata", "sd-onnx"]
        guard let first = bytes.first else { return }
        let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
        let texts = [PNGText(key: keys[Int(first) % keys.count], text: text), PNGText(key: "Software", text: "NovelAI")]
        var request = GenerationRequest(prompt: "")
        try PictureMetadata(texts: texts)?.settings.fill(&request)
        let infotext = Infotext(parsing: text)
        precondition(
            infotext.pairs.isEmpty || Infotext(parsing: infotext.text).pairs == infotext.pairs,
            "the text isn't what was written")
    }

    /// An array of numpy.
    static let npy = FuzzTarget(name: "npy") { bytes in
        let array = try NPYArray(bytes: bytes)
        _ = try array.tensor()
        _ = try array.floats()
    }

    /// An archive of arrays of numpy, with the checksums that its stored files ought to have, as `png`; what is read is written, and read
    /// again.
    static let npz = FuzzTarget(name: "npz") { bytes in
        let archive = try NPZArchive(bytes: Checksums.repairedArchive(bytes))
        var arrays: [(name: String, array: NPYArray)] = []
        for name in archive.names.prefix(4) { arrays.append((name, try archive.array(name))) }
        let again = try NPZArchive(bytes: NPZArchive.encoded(arrays))
        for (name, array) in arrays {
            let found = try again.array(name)
            precondition(found == array, "the array isn't what was written")
        }
    }

    /// An adapter in a safetensors file, read and described.
    static let adapter = FuzzTarget(name: "adapter") { bytes in
        try ScratchFolder.fill([("a.safetensors", bytes)])
        _ = AdapterSummary(try LoRA(contentsOf: ScratchFolder.url.appending(path: "a.safetensors")))
    }

    /// A textual inversion embedding in a safetensors file.
    static let embedding = FuzzTarget(name: "embedding") { bytes in
        try ScratchFolder.fill([("e.safetensors", bytes)])
        _ = try TextualInversion(name: "e", contentsOf: ScratchFolder.url.appending(path: "e.safetensors"))
    }
}
