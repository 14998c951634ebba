import GraphRuntime

/// The kernels at the shapes of Stable Diffusion 1.5, batch 2 (guidance), 64×64 latents.
enum Benchmarks {
    static let all = products + convolutions + attentions + normalizations + elementwise + layouts

    /// [batch, rows, depth] · [depth, columns] + bias, the weights constant.
    private static func linear(_ name: String, batch: Int = 2, rows: Int, depth: Int, columns: Int) -> Benchmark {
        Benchmark("linear \(name) \(batch)×\(rows)×\(depth)→\(columns)", rank: 3) { graph in
            let x = try graph.input([batch, rows, depth])
            let product = graph.node("MatMul", [x, try graph.weights([depth, columns])])
            return graph.node("Add", [product, try graph.weights([columns])])
        }
    }

    private static let products =
        [(4096, 320), (1024, 640), (256, 1280), (64, 1280)].flatMap { rows, channels in
            [
                linear("unet projection", rows: rows, depth: channels, columns: channels),
                linear("unet GEGLU", rows: rows, depth: channels, columns: 8 * channels),
                linear("unet feed-forward", rows: rows, depth: 4 * channels, columns: channels),
            ]
        } + [
            linear("unet cross keys", rows: 77, depth: 768, columns: 320),
            linear("unet cross keys", rows: 77, depth: 768, columns: 1280),
            linear("unet time embedding", batch: 1, rows: 2, depth: 1280, columns: 1280),
            linear("text projection", rows: 77, depth: 768, columns: 768),
            linear("text feed-forward", rows: 77, depth: 768, columns: 3072),
            linear("vae projection", batch: 1, rows: 4096, depth: 512, columns: 512),
        ]

    private static func convolution(
        _ name: String, batch: Int = 2, _ channels: Int, _ outputs: Int, size: Int, kernel: Int = 3, stride: Int = 1
    ) -> Benchmark {
        let label = "\(kernel)×\(kernel)" + (stride == 1 ? "" : " stride \(stride)")
        return Benchmark("conv \(name) \(label) \(channels)→\(outputs) \(size)×\(size)", rank: 4) { graph in
            let x = try graph.input([batch, channels, size, size])
            let weights = try graph.weights([outputs, channels, kernel, kernel])
            let pad = Int64(kernel / 2)
            let attributes = NodeAttributes([
                "pads": .ints([pad, pad, pad, pad]), "strides": .ints([Int64(stride), Int64(stride)]),
            ])
            return graph.node("Conv", [x, weights, try graph.weights([outputs])], attributes: attributes)
        }
    }

    private static let convolutions = [
        convolution("unet", 4, 320, size: 64),
        convolution("unet", 320, 320, size: 64), convolution("unet", 640, 640, size: 32),
        convolution("unet", 1280, 1280, size: 16), convolution("unet", 1280, 1280, size: 8),
        convolution("unet", 960, 320, size: 64), convolution("unet", 2560, 1280, size: 16),
        convolution("unet", 320, 320, size: 64, stride: 2), convolution("unet", 1280, 1280, size: 16, stride: 2),
        convolution("unet", 320, 320, size: 64, kernel: 1), convolution("unet", 1280, 1280, size: 16, kernel: 1),
        convolution("unet", 320, 4, size: 64),
        convolution("vae", batch: 1, 512, 512, size: 64), convolution("vae", batch: 1, 512, 512, size: 128),
        convolution("vae", batch: 1, 256, 256, size: 256), convolution("vae", batch: 1, 128, 128, size: 512),
        convolution("vae", batch: 1, 256, 128, size: 512, kernel: 1), convolution("vae", batch: 1, 128, 3, size: 512),
    ]

    /// Queries, keys and values as [batch, tokens, heads · width].
    private static func attention(
        _ name: String, batch: Int = 2, queries: Int, keys: Int, heads: Int = 8, width: Int
    ) -> Benchmark {
        Benchmark("attention \(name) \(queries)×\(keys) width \(width)", rank: 3) { graph in
            let q = try graph.input([batch, queries, heads * width])
            let (k, v) = (try graph.input([batch, keys, heads * width]), try graph.input([batch, keys, heads * width]))
            let attributes = NodeAttributes(["q_num_heads": .int(Int64(heads)), "kv_num_heads": .int(Int64(heads))])
            return graph.node("Attention", [q, k, v], version: 23, attributes: attributes)
        }
    }

    private static let attentions =
        [(4096, 40), (1024, 80), (256, 160), (64, 160)].flatMap { tokens, width in
            [
                attention("unet self", queries: tokens, keys: tokens, width: width),
                attention("unet cross", queries: tokens, keys: 77, width: width),
            ]
        } + [
            attention("text", queries: 77, keys: 77, heads: 12, width: 64),
            attention("vae", batch: 1, queries: 4096, keys: 4096, heads: 1, width: 512),
        ]

    private static func groupNormSiLU(_ name: String, batch: Int, channels: Int, size: Int) -> Benchmark {
        Benchmark("group norm + SiLU \(name) \(channels)×\(size)×\(size)", rank: 4) { graph in
            let x = try graph.input([batch, channels, size, size])
            let normal = graph.node(
                "GroupNormalization", [x, try graph.weights([channels]), try graph.weights([channels])],
                attributes: NodeAttributes(["num_groups": .int(32)]))
            return graph.node("Mul", [normal, graph.node("Sigmoid", [normal])])
        }
    }

    private static let normalizations =
        [
            groupNormSiLU("unet", batch: 2, channels: 320, size: 64), groupNormSiLU("unet", batch: 2, channels: 1280, size: 16),
            groupNormSiLU("vae", batch: 1, channels: 128, size: 512),
        ]
        + [(4096, 320), (1024, 640), (256, 1280)].map { rows, channels in
            Benchmark("layer norm 2×\(rows)×\(channels)", rank: 3) { graph in
                let x = try graph.input([2, rows, channels])
                return graph.node(
                    "LayerNormalization", [x, try graph.weights([channels]), try graph.weights([channels])], version: 17)
            }
        } + [
            Benchmark("softmax 16×1024×1024", rank: 3) { graph in graph.node("Softmax", [try graph.input([16, 1024, 1024])]) },
            Benchmark("softmax 16×4096×77", rank: 3) { graph in graph.node("Softmax", [try graph.input([16, 4096, 77])]) },
        ]

    private static let elementwise = [
        Benchmark("GELU 2×4096×1280", rank: 3) { graph in graph.node("Gelu", [try graph.input([2, 4096, 1280])]) },
        Benchmark("add 2×320×64×64", rank: 4) { graph in
            graph.node("Add", [try graph.input([2, 320, 64, 64]), try graph.input([2, 320, 64, 64])])
        },
        Benchmark("add per channel 2×320×64×64", rank: 4) { graph in
            graph.node("Add", [try graph.input([2, 320, 64, 64]), try graph.input([2, 320, 1, 1])])
        },
    ]

    private static let layouts = [
        Benchmark("transpose 2×320×4096", rank: 3) { graph in
            graph.node("Transpose", [try graph.input([2, 320, 4096])], attributes: NodeAttributes(["perm": .ints([0, 2, 1])]))
        },
        Benchmark("transpose heads 2×4096×8×40", rank: 4) { graph in
            graph.node(
                "Transpose", [try graph.input([2, 4096, 8, 40])], attributes: NodeAttributes(["perm": .ints([0, 2, 1, 3])]))
        },
        Benchmark("concat 2×(320 + 640)×64×64", rank: 4) { graph in
            graph.node(
                "Concat", [try graph.input([2, 320, 64, 64]), try graph.input([2, 640, 64, 64])],
                attributes: NodeAttributes(["axis": .int(1)]))
        },
    ]
}
