#!/bin/sh
# Runs the numeric tests once more with each instruction set below this machine's own, those of bfloat16 with pairs of such multiplied and
# by AMX or what takes its place in plain C, and those of integers with VNNI and without AMX (see SD_ONNX_CPU in
# docs/command-line.md). They must have been built: make test. Named, AMX and VNNI also round what is too little to gain by it, which the
# embedded model's pictures, all of them little work, are not promised to bear: only kernels are tested so.
set -eu

flag() { grep -q -w "$1" /proc/cpuinfo 2>/dev/null; }
run() {
    echo "test-levels: $1"
    SD_ONNX_CPU=$1 swift test -c release --skip-build --filter "$2"
}

levels=
own=
if flag avx2 && flag fma; then own=avx2; levels=plain; fi
if flag avx512f && flag avx512vl; then own=avx512; levels="avx2 plain"; fi
if [ -z "$own" ]; then echo "test-levels: this machine has no instruction set to leave out"; fi
if [ -n "$own" ]; then run "$own+bf16" 'BFloat16|AttentionTests'; fi
if [ "$own" = avx512 ]; then
    run avx512+amx 'DynamicProductTests|IntegerProductTests|QuantizationTests|QuantisedModelTests|BFloat16Tests|AttentionTests|TileConvolutionTests'
    if flag amx_tile; then run avx512 'IntegerProductTests|QuantizationTests|QuantisedModelTests|BFloat16|AttentionTests'; fi
fi
if flag avx512_vnni && [ "$own" = avx512 ]; then run avx512+vnni 'DynamicProductTests|DynamicConvolutionTests'; fi
if flag avx_vnni && [ "$own" = avx512 ]; then
    run avx2+vnni 'IntegerProductTests|QuantizationTests|DynamicProductTests|DynamicConvolutionTests'
fi
for level in $levels; do
    run "$level" 'OpsTests|ExportedGraphTests|FusionOnExportsTests|DiffusersParityTests|FamilyParityTests'
done
