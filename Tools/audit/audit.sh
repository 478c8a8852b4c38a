#!/usr/bin/env bash
# Shows that the core has no floating point and allocates nothing, for every processor it is built for.
#
#   audit.sh              everything; code sizes per module at the end
#   audit.sh --self-test  plants a float and an allocation and succeeds only if the audit finds each
#
# README.md says what each check covers. Exits 0, or 1 with findings.
set -euo pipefail
audit=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$audit/../firmware/build.sh"

# The processors, each with the name image.py knows it by and whether its IR is checked too.
processors='
armv6m-none-none-eabi     armv6m   ir
armv7em-none-none-eabi    armv7em  ir
riscv32-none-none-eabi    riscv    -
riscv64-none-none-eabi    riscv    -
aarch64-none-none-elf     aarch64  -
wasm32-unknown-none-wasm  wasm     -
-                         x86      -'

failed=0
check() {
  echo "$1:"
  shift
  "$@" || failed=1
}

# probe ARCHITECTURE [OBJECT…]: links the core and the application, and nothing else; sets files.
probe() {
  local architecture=$1 program=$work/probes/$triple roots=()
  shift
  mkdir -p "$work/probes"
  files=("$program")
  [ $# = 0 ] || roots=(-u planted)
  # shellcheck disable=SC2046
  case $architecture in
    x86) mapfile -t files < <(objects) && files+=("$@") ;;
    wasm) "$tools/wasm-ld" --gc-sections --no-entry --export=firmware_main "${roots[@]/-u/--export}" \
      --allow-undefined $(objects) "$@" -o "$program" ;;
    *) "$tools/ld.lld" --gc-sections -e firmware_main "${roots[@]}" \
      --unresolved-symbols=ignore-all $(objects) "$@" -o "$program" ;;
  esac
}

audit_everything() {
  local architecture ir sizes=()
  check 'sources' python3 "$audit/sources.py" "$root/Sources"
  while read -r triple architecture ir; do
    [ -n "$triple" ] || continue
    build_modules TallyC
    build_modules
    probe "$architecture"
    check "${triple/#-/host} $architecture, machine code" \
      python3 "$audit/image.py" "$architecture" "${files[@]}"
    [ "$ir" = - ] ||
      check "$triple, intermediate code" python3 "$audit/intermediate.py" --modules "$modules"
    [ "$architecture" = x86 ] || [ "$architecture" = wasm ] || sizes+=("$triple")
  done <<<"$processors"
  for triple in "${sizes[@]}"; do
    echo "$triple: module, bytes of code, bytes of constants"
    python3 "$audit/sizes.py" "$work/probes/$triple"
  done
}

# expect_finding WORD COMMAND…: the command exits 1 and names WORD among its findings.
expect_finding() {
  local word=$1 output status=0
  shift
  output=$("$@" 2>&1) || status=$?
  if [ $status = 1 ] && grep -q -- "$word" <<<"$output"; then
    echo "  finds $word"
  else
    echo "  does not find $word (exit $status): $*"
    printf '%s\n' "$output" | head -5
    failed=1
  fi
}

# Compiles a planted file for $triple, to an object and to IR.
plant() {
  local name=$1 options=(-parse-as-library -swift-version 6 -wmo -Osize)
  if [ "$triple" != - ]; then
    options+=(-target "$triple" -enable-experimental-feature Embedded
      -Xfrontend -function-sections -Xfrontend -disable-stack-protector)
  fi
  planted=$work/probes/$triple.$name
  "$tools/swiftc" "${options[@]}" -module-name Planted "$audit/planted/$name.swift" \
    -c -o "$planted.o"
  "$tools/swiftc" "${options[@]}" -module-name Planted "$audit/planted/$name.swift" \
    -emit-ir -o "$planted.ll"
}

self_test() {
  local architecture ir
  mkdir -p "$work/probes"
  while read -r triple architecture ir; do
    [ -n "$triple" ] || continue
    build_modules
    echo "${triple/#-/host} $architecture:"
    plant Integers
    probe "$architecture" "$planted.o"
    check '  nothing planted' python3 "$audit/image.py" "$architecture" "${files[@]}"
    check '  nothing planted, intermediate code' python3 "$audit/intermediate.py" "$planted.ll"
    plant Float
    probe "$architecture" "$planted.o"
    # Without a floating-point unit the compiler calls a helper instead.
    local trace='floating-point instruction'
    case $triple in armv6m* | riscv*) trace='soft-float helper' ;; esac
    expect_finding "$trace" python3 "$audit/image.py" "$architecture" "${files[@]}"
    expect_finding 'float' python3 "$audit/intermediate.py" "$planted.ll"
    [ "$triple" != - ] || continue
    plant Allocation
    probe "$architecture" "$planted.o"
    expect_finding 'allocation: ' python3 "$audit/image.py" "$architecture" "${files[@]}"
    expect_finding 'calls ' python3 "$audit/intermediate.py" "$planted.ll"
    case $triple in armv7*)
      "$tools/clang" --target="$triple" -c "$audit/planted/self.s" -o "$planted.self.o"
      probe "$architecture" "$planted.self.o"
      expect_finding 'self is not given back' python3 "$audit/image.py" "$architecture" "${files[@]}"
      ;;
    esac
  done <<<"$processors"
  echo 'sources:'
  expect_finding 'Float.swift:' python3 "$audit/sources.py" "$audit/planted"
}

case ${1-} in
  --self-test) self_test ;;
  '') audit_everything ;;
  *) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 2 ;;
esac
exit $failed
