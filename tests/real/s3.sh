#!/bin/sh
# Backups in a bucket: a silverback is backed up to moto, a server that speaks S3, several times,
# with a file of more than one part, and restored; a backup is killed, an object damaged.
#
# usage: tests/real/s3.sh [path of the silverback binary]
#
# Without a path the release binary is used, and built when it is not there. moto is installed
# from PyPI into a virtual environment: $MOTO_VENV, or a temporary one.
set -eu
cd "$(dirname "$0")/../.."

binary=${1:-}
if [ -z "$binary" ]; then
    binary=${CARGO_TARGET_DIR:-target}/release/silverback
    [ -x "$binary" ] || cargo build --release --bin silverback
fi

venv=${MOTO_VENV:-}
if [ -z "$venv" ]; then
    venv=$(mktemp -d)
    trap 'rm -rf "$venv"' EXIT
fi
if [ ! -x "$venv/bin/moto_server" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q 'moto[server,s3]==5.*'
fi
"$venv/bin/python" tests/real/s3.py "$binary" "$venv/bin/moto_server"
