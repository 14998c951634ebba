#!/bin/sh
# Builds the server and tests it: its APIs by the clients of PyPI that people use, hostile and many clients, two
# servers behind nginx and HAProxy, and its page in Chromium.
# Python's packages lie in $SD_ONNX_TEST_CACHE/venv-server (default ~/.cache/sd-onnx/venv-server). Arguments go to pytest:
#     Tools/test-server.sh -k a1111
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
cache=${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}
venv="$cache/venv-server"
requirements=Server/Tests/requirements.txt

missing=
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || missing="$missing chromium"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
PATH=$PATH:/usr/sbin
command -v nginx >/dev/null 2>&1 || missing="$missing nginx"
command -v haproxy >/dev/null 2>&1 || missing="$missing haproxy"
python3 -c "import ensurepip, venv" 2>/dev/null || missing="$missing python3 python3-venv"
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "test-server: missing:$missing; install them with your package manager" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    echo "test-server: installing$missing" >&2
    $sudo apt-get update >&2
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >&2
fi
wanted=$(sha256sum $requirements 2>/dev/null || shasum -a 256 $requirements)
wanted=${wanted%% *}
if [ "$(cat "$venv/requirements.sha256" 2>/dev/null)" != "$wanted" ]; then
    mkdir -p "$cache"
    python3 -m venv --clear "$venv" >&2
    echo "test-server: installing the clients into $venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r $requirements >&2
    echo "$wanted" >"$venv/requirements.sha256"
fi
# A plan that is kept doesn't hear of files that the library has got since.
swift build -c release --package-path Server --product sd-onnx-serve --disable-build-manifest-caching
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider Server/Tests "$@"
