#!/bin/sh
# Runs golangci-lint, in the version that go.mod beside this file pins, in both modules: lint.sh run, or lint.sh fmt.
set -eu
cd "$(dirname "$0")/../.."

if [ "$1" = run ]; then
	echo "lint: a first run builds golangci-lint, which takes about 6 minutes on 2 cores"
	# The sleep is the heartbeat's own, and must not hold up who reads what this script writes.
	(
		trap 'kill $!; exit' TERM
		while sleep 30 >/dev/null 2>&1 & wait $!; do echo "lint: still running"; done
	) &
	heartbeat=$!
	trap 'kill $heartbeat' EXIT
	trap 'exit 130' INT TERM
	set -- run --allow-serial-runners # wait for another run, such as an editor's, in place of failing
fi

# One golangci-lint for both modules; with other flags it would be built a second time.
lint=$(go tool -n -modfile=e2e/tools/go.mod golangci-lint)
# What is linted is compiled for its types with the flags of the control plane, so that its thousands of packages are not
# compiled again.
GOFLAGS="$(go env GOFLAGS) -trimpath"
export GOFLAGS CGO_ENABLED=0

status=0
"$lint" "$@" ./... && echo "ok lint autoscale.io" || status=1
cd e2e
"$lint" "$@" ./... && echo "ok lint autoscale.io/e2e" || status=1
exit $status
