#!/usr/bin/env bash
# Builds the application for a target with a run's image, runs it, and prints what came out.
#
#   run.sh TARGET [RUN]   lines of a name and a value; the last are `digest`, `ram` and `flash`
#   run.sh --list         the targets and the runs
#
# Exits 0 if the program ran to its end, 3 if it reported an error, 4 if it trapped.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/build.sh"

case ${1:---help} in
  --list)
    printf 'targets: %s\nruns: %s\n' "$(names targets.txt | xargs)" "$(names runs.txt | xargs)"
    exit
    ;;
  -*)
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac

find_target "$1"
run=${2:-$(names runs.txt | head -1)}
[ -n "${TALLY_BUILT-}" ] || build_images
build_modules
link_run "$run"
execute
