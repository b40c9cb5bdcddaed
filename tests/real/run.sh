#!/bin/sh
# Silverback among real programs: collectd feeds it, directly and through carbon-c-relay;
# check_graphite and requests as Grafana and carbonapi send them read it.
#
# usage: tests/real/run.sh [path of the silverback binary]
#
# Without a path the release binary is used, and built when it is not there. Installs what is
# missing with apt-get. Everything listens on loopback, on ports that are free, and works in a
# temporary folder, which is kept when a check fails.
set -eu
cd "$(dirname "$0")/../.."

missing=
for package in collectd-core carbon-c-relay monitoring-plugins-contrib python3; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
        missing="$missing $package"
    fi
done
if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing
fi

binary=${1:-}
if [ -z "$binary" ]; then
    binary=${CARGO_TARGET_DIR:-target}/release/silverback
    [ -x "$binary" ] || cargo build --release --bin silverback
fi
exec python3 tests/real/feed.py "$binary"
