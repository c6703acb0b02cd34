#!/bin/sh
# Compiles a command of the module e2e into bin and becomes it: run.sh demo -keep. The go command leaves its files behind
# when it is interrupted, so they are in a folder that is removed in any case.
set -eu
cd "$(dirname "$0")/.."
name=$1
shift

scratch=
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
scratch=$(mktemp -d)
[ -x "../bin/$name" ] || echo "$name: compiling the program that shows the progress (about 20 seconds the first time)"
GOTMPDIR=$scratch CGO_ENABLED=0 GOFLAGS="$(go env GOFLAGS) -trimpath" go build -o "../bin/$name" "./cmd/$name"
rm -rf "$scratch"
trap - EXIT INT TERM HUP
exec "../bin/$name" "$@"
