#!/bin/sh
# Runs the numeric tests once more with each instruction set below this machine's own (see SD_ONNX_CPU in docs/command-line.md).
# They must have been built: make test.
set -eu

flag() { grep -q -w "$1" /proc/cpuinfo 2>/dev/null; }
levels=
if flag avx512f && flag avx512vl; then levels=avx2; fi
if flag avx2 && flag fma; then levels="$levels plain"; fi
if [ -z "$levels" ]; then echo "test-levels: this machine has no instruction set to leave out"; fi
for level in $levels; do
    echo "test-levels: $level"
    SD_ONNX_CPU=$level swift test -c release --skip-build \
        --filter 'OpsTests|ExportedGraphTests|FusionOnExportsTests|DiffusersParityTests'
done
