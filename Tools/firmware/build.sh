# Functions that build the application; run.sh and Tools/audit source this file.
#
# The Swift modules are built once per processor by SwiftPM, with Embedded Swift on boards and as they
# are on the host; a target adds its start-up code and a run adds its image.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/.build/firmware
# The tools beside the Swift compiler, whatever else is on the path.
tools=$(dirname "$(command -v swiftc)")

embedded=(
  -Xswiftc -enable-experimental-feature -Xswiftc Embedded -Xswiftc -wmo -Xswiftc -Osize
  -Xswiftc -Xfrontend -Xswiftc -function-sections
  -Xswiftc -Xfrontend -Xswiftc -disable-stack-protector
  -Xcc -Os -Xcc -ffunction-sections -Xcc -fdata-sections)

# Swift 6.3.1 may turn loads through r10, where it passes `self`, into one that moves r10 on, which the
# caller does not expect: `ldm.w r10!, {…}`. The pass that does so is switched off; Tools/audit looks for it.
swift_self=(-Xswiftc -Xllvm -Xswiftc -arm-load-store-opt=false)

# names FILE: the first word of each line that is not a comment.
names() { grep -v '^#' "$here/$1" | awk '{print $1}'; }

# find_target NAME: sets target, triple, board, script and runner.
find_target() {
  target=$1
  read -r _ triple board script runner < <(grep "^$1 " "$here/targets.txt") && return
  echo "no target $1; run.sh --list names them" >&2
  return 2
}

# build_modules [NAME]: compiles the core and a target of the package, the application unless named, for
# $triple; sets modules to their folder.
build_modules() {
  local options=()
  if [ "$triple" != - ]; then options=(--triple "$triple" "${embedded[@]}"); fi
  case $triple in
    armv7*) options+=("${swift_self[@]}") ;;
    # Boards may have their memory beyond the first 2 GiB.
    riscv64*) options+=(-Xcc -mcmodel=medany) ;;
  esac
  local scratch=$work/$triple
  [ "$triple" != - ] || scratch=$work/host
  quietly swift build --package-path "$root" --scratch-path "$scratch" -c release \
    --target "${1:-FirmwareApplication}" "${options[@]}" || return
  modules=$scratch/release
}

# build_images: writes the image of every run. The program is a debug build, which tests have made already.
build_images() {
  quietly swift build --package-path "$root" --product FirmwareImages || return
  mkdir -p "$work/images"
  "$root/.build/debug/FirmwareImages" "$here/runs.txt" "$work/images"
}

# objects [NAME]: the object files of the core and a target, the application unless named, of sources that
# still exist (a build folder keeps those of deleted ones).
objects() {
  local folder source last=${1:-FirmwareApplication}
  for folder in "$modules"/{Bytes,CounterRandom,FixedPoint,Tensors,Kernels,Layers,ModelFormat,Training,Journals,"$last"}.build; do
    while read -r source; do echo "$folder/$(basename "$source").o"; done <"$folder/sources"
  done
  for source in "$root"/Sources/MicroKernels/*.c; do
    echo "$modules/MicroKernels.build/$(basename "$source").o"
  done
}

# compile FOLDER FLAG… -- SOURCE…: compiles C for $triple, and what $board needs; sets compiled.
compile() {
  local folder=$1 flags=() sources object source
  shift
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  sources=("$here/boards/$board.c" "$@")
  case $board in
    cortex-m) sources+=("$here"/boards/{start,memory,integers}.c) ;;
    virt) sources+=("$here"/boards/{start,memory}.c "$here/boards/virt.S") ;;
    wasm) sources+=("$here"/boards/{memory,wide}.c) ;;
  esac
  if [ "$triple" != - ]; then
    flags+=(--target="$triple" -ffreestanding -fno-builtin -ffunction-sections -fdata-sections)
  fi
  case $triple in
    riscv32*) flags+=(-march=rv32imac_zicsr -mabi=ilp32); sources+=("$here/boards/integers.c") ;;
    riscv64*) flags+=(-march=rv64imac_zicsr -mabi=lp64 -mcmodel=medany) ;;
  esac
  mkdir -p "$folder"
  compiled=()
  for source in "${sources[@]}"; do
    object=$folder/$(basename "$source").o
    "$tools/clang" "${flags[@]}" -std=c2x -Os -Wall -Wextra -Werror -Wno-c23-extensions \
      -I "$here/Board" -c "$source" -o "$object" || return
    compiled+=("$object")
  done
}

# link OBJECT…: links $program from these and what compile has made.
link() {
  case $board in
    host) "$tools/swiftc" "$@" "${compiled[@]}" -o "$program" ;;
    wasm) "$tools/wasm-ld" --gc-sections --stack-first -z stack-size=65536 "$@" "${compiled[@]}" \
      -o "$program" ;;
    *) "$tools/ld.lld" --gc-sections -L "$here/boards" -T "$script" -Map "$program.map" \
      "${compiled[@]}" "$@" -o "$program" ;;
  esac
}

# link_run RUN [FLAG…]: links the target's program with a run's image; sets program.
link_run() {
  local run=$1
  shift
  [ -f "$work/images/$run.bin" ] || { echo "no run $run; run.sh --list names them" >&2; return 2; }
  program=$work/programs/$target/$run
  compile "$work/programs/$target" -DIMAGE="\"$work/images/$run.bin\"" "$@" -- \
    "$here/boards/image.c" || return
  # shellcheck disable=SC2046
  link $(objects)
}

# quietly COMMAND…: shows the output only if the command fails.
quietly() {
  local log
  log=$("$@" 2>&1) && return
  printf '%s\n' "$log" >&2
  return 1
}

# execute: runs $program, prints its lines, then digest, planned (arena, statics and the bound of the stack),
# ram (the same with the deepest stack) and flash.
execute() {
  local command status=0 output
  case $runner in
    PROGRAM | wasmkit*) command=${runner/PROGRAM/$program} ;;
    *) command="$runner -display none -monitor none -serial none -chardev stdio,id=console"
      command+=" -semihosting-config enable=on,target=native,chardev=console -kernel $program" ;;
  esac
  # shellcheck disable=SC2086
  output=$(timeout 600 $command </dev/null) || status=$?
  printf '%s\n' "$output" | grep -v '^digest '
  [ $status = 0 ] || { echo "$target: exit $status" >&2; return $status; }
  printf '%s\n' "$output" | grep '^digest '
  printf '%s\n' "$output" |
    awk '/^(arena|static|stack) / {used += $2} /^(arena|static|stack-bound) / {planned += $2}
      END {if (planned) print "planned " planned; if (used) print "ram " used}'
  echo "flash $(python3 "$root/Tools/audit/sizes.py" --flash "$program")"
}
