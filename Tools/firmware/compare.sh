#!/usr/bin/env bash
# Runs everything everywhere and prints a table: a row per run, a column per target, the digest's first
# 12 digits in each cell; below them RAM and flash. Exits 1 if a row holds two digests.
#
#   compare.sh [TARGET…]    all targets unless some are named
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

mapfile -t targets < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else names targets.txt; fi)
mapfile -t runs < <(names runs.txt)
declare -A result
failed=0

build_images
for name in "${targets[@]}"; do
  find_target "$name"
  build_modules
  for run in "${runs[@]}"; do
    link_run "$run"
    output=$(execute) || { echo "$name, $run: failed" >&2; failed=1; }
    for field in digest ram flash; do
      result[$run,$name,$field]=$(awk -v field=$field '$1 == field {print $2}' <<<"$output")
    done
  done
done

row() { printf '| %s ' "$@"; printf '|\n'; }

# cells RUN FIELD LENGTH: one cell per target.
cells() {
  local name
  for name in "${targets[@]}"; do echo "${result[$1,$name,$2]:0:$3}"; done
}

row run '' "${targets[@]}"
row '---' '---' "${targets[@]/*/---}"
for run in "${runs[@]}"; do
  mapfile -t digests < <(cells "$run" digest 64)
  mapfile -t values < <(cells "$run" digest 12)
  row "$run" digest "${values[@]}"
  [ "$(printf '%s\n' "${digests[@]}" | sort -u | grep -c .)" = 1 ] &&
    [ "$(printf '%s\n' "${digests[@]}" | grep -c '^[0-9a-f]\{64\}$')" = ${#targets[@]} ] ||
    { echo "$run: not one digest" >&2; failed=1; }
  for field in ram flash; do
    mapfile -t values < <(cells "$run" $field 12)
    row '' "$field, bytes" "${values[@]}"
  done
done
exit $failed
