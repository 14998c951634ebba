// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "sd-onnx",
    platforms: [.macOS(.v26)],
    products: [
        .library(name: "GraphRuntime", targets: ["GraphRuntime"]),
        .library(name: "ONNXLoader", targets: ["ONNXLoader"]),
        .library(name: "Ops", targets: ["Ops"]),
        .library(name: "SDPipeline", targets: ["SDPipeline"]),
        .executable(name: "sd-onnx", targets: ["sd-onnx"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0")
    ],
    targets: [
        .systemLibrary(
            name: "COpenBLAS", pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
        .systemLibrary(
            name: "CPNG", pkgConfig: "libpng",
            providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
        .systemLibrary(
            name: "CZlib", pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(
            name: "CJPEG", pkgConfig: "libjpeg",
            providers: [.apt(["libjpeg-dev"]), .brew(["jpeg-turbo"])]),
        .systemLibrary(
            name: "CProtobufC", pkgConfig: "libprotobuf-c",
            providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),
        .target(name: "COnnxProto", dependencies: ["CProtobufC"]),
        .target(name: "CPNGReader", dependencies: ["CPNG"]),
        .target(name: "CJPEGReader", dependencies: ["CJPEG"]),
        .target(name: "CKernels"),
        .target(name: "COpenBLASControl"),
        .target(name: "CMappedFileGuard"),
        .target(name: "CSpinWait"),
        .target(name: "GraphRuntime", dependencies: ["CKernels", "CMappedFileGuard", "CSpinWait"]),
        .target(name: "ONNXLoader", dependencies: ["GraphRuntime", "COnnxProto"]),
        .target(
            name: "Ops",
            dependencies: ["GraphRuntime", "CKernels", "COpenBLAS", "COpenBLASControl", "CPNGReader", "CJPEGReader"]),
        .target(
            name: "SDPipeline",
            dependencies: ["GraphRuntime", "ONNXLoader", "Ops", "CKernels", "CPNG", "CPNGReader", "CJPEGReader", "CZlib"]),
        .executableTarget(
            name: "sd-onnx",
            dependencies: [
                "SDPipeline", "Ops", "ONNXLoader", "GraphRuntime",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            // It reads options and prints reports, which nobody waits for; optimising it took an eighth of the build.
            swiftSettings: [.unsafeFlags(["-Onone"], .when(configuration: .release))]),
        .target(name: "TestSupport", dependencies: ["GraphRuntime"], path: "Tests/TestSupport"),
        .testTarget(name: "GraphRuntimeTests", dependencies: ["GraphRuntime", "TestSupport"]),
        .testTarget(name: "ONNXLoaderTests", dependencies: ["ONNXLoader", "TestSupport"], exclude: ["Fixtures"]),
        .testTarget(name: "OpsTests", dependencies: ["Ops", "ONNXLoader", "TestSupport"], exclude: ["Fixtures"]),
        .testTarget(name: "SDPipelineTests", dependencies: ["SDPipeline", "TestSupport"], exclude: ["Fixtures"]),
        .testTarget(name: "CommandLineTests", dependencies: ["SDPipeline", "TestSupport"], exclude: ["Fixtures"]),
    ],
    swiftLanguageModes: [.v6]
)

// Whatever isn't memory-safe is marked `unsafe`, and where that may be is said in docs/architecture.md.
for target in package.targets where [.regular, .executable, .test].contains(target.type) {
    target.swiftSettings = (target.swiftSettings ?? []) + [.strictMemorySafety()]
}

// `make docs` alone needs the plugin: who builds the package or depends on it doesn't fetch it.
if Context.environment["SD_ONNX_DOCS"] != nil {
    package.dependencies.append(.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"))
}
