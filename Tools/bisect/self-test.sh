#!/usr/bin/env bash
# Builds a `tally` that rounds down where half up is due, trains with it and with the right one, and passes
# only if `tally bisect` finds the wrong result down to the element.
#
#   self-test.sh     exits 0 if it was found, 1 if not, 2 if the faulty program could not be made
#
# The fault is put into a copy of the sources: the program itself has no switch for it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$root/.build/bisect
copy=$work/faulty
resources=$root/Tools/tally/Resources

# change FILE PATTERN REPLACEMENT: fails if nothing changes.
change() {
  sed "s/$2/$3/" "$1" >"$1.changed"
  ! cmp -s "$1" "$1.changed" || { echo "$1 has no $2" >&2; exit 2; }
  mv "$1.changed" "$1"
}

mkdir -p "$copy"
cp -R "$root"/{Package.swift,Sources,Tests,Tools} "$copy"
kernels=$copy/Sources/MicroKernels
change "$kernels/internal.h" \
  'return saturate((p + ((int64_t)1 << (shift - 1))) >> shift);' 'return saturate(p >> shift);'
# Every processor takes the plain loops, where the fault is.
change "$kernels/dispatch.c" 'return known | sha | \(vnni\|avx2\);' 'return known | sha | plain;'

swift build --package-path "$root" --product tally >/dev/null
swift build --package-path "$copy" --scratch-path "$work/build" --product tally >/dev/null || exit 2
right=$root/.build/debug/tally
wrong=$work/build/debug/tally

cd "$work"
data="$resources/digits.npz[0..<400]"
echo '{"epochs": 1, "steps": 20, "batch": 8, "microBatch": 4, "learningRate": "1/64", "rootEvery": 4}' >r.json
"$right" convert "$resources/digits.onnx" -o m.tally --calibrate "$data" --input-scale 1/16 --force -q >/dev/null
"$right" train m.tally --data "$data" --recipe r.json -o a.tally --journal a.tlj --force -q >/dev/null
"$wrong" train m.tally --data "$data" --recipe r.json -o b.tally --journal b.tlj --force -q >/dev/null

# bisect FILE FILE FIELD: what `tally bisect --json` says; it must find a difference.
bisect() {
  local said status=0
  said=$("$right" bisect "$1" "$2" --model m.tally --json) || status=$?
  [ $status = 1 ] || { echo "tally bisect $1 $2: $status, $said" >&2; return 1; }
  python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$3" <<<"$said"
}

steps=$(bisect a.tlj b.tlj trace)
for _ in 1 2; do
  "$right" bisect a.tlj --trace "$steps" --model m.tally --data "$data" -o a.tlt --force -q >/dev/null
  "$wrong" bisect b.tlj --trace "$steps" --model m.tally --data "$data" -o b.tlt --force -q >/dev/null
  case $steps in
    *..\<*) steps=$(bisect a.tlt b.tlt step) ;;
    *) break ;;
  esac
done
"$right" bisect a.tlj b.tlj --model m.tally --data "$data" || true
"$right" bisect a.tlt b.tlt --model m.tally || true
operation=$(bisect a.tlt b.tlt operation)
confirmed=$(bisect a.tlt b.tlt confirmed)
[[ $operation == 'the output of '* && $confirmed == a.tlt ]] ||
  { echo "found $operation, confirmed $confirmed" >&2; exit 1; }
