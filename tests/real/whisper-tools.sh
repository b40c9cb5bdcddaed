#!/bin/sh
# Whisper files that a silverback writes, read by the scripts of Python whisper 1.1.10 and by
# graphite-web 1.1.10 directly; and files that Python writes while the silverback runs.
#
# usage: tests/real/whisper-tools.sh [path of the silverback binary]
#
# Without a path the release binary is used, and built when it is not there. Both packages are
# installed from PyPI into a virtual environment: $GRAPHITE_WEB_VENV, or a temporary one.
set -eu
cd "$(dirname "$0")/../.."

if ! ldconfig -p | grep -q libcairo.so.2; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -q
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends libcairo2
fi

binary=${1:-}
if [ -z "$binary" ]; then
    binary=${CARGO_TARGET_DIR:-target}/release/silverback
    [ -x "$binary" ] || cargo build --release --bin silverback
fi

venv=${GRAPHITE_WEB_VENV:-}
if [ -z "$venv" ]; then
    venv=$(mktemp -d)
    trap 'rm -rf "$venv"' EXIT
fi
if [ ! -x "$venv/bin/django-admin" ]; then
    python3 -m venv "$venv"
    GRAPHITE_NO_PREFIX=True "$venv/bin/pip" install -q graphite-web==1.1.10
fi
if [ ! -x "$venv/bin/whisper-info.py" ]; then
    "$venv/bin/pip" install -q whisper==1.1.10
fi
"$venv/bin/python" tests/real/whisper_tools.py "$binary" "$venv/bin"
