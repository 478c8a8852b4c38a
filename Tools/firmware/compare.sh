#!/usr/bin/env bash
# Runs everything everywhere and prints two tables: a row per run, a column per target; digests, then RAM
# and flash. Exits 1 if a run fails, holds two digests, or uses more than its plan.
#
#   compare.sh [TARGET…]      all targets unless some are named
#   compare.sh --readme       all targets, and puts the tables into README.md
#   compare.sh --self-test    plants a wrong rounding in one target; succeeds if that is found
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

readme=
case ${1-} in
  --readme) readme=$root/README.md && shift ;;
  --self-test)
    # One target is a machine that rounds wrongly, for one run.
    output=$(PLANTED_TARGET=cortex-m0 "${BASH_SOURCE[0]}" host cortex-m0 2>&1) && status=0 || status=$?
    printf '%s\n' "$output" | tail -4
    [ $status = 1 ] && grep -q 'not one digest' <<<"$output" || { echo 'not found' >&2; exit 1; }
    echo 'the planted difference is found'
    exit
    ;;
  -*) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
esac

mapfile -t targets < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else names targets.txt; fi)
mapfile -t runs < <(names runs.txt)
[ -z "${PLANTED_TARGET-}" ] || runs=("${runs[0]}")
declare -A result
failed=0

build_images
for name in "${targets[@]}"; do
  find_target "$name"
  build_modules
  flags=()
  [ "$name" != "${PLANTED_TARGET-}" ] || flags=(-DPLANTED_DIFFERENCE)
  for run in "${runs[@]}"; do
    link_run "$run" "${flags[@]}"
    output=$(execute) || { printf '%s, %s failed:\n%s\n' "$name" "$run" "$output" >&2; failed=1; }
    for field in digest planned ram flash; do
      result[$run,$name,$field]=$(awk -v field=$field '$1 == field {print $2}' <<<"$output")
    done
  done
done

row() { printf '| %s ' "$@"; printf '|\n'; }

tables() {
  local run name cells
  row 'digest of the run' "${targets[@]}"
  row '---' "${targets[@]/*/---}"
  for run in "${runs[@]}"; do
    cells=()
    for name in "${targets[@]}"; do cells+=("\`${result[$run,$name,digest]:0:8}\`"); done
    row "$run" "${cells[@]}"
  done
  echo
  row 'RAM planned / used / flash, bytes' "${targets[@]}"
  row '---' "${targets[@]/*/---}"
  for run in "${runs[@]}"; do
    cells=()
    for name in "${targets[@]}"; do
      cells+=("${result[$run,$name,planned]} / ${result[$run,$name,ram]} / ${result[$run,$name,flash]}")
    done
    row "$run" "${cells[@]}"
  done
}

for run in "${runs[@]}"; do
  digests=$(for name in "${targets[@]}"; do echo "${result[$run,$name,digest]}"; done)
  [ "$(sort -u <<<"$digests" | grep -c .)" = 1 ] &&
    [ "$(grep -c '^[0-9a-f]\{64\}$' <<<"$digests")" = ${#targets[@]} ] ||
    { echo "$run: not one digest" >&2; failed=1; }
done
for run in "${runs[@]}"; do
  for name in "${targets[@]}"; do
    [ "${result[$run,$name,ram]:-1}" -le "${result[$run,$name,planned]:-0}" ] ||
      { echo "$run, $name: more memory than planned" >&2; failed=1; }
  done
done
tables
if [ -n "$readme" ] && [ $failed = 0 ]; then
  tables >"$work/tables.md"
  python3 - "$readme" "$work/tables.md" <<'PYTHON'
import re, sys
readme, tables = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
begin, end = "<!-- Tools/firmware/compare.sh --readme -->\n", "<!-- end of it -->\n"
text, count = re.subn(re.escape(begin) + ".*?" + re.escape(end),
                      lambda _: f"{begin}\n{tables}\n{end}", readme, flags=re.DOTALL)
if count != 1:
    sys.exit("README.md has no place for the tables")
open(sys.argv[1], "w", encoding="utf-8").write(text)
PYTHON
fi
exit $failed
