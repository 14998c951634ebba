#!/bin/sh
# Installs the peers, exports the full-size model where it is missing, and compares:
#     Tools/bench/run.sh                                single graphs in float32 and bfloat16, then pictures
#     Tools/bench/run.sh graphs --rows unet-64          single graphs, with options of compare_peers.py
#     Tools/bench/run.sh pictures --sizes 256 512 1024  pictures, with options of compare_pictures.py
# SD_ONNX_BENCH_MODEL names another Stable Diffusion 1.5 export, SD_ONNX_BENCH_HALF a half-precision export of the same model.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}
model=${SD_ONNX_BENCH_MODEL:-$cache/sd15}
half=${SD_ONNX_BENCH_HALF:-}
python=$("$root/Tools/setup-python.sh" | tail -n 1)
"$python" -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 matplotlib==3.11.2
[ -e "$model/unet/model.onnx" ] || "$python" "$root/Tools/export-sd15.py" "$model"

kind=${1:-all}
[ $# -eq 0 ] || shift
case $kind in
graphs) exec "$python" "$root/Tools/bench/compare_peers.py" "$model" "$@" ;;
pictures) exec "$python" "$root/Tools/bench/compare_pictures.py" "$model" ${half:+--half "$half"} "$@" ;;
all)
    "$python" "$root/Tools/bench/compare_peers.py" "$model"
    "$python" "$root/Tools/bench/compare_peers.py" "$model" --precision bf16
    exec "$python" "$root/Tools/bench/compare_pictures.py" "$model" ${half:+--half "$half"} --options="--fast" \
        --csv pictures.csv --plot pictures.svg
    ;;
*)
    echo "run.sh: there is nothing called \"$kind\" to compare; expected graphs, pictures, or nothing for both" >&2
    exit 64
    ;;
esac
