# What Tools/test-server.sh and Tools/test-scale.sh share: sourced by them.

# Debian's packages that are missing, in $missing; $1 names the script in messages.
install_missing() {
    python3 -c "import ensurepip, venv" 2>/dev/null || missing="$missing python3 python3-venv"
    if [ -z "$missing" ]; then return; fi
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "$1: missing:$missing; install them with your package manager" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
    echo "$1: installing$missing" >&2
    $sudo apt-get update >&2
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >&2
}

# Python's packages of the file $2, in the virtual environment $3, made anew where the file has changed; $1 as above.
install_requirements() {
    wanted=$(sha256sum "$2" 2>/dev/null || shasum -a 256 "$2")
    wanted=${wanted%% *}
    if [ "$(cat "$3/requirements.sha256" 2>/dev/null)" = "$wanted" ]; then return; fi
    mkdir -p "$(dirname "$3")"
    python3 -m venv --clear "$3" >&2
    echo "$1: installing Python's packages into $3" >&2
    "$3/bin/python" -m pip install --quiet --disable-pip-version-check -r "$2" >&2
    echo "$wanted" >"$3/requirements.sha256"
}
