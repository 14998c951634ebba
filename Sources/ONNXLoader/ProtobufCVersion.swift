import COnnxProto

/// Which protobuf-c the process has loaded.
package enum ProtobufCVersion {
    package static var text: String {
        unsafe protobuf_c_version().map { unsafe String(cString: $0) } ?? "of an unknown version"
    }
}
