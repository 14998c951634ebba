#!/bin/sh
# Tests batches over several processes: a Slurm array with a slurmctld and a slurmd of its own, what the containers of the Kubernetes job
# run, GNU parallel. Python's packages lie in $SD_ONNX_TEST_CACHE/venv-scale (default ~/.cache/sd-onnx/venv-scale). Arguments go to pytest.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
cache=${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}
venv="$cache/venv-scale"
requirements=Tests/Scale/requirements.txt
PATH=$PATH:/usr/sbin

missing=
{ command -v slurmctld && command -v slurmd; } >/dev/null 2>&1 || missing="$missing slurm-wlm"
command -v munged >/dev/null 2>&1 || missing="$missing munge"
command -v parallel >/dev/null 2>&1 || missing="$missing parallel"
python3 -c "import ensurepip, venv" 2>/dev/null || missing="$missing python3 python3-venv"
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "test-scale: missing:$missing; install them with your package manager" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    echo "test-scale: installing$missing" >&2
    $sudo apt-get update >&2
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >&2
fi
wanted=$(sha256sum $requirements)
wanted=${wanted%% *}
if [ "$(cat "$venv/requirements.sha256" 2>/dev/null)" != "$wanted" ]; then
    mkdir -p "$cache"
    python3 -m venv --clear "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r $requirements >&2
    echo "$wanted" >"$venv/requirements.sha256"
fi
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider Tests/Scale "$@"
