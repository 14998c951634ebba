#!/bin/sh
# Makes the Python environment that the reference scripts run in: $SD_ONNX_TEST_CACHE/venv (default ~/.cache/sd-onnx/venv), from
# Tests/References/requirements.txt. With the argument "transformers5" a small second one, from requirements-transformers5.txt, which
# only tokenizer.py needs; with "open-clip" one from requirements-open-clip.txt, for clip_similarity.py. Does nothing when the environment is there and the requirements are unchanged.
# Prints the path of its python as the last line.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}
case ${1:-} in
"")
    requirements="$root/Tests/References/requirements.txt"
    venv="$cache/venv"
    size="several gigabytes, some minutes"
    ;;
transformers5)
    requirements="$root/Tests/References/requirements-transformers5.txt"
    venv="$cache/venv-transformers5"
    size="300 megabytes"
    ;;
open-clip)
    requirements="$root/Tests/References/requirements-open-clip.txt"
    venv="$cache/venv-open-clip"
    size="several gigabytes, some minutes"
    ;;
*)
    echo "setup-python: there is no environment \"$1\"; expected none, \"transformers5\" or \"open-clip\"" >&2
    exit 64
    ;;
esac
stamp="$venv/requirements.sha256"
wanted=$(sha256sum "$requirements" 2>/dev/null || shasum -a 256 "$requirements")
wanted=${wanted%% *}

if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c "import sys" 2>/dev/null; then
    echo "$venv/bin/python"
    exit 0
fi

if ! python3 -c "import ensurepip, venv" 2>/dev/null; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "setup-python: python3 with its venv module is needed; install it and run this again" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    echo "setup-python: installing python3-venv" >&2
    $sudo apt-get update >&2
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv >&2
fi

mkdir -p "$cache"
if ! "$venv/bin/python" -c "import pip" 2>/dev/null; then
    python3 -m venv --clear "$venv" >&2
fi
rm -f "$stamp"
echo "setup-python: installing the reference libraries into $venv ($size)" >&2
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2
echo "$wanted" >"$stamp"
echo "$venv/bin/python"
