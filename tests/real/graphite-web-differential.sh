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

. tests/real/graphite_web_venv.sh
# shellcheck disable=SC2086 # a list of words
"$venv/bin/python" tests/real/graphite_web_differential.py $options \
    "$binary" "$venv/bin/django-admin"
