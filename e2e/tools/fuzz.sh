#!/bin/sh
# Runs every fuzz target of the root module for a while: fuzz.sh 10s. What it finds is kept below testdata, as a test from then on.
set -eu
cd "$(dirname "$0")/../.."

status=0
for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | grep -v '^\./e2e/' | sort); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "fuzz: $target of $(dirname "$file") for $1"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 1x "$(dirname "$file")" || status=1
	done
done
exit $status
