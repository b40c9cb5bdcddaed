# What the scripts here need that run graphite-web, which source this: sets $binary, the silverback
# of the first argument or of a release build, and $venv, a virtual environment with graphite-web
# and whisper, both 1.1.10 from PyPI.

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
if [ ! -x "$venv/bin/django-admin" ] || [ ! -x "$venv/bin/whisper-info.py" ]; then
    python3 -m venv "$venv"
    GRAPHITE_NO_PREFIX=True "$venv/bin/pip" install -q graphite-web==1.1.10 whisper==1.1.10
fi
