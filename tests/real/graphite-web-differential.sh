#!/bin/sh
# Random expressions, answered by graphite-web 1.1.10 over whisper files and by a silverback that
# was sent the same points.
#
# usage: tests/real/graphite-web-differential.sh [--seed N] [--count N] [path of the binary]
#
# Every difference must be one that docs/compatibility.md tells of: those are counted by quirk,
# any other is printed and fails the run. Without a path the release binary is used, and built
# when it is not there. graphite-web is installed from PyPI into a virtual environment:
# $GRAPHITE_WEB_VENV, or a temporary one.
set -eu
cd "$(dirname "$0")/../.."

options=
while [ $# -gt 1 ]; do
    options="$options $1 $2"
    shift 2
done

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
if [ ! -x "$venv/bin/whisper-info.py" ]; then
    python3 -m venv "$venv"
    GRAPHITE_NO_PREFIX=True "$venv/bin/pip" install -q graphite-web==1.1.10 whisper==1.1.10
fi
# shellcheck disable=SC2086 # a list of words
"$venv/bin/python" tests/real/graphite_web_differential.py $options \
    "$binary" "$venv/bin/django-admin"
