#!/usr/bin/env bash
# Exports a model to C, builds the C example with the library, runs it, and holds its digest against that
# of the Swift application (Tools/firmware), which does the same run.
#
#   example.sh [TARGET…]   host, cortex-m0, cortex-m4 unless named; targets are those of Tools/firmware
#
# Exits 1 if a digest differs or a check fails.
set -euo pipefail
library=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$library/build.sh"
run=dense-mlp
folder=$output/example

# check_model: compiles the model on its own, as strictly as C compilers can.
check_model() {
  "$tools/clang" -std=c99 -Wall -Wextra -Werror -pedantic -c "$folder/model.c" -o "$folder/model.o"
  ! command -v gcc >/dev/null ||
    gcc -std=c99 -Wall -Wextra -Werror -pedantic -c "$folder/model.c" -o "$folder/model.o"
}

# link_example: builds the program of $target from C; sets program.
link_example() {
  program=$folder/$target
  if [ "$triple" = - ]; then
    "$tools/clang" -std=c11 -Os -Wall -Wextra -Werror -I "$folder" -I "$output" \
      "$library"/example/{train,host}.c "$folder/model.c" "$archive" -o "$program"
    return
  fi
  compile "$folder/objects-$target" -I "$folder" -I "$output" -I "$library/example" -- \
    "$library"/example/{train,board}.c "$folder/model.c"
  link "$archive"
}

build_images
export_model "$run" "$folder"
check_model
failed=0
[ $# -gt 0 ] || set -- host cortex-m0 cortex-m4
for name in "$@"; do
  find_target "$name"
  build_library "$(library_of "$triple")"
  # The library of this machine is built for another name of it.
  find_target "$name"
  link_example
  found=$(execute) || failed=1
  printf '%s\n' "$found"
  build_modules
  link_run "$run"
  expected=$(execute | awk '$1 == "digest" {print $2}')
  if [ -n "$expected" ] && grep -qx "digest $expected" <<<"$found"; then
    echo "$name: the library's digest is the application's"
  else
    echo "$name: the library's digest is not the application's, $expected" >&2
    failed=1
  fi
done
exit $failed
