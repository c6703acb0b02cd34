#!/bin/sh
# Runs golangci-lint, in the version that go.mod beside this file pins, in both modules: lint.sh run, or lint.sh fmt.
set -eu
cd "$(dirname "$0")/../.."

if [ "$1" = run ]; then
	echo "lint: a first run builds golangci-lint, which takes about 6 minutes on 2 cores"
	(while sleep 30; do echo "lint: still running"; done) &
	heartbeat=$!
	trap 'kill $heartbeat' EXIT
	trap 'exit 130' INT TERM
	set -- run --allow-serial-runners # wait for another run, such as an editor's, in place of failing
fi

status=0
go tool -modfile=e2e/tools/go.mod golangci-lint "$@" ./... && echo "ok lint autoscale.io" || status=1
cd e2e
# The control plane is compiled with -trimpath, and its thousands of packages are not compiled again for a look at their types.
GOFLAGS="$(go env GOFLAGS) -trimpath" go tool -modfile=tools/go.mod golangci-lint "$@" ./... && echo "ok lint autoscale.io/e2e" || status=1
exit $status
