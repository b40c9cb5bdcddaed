#!/bin/sh
# Random rules and schedules of points, given to Python whisper 1.1.10 and to a database with
# blocks that are sealed, rolled up, merged and opened again in between; after each step every
# archive must be the same.
#
#   tests/real/roll-ups.sh [ROUNDS [SEED]]
#
# Needs python3 with venv and pip, and cargo. WHISPER_PYTHON names a python that has whisper
# 1.1.10 already. Prints the seed; the same seed repeats a run.
set -eu

rounds=${1:-300}
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
cargo build --quiet -p silverback-engine --example roll_up_ops
target=${CARGO_TARGET_DIR:-target}
"$WHISPER_PYTHON" "$here/roll_ups.py" \
    --ops "$target/debug/examples/roll_up_ops" --work "$work" --rounds "$rounds" ${seed:+--seed "$seed"}
