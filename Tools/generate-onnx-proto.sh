#!/bin/sh
# Regenerates the C code of Sources/COnnxProto from onnx.proto, with protoc-c (Debian: protobuf-c-compiler).
set -eu
cd "$(dirname "$0")/../Sources/COnnxProto"
protoc-c --c_out=. onnx.proto
mv onnx.pb-c.h include/onnx.pb-c.h
