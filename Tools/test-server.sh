#!/bin/sh
# Builds the server and tests it: its APIs by the clients of PyPI that people use, hostile and many clients, two
# servers behind nginx and HAProxy, and its page in Chromium.
# Python's packages lie in $SD_ONNX_TEST_CACHE/venv-server (default ~/.cache/sd-onnx/venv-server). Arguments go to pytest:
#     Tools/test-server.sh -k a1111
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. Tools/test-packages.sh
cache=${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}
venv="$cache/venv-server"
requirements=Server/Tests/requirements.txt

missing=
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || missing="$missing chromium"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
PATH=$PATH:/usr/sbin
command -v nginx >/dev/null 2>&1 || missing="$missing nginx"
command -v haproxy >/dev/null 2>&1 || missing="$missing haproxy"
install_missing test-server
install_requirements test-server "$requirements" "$venv"
# A plan that is kept doesn't hear of files that the library has got since.
swift build -c release --package-path Server --product sd-onnx-serve --disable-build-manifest-caching
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider Server/Tests "$@"
