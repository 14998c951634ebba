#!/bin/sh
# Installs the system libraries that the package links with, where they are missing: protobuf-c, OpenBLAS, libpng,
# zlib and libjpeg-turbo.
# With apt-get on Debian and Ubuntu (sudo only if not root); elsewhere it says what is missing.
set -eu

missing=
need() { # package, header
    for folder in /usr/include /usr/include/"$(uname -m)"-linux-gnu /usr/local/include /opt/homebrew/include; do
        [ -e "$folder/$2" ] && return 0
    done
    missing="$missing $1"
}
need libprotobuf-c-dev protobuf-c/protobuf-c.h
need libopenblas-dev cblas.h
need libpng-dev png.h
need zlib1g-dev zlib.h
need libjpeg-dev jpeglib.h
command -v pkg-config >/dev/null 2>&1 || missing="$missing pkg-config"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-dependencies: missing:$missing; install them with your package manager (Homebrew: protobuf-c openblas libpng zlib jpeg-turbo)" >&2
    exit 1
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
echo "install-dependencies: installing$missing" >&2
$sudo apt-get update >&2
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >&2
