// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "CustomOperator",
    dependencies: [.package(name: "sd-onnx", path: "../..")],
    targets: [
        .executableTarget(
            name: "CustomOperator",
            dependencies: [
                .product(name: "GraphRuntime", package: "sd-onnx"), .product(name: "ONNXLoader", package: "sd-onnx"),
                .product(name: "Ops", package: "sd-onnx"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
