#!/usr/bin/env bash
# The whole suite under a sanitizer of the toolchain; a report fails the run.
#
#   Tools/sanitize.sh thread|address|undefined [FILTER]
#
# thread     data races
# address    memory that is not ours, or no longer
# undefined  undefined behaviour of the C microkernels, which Swift's own checks do not see
#
# Each has a build of its own in .build/sanitize; the first takes a quarter of an hour of two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kind=${1:?usage: Tools/sanitize.sh thread|address|undefined [FILTER]}
scratch=.build/sanitize/$kind
reports=$PWD/$scratch/report
# The tests start the command as a process and look for it beside themselves: it is built with them.
options=(--scratch-path "$scratch")
case $kind in
  thread)
    options+=(--sanitize thread)
    export TSAN_OPTIONS="log_path=$reports"
    ;;
  address)
    options+=(--sanitize address)
    # Leaks: Foundation and the testing library keep what they have until the end.
    export ASAN_OPTIONS="detect_leaks=0:log_path=$reports"
    ;;
  undefined)
    # Traps where it happens: no runtime library is needed. Alignment is the callers' promise, which the
    # kernels' loads do not rely on; it is checked all the same.
    options+=(-Xcc -fsanitize=undefined -Xcc -fsanitize-trap=undefined)
    ;;
  *) echo "no sanitizer $kind" >&2; exit 2 ;;
esac
mkdir -p "$scratch"
rm -f "$reports".*
swift build --build-tests "${options[@]}"
status=0
swift test --skip-build "${options[@]}" ${2:+--filter "$2"} || status=$?
for report in "$reports".*; do
  [ -e "$report" ] || continue
  cat "$report"
  status=1
done
exit $status
