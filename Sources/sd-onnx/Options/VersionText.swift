import Foundation
import ONNXLoader
import Ops
import SDPipeline

/// What `--version` prints: the program, and what else decides on speed and on last bits.
enum VersionText {
    static var text: String {
        """
        sd-onnx \(ProgramVersion.current)
        instruction set \(InstructionSet.current.rawValue)
        OpenBLAS \(OpenBLASVersion.text)
        protobuf-c \(ProtobufCVersion.text)
        libpng \(LibPNGVersion.text)
        libjpeg-turbo \(LibJPEGVersion.text)
        """
    }
}
