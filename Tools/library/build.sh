#!/usr/bin/env bash
# Builds the library that C programs link: libtally-TARGET.a with tally.h, in .build/library/.
#
#   build.sh TARGET…   prints code size per module and the names it asks for from outside
#   build.sh --list    the targets
#
# The library is one object: the core and TallyC, without what no function of tally.h reaches. It hides
# every name but those of tally.h. Exits 1 if it asks for more than memory movers and integer helpers.
set -euo pipefail
library=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$library/../firmware/build.sh"
output=$root/.build/library

# functions: the names of tally.h.
functions() { grep -oE '\btally_[a-z_]+\(' "$root/Sources/CTally/tally.h" | tr -d '(' | sort -u; }

# build_library NAME: sets archive to the library's file.
build_library() {
  local name=$1 architecture roots=() keep=() object
  read -r _ triple architecture < <(grep "^$name " "$library/targets.txt") ||
    { echo "no target $name; build.sh --list names them" >&2; return 2; }
  build_modules TallyC
  mkdir -p "$output"
  object=$output/tally-$name.o
  archive=$output/libtally-$name.a
  while read -r function; do
    roots+=(-u "$function")
    keep+=(--keep-global-symbol="$function")
  done < <(functions)
  # Arm's build attributes would tie the library to one calling convention for floats; it has none.
  # shellcheck disable=SC2046
  "$tools/ld.lld" -r --gc-sections "${roots[@]}" $(objects TallyC) -o "$object.all"
  "$tools/llvm-objcopy" --strip-debug --remove-section=.ARM.attributes \
    --remove-section='swift5_*' --remove-section='.swift*' --remove-section='.rel.swift*' \
    --remove-section='.rela.swift*' "${keep[@]}" "$object.all" "$object"
  rm -f "$archive"
  (cd "$output" && "$tools/llvm-ar" rcs "$archive" "$(basename "$object")")
  cp "$root/Sources/CTally/tally.h" "$output/"
  echo "libtally-$name.a:"
  python3 "$library/report.py" "$architecture" "$object" "$object.all"
}

# export_model RUN FOLDER: model.h and model.c of a run's model and recipe (build_images has made them).
export_model() {
  quietly swift build --package-path "$root" --product tally
  mkdir -p "$2"
  "$root/.build/debug/tally" export "$work/images/$1.tally" --to c --force -o "$2" \
    --recipe "$work/images/$1.json" >/dev/null
}

# library_of TRIPLE: the library's target.
library_of() {
  if [ "$1" = - ]; then echo x86_64-linux; else
    grep -v '^#' "$library/targets.txt" | awk -v triple="$1" '$2 == triple {print $1}'
  fi
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case ${1:---help} in
    --list) grep -v '^#' "$library/targets.txt" | awk '{print $1}' ;;
    -*) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
    *) for name in "$@"; do build_library "$name"; done ;;
  esac
fi
