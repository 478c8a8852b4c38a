#!/usr/bin/env bash
# Fuzzes every reader of foreign bytes with libFuzzer, which watches what code an input reaches.
#
#   Tools/fuzz/run.sh SECONDS [SEED] [READER…]
#
# SECONDS are for all readers together. Prints the executions of each reader and their sum; exits 1 at the
# first crash, hang (10 s) or gibibyte of memory, and says where the input lies. The corpus stays in
# .build/fuzz/corpus, so that a longer run goes on from a shorter one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${1:?usage: Tools/fuzz/run.sh SECONDS [SEED] [READER…]}
seed=${2:-1}
shift; [ $# -eq 0 ] || shift

export TALLY_FUZZ=1
swift build -c release --sanitize fuzzer --product TallyFuzz --scratch-path .build/fuzz
program=.build/fuzz/release/TallyFuzz
readers=("$@")
python3 Tools/fuzz/corpus.py .build/fuzz/seeds
[ $# -gt 0 ] || mapfile -t readers < <(ls .build/fuzz/seeds)

each=$(((seconds + ${#readers[@]} - 1) / ${#readers[@]}))
total=0
printf '%-14s %12s %10s   seed %s, %s s each\n' reader executions coverage "$seed" "$each"
for reader in "${readers[@]}"; do
  corpus=.build/fuzz/corpus/$reader
  log=.build/fuzz/$reader.log
  mkdir -p "$corpus" .build/fuzz/found
  # Records are hashed: long ones of the same kind only take time.
  case $reader in journal | report | trace) longest=8192 ;; *) longest=65536 ;; esac
  if ! TALLY_FUZZ_READER=$reader "$program" -seed="$seed" -max_total_time="$each" -timeout=10 -rss_limit_mb=1024 \
    -malloc_limit_mb=1024 -max_len=$longest -print_final_stats=1 \
    -artifact_prefix=".build/fuzz/found/$reader-" "$corpus" ".build/fuzz/seeds/$reader" \
    >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "$reader: found an input, see above and .build/fuzz/found" >&2
    exit 1
  fi
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
  printf '%-14s %12s %10s\n' "$reader" "$count" "${coverage:--}"
  total=$((total + count))
done
printf '%-14s %12s\n' total "$total"
