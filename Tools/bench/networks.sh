#!/bin/sh
# Makes or fetches the graphs that are missing, and compares with ONNX Runtime: Tools/bench/networks.sh [--rows magika] [--json FILE]
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
python=$("$root/Tools/setup-python.sh" | tail -n 1)
exec "$python" "$root/Tools/bench/compare_networks.py" "$@"
