#!/usr/bin/env bash
# Builds the examples as a package of their own that depends on Tally, and runs them.
#
#   Tools/examples/run.sh     exits 0 if every run is reproduced from its journal
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
swift build --package-path "$root" --product tally
"$root/.build/debug/tally" init network.json -o "$work/digits.tally" --data "$root/Tools/tally/Resources/digits.npz"
swift run --quiet Examples "$work/digits.tally" "$root/Tools/tally/Resources/digits.npz" recipes/*.json
