#!/bin/sh
# Compiles a command of the module e2e into bin and becomes it, in the folder e2e: run.sh demo -keep. The go command leaves its files behind
# when it is interrupted, so they are in a folder that is removed in any case.
set -eu
cd "$(dirname "$0")/.."
name=$1
shift

scratch=
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
scratch=$(mktemp -d)
case $name in
cases | bench) takes="about 2 minutes" ;;
*) takes="about 20 seconds" ;;
esac
[ -x "../bin/$name" ] || echo "$name: compiling the program that shows the progress ($takes the first time)"
GOTMPDIR=$scratch CGO_ENABLED=0 GOFLAGS="$(go env GOFLAGS) -trimpath" go build -o "../bin/$name" "./cmd/$name"
rm -rf "$scratch"
trap - EXIT INT TERM HUP
exec "../bin/$name" "$@"
