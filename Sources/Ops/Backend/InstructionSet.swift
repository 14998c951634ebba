import CKernels

/// The widest vector instructions that the kernels use: those of the machine, or what the environment variable `SD_ONNX_CPU` lowers
/// them to.
public enum InstructionSet: String, Sendable {
    case plain, avx2, avx512

    public static var current: InstructionSet {
        switch Int(ck_level()) {
        case CK_LEVEL_AVX512: .avx512
        case CK_LEVEL_AVX2: .avx2
        default: .plain
        }
    }
}
