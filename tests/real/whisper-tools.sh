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

. tests/real/graphite_web_venv.sh
"$venv/bin/python" tests/real/whisper_tools.py "$binary" "$venv/bin"
