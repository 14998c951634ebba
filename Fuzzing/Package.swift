// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Fuzzing",
    platforms: [.macOS(.v26)],
    dependencies: [.package(name: "sd-onnx", path: "..")],
    targets: [
        .systemLibrary(name: "CLibFuzzer"),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "CLibFuzzer",
                .product(name: "GraphRuntime", package: "sd-onnx"),
                .product(name: "ONNXLoader", package: "sd-onnx"),
                .product(name: "Ops", package: "sd-onnx"),
                .product(name: "SDPipeline", package: "sd-onnx"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
