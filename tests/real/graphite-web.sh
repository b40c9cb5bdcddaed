#!/bin/sh
# graphite-web 1.1.10 as the cluster front end of a silverback: what it finds and renders through
# the node API (pickle) must be what the Graphite API answers directly.
#
# usage: tests/real/graphite-web.sh [path of the silverback binary]
#
# Without a path the release binary is used, and built when it is not there. graphite-web is
# installed from PyPI into a virtual environment: $GRAPHITE_WEB_VENV, or a temporary one.
set -eu
cd "$(dirname "$0")/../.."

. tests/real/graphite_web_venv.sh
python3 tests/real/front_end.py "$binary" "$venv/bin/django-admin"
