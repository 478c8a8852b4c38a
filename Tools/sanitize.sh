#!/usr/bin/env bash
# The whole suite under a sanitizer of the toolchain; a report fails the run.
#
#   Tools/sanitize.sh thread|address|undefined [FILTER]
#
# thread     data races
# address    memory that is not ours, or no longer
# undefined  undefined behaviour of the C microkernels, which Swift's own checks do not see
#
# The first two have a build of their own in .build/sanitize, which takes a quarter of an hour of two cores.
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
    # Each process would keep its marks of constants in a file there, and fall over it where a test limits
    # the size of files; without it, it knows less of what cannot be written to, and finds the same races.
    export TEST_TMPDIR=/nonexistent
    ;;
  address)
    options+=(--sanitize address)
    # Leaks: Foundation and the testing library keep what they have until the end.
    export ASAN_OPTIONS="detect_leaks=0:log_path=$reports"
    ;;
  undefined)
    # Only C has undefined behaviour that Swift's own checks do not see: its files are compiled again, with
    # a trap for each check, and take the place of the ordinary ones in the debug build's test program.
    swift build --build-tests
    bin=$(swift build --show-bin-path)
    mkdir -p "$scratch"
    for file in Sources/MicroKernels/*.c; do
      clang -std=c11 -O0 -g -fPIC -ISources/MicroKernels/include \
        -fsanitize=undefined -fsanitize-trap=undefined -c "$file" -o "$scratch/${file##*/}.o"
    done
    sed "s|$bin/MicroKernels.build/|$PWD/$scratch/|" \
      "$bin/tallyPackageTests.product/Objects.LinkFileList" >"$scratch/objects"
    [ "$(grep -c "$PWD/$scratch/" "$scratch/objects")" -gt 10 ]
    swiftc -L "$bin" -emit-executable -Xlinker "-rpath=$bin" "@$scratch/objects" \
      -module-name tallyPackageTests -o "$scratch/tallyPackageTests.xctest"
    exec "$scratch/tallyPackageTests.xctest" --testing-library swift-testing ${2:+--filter "$2"}
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
