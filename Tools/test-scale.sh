#!/bin/sh
# Tests batches over several processes: a Slurm array with a slurmctld and a slurmd of its own, what the containers of the Kubernetes job
# run, GNU parallel. Python's packages lie in $SD_ONNX_TEST_CACHE/venv-scale (default ~/.cache/sd-onnx/venv-scale). Arguments go to pytest.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. Tools/test-packages.sh
cache=${SD_ONNX_TEST_CACHE:-$HOME/.cache/sd-onnx}
venv="$cache/venv-scale"
requirements=Tests/Scale/requirements.txt
PATH=$PATH:/usr/sbin

missing=
{ command -v slurmctld && command -v slurmd; } >/dev/null 2>&1 || missing="$missing slurm-wlm"
command -v munged >/dev/null 2>&1 || missing="$missing munge"
command -v parallel >/dev/null 2>&1 || missing="$missing parallel"
install_missing test-scale
install_requirements test-scale "$requirements" "$venv"
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider Tests/Scale "$@"
