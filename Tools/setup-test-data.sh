#!/bin/sh
# Makes what the tests compare with and git doesn't keep: CLIP's vocabulary, ONNX's operator cases, and tiny exported models with
# ONNX Runtime's results. All of it goes to ${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}; what is there already is kept.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
python=$("$root/Tools/setup-python.sh" | tail -n 1)
PYTHON="$python" "$root/Tools/fetch-clip-vocabulary.sh"
for script in onnx_node_cases ort_cases microsoft_cases traditional_ml_cases numeric_cases export_models optimised_models quantised_models schedulers families controls step_caching adapters; do
    echo "setup-test-data: $script"
    "$python" "$root/Tests/References/$script.py"
done
