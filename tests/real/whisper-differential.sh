#!/bin/sh
# Random files and update schedules, done by Python whisper 1.1.10 and by Silverback; every
# fetch of either's file by either must be the same.
#
#   tests/real/whisper-differential.sh [ROUNDS [SEED]]
#
# Needs python3 with venv and pip, and cargo. WHISPER_PYTHON names a python that has whisper
# 1.1.10 already. Prints the seed; the same seed repeats a run.
set -eu

rounds=${1:-2000}
seed=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${WHISPER_PYTHON:-}" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet whisper==1.1.10
    WHISPER_PYTHON=$work/venv/bin/python
fi

cd "$here/../.."
cargo build --quiet -p silverback-formats --example whisper_ops
target=${CARGO_TARGET_DIR:-target}
"$WHISPER_PYTHON" "$here/whisper_differential.py" \
    --ops "$target/debug/examples/whisper_ops" --work "$work" --rounds "$rounds" ${seed:+--seed "$seed"}
