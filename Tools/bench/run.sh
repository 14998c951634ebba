#!/bin/sh
# Installs the peers, exports the full-size model where it is missing, and compares: Tools/bench/run.sh [--rows unet-64] [--json FILE]
# SD_ONNX_BENCH_MODEL names another Stable Diffusion 1.5 export.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}
model=${SD_ONNX_BENCH_MODEL:-$cache/sd15}
python=$("$root/Tools/setup-python.sh" | tail -n 1)
"$python" -m pip install --quiet --disable-pip-version-check openvino==2026.4.1
[ -e "$model/unet/model.onnx" ] || "$python" "$root/Tools/export-sd15.py" "$model"
exec "$python" "$root/Tools/bench/compare_peers.py" "$model" "$@"
