#!/usr/bin/env bash
# Uses Tally as another package would: by URL and version, from what is committed and tagged.
#
#   Tools/examples/by-url.sh     exits 0 if the examples build and every run is reproduced
#
# The URL is that of a clone in a temporary folder; nothing of the working folder is seen.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet --bare "$root" "$work/tally.git"
git -C "$work/tally.git" tag 0.1.0 HEAD
cp -r "$root/Tools/examples" "$work/examples"
rm -rf "$work/examples/.build" "$work/examples/Package.resolved"
sed -i 's|\.package(name: "tally", path: "../..")|.package(url: "file://'"$work"'/tally.git", from: "0.1.0")|' \
  "$work/examples/Package.swift"
grep -q 'from: "0.1.0"' "$work/examples/Package.swift"
swift build --package-path "$root" --product tally
"$root/.build/debug/tally" init "$work/examples/network.json" -o "$work/digits.tally" \
  --data "$root/Tools/tally/Resources/digits.npz"
cd "$work/examples"
swift run --quiet Examples "$work/digits.tally" "$root/Tools/tally/Resources/digits.npz" recipes/*.json
