#!/usr/bin/env bash
# Puts the libraries into copies of templates/ as their README says, and checks what can be checked without
# the three tool chains: the sketch is compiled, linked with each library and run in QEMU with the few
# names of an Arduino core that it uses; manifests and scripts are read.
#
#   templates.sh
#
# Exits 1 if anything is wrong.
set -euo pipefail
library=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$library/build.sh"
copies=$output/templates
check=$library/templates/check

rm -rf "$copies"
mkdir -p "$copies"
cp -R "$library"/templates/{arduino,platformio,zephyr} "$copies"
mkdir -p "$copies"/{arduino/src,platformio/{include,lib},zephyr/{include,lib}}
build_images

# name of a board, the folder that an Arduino core looks for the library in
while read -r name folder; do
  find_target "$name"
  build_library "$(library_of "$triple")"
  mkdir -p "$copies/arduino/src/$folder"
  cp "$archive" "$copies/arduino/src/$folder/libtally.a"
  cp "$archive" "$copies/platformio/lib/"
  cp "$archive" "$copies/zephyr/lib/"
  for include in arduino/src platformio/include zephyr/include; do
    cp "$root/Sources/CTally/tally.h" "$copies/$include/"
  done

  sketch=$copies/arduino/examples/Train
  export_model dense-mlp "$sketch"
  program=$copies/train-$name
  compile "$copies/objects-$name" -I "$sketch" -I "$copies/arduino/src" -- "$sketch/model.c"
  # An Arduino core compiles a sketch as C++ behind its own header.
  "$tools/clang++" --target="$triple" -x c++ -std=c++17 -Os -Wall -Wextra -Werror -ffreestanding \
    -fno-exceptions -fno-rtti -ffunction-sections -I "$check" -I "$sketch" -I "$copies/arduino/src" \
    -I "$here/Board" -include Arduino.h -c "$sketch/Train.ino" -o "$program.o"
  link "$program.o" "$copies/arduino/src/$folder/libtally.a"
  lines=$(execute | grep '^step ')
  [ "$(wc -l <<<"$lines")" -ge 8 ] && grep -qE '^step 7: right [0-9]+ of [0-9]+$' <<<"$lines" ||
    { printf '%s: the sketch does not train:\n%s\n' "$name" "$lines" >&2; exit 1; }
  echo "$name: the sketch trains; $(tail -1 <<<"$lines")"
done <<'BOARDS'
cortex-m0 cortex-m0plus
cortex-m4 cortex-m4
BOARDS

build_library riscv32
cp "$archive" "$copies/zephyr/lib/"
python3 "$check/manifests.py" "$copies"
