#!/bin/sh
# Installs what measure.py needs beside the references' environment, and runs it with the arguments.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
python=$("$root/Tools/setup-python.sh" | tail -n 1)
"$python" -m pip install --quiet --disable-pip-version-check scikit-image==0.26.0 matplotlib==3.11.2
exec "$python" "$root/Tools/quality/measure.py" "$@"
