#!/usr/bin/env bash
# Builds and tests a fresh clone the way a stranger's machine would: an empty environment without HOME,
# another locale, a source folder that may not be written to.
#
#   Tools/fresh/run.sh [--no-tests]     exits 0 if everything passed
#
# What is committed is cloned, not what lies in the working folder. Needs git, the Swift toolchain and zlib.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
swift=$(dirname "$(command -v swift)")
git clone --quiet "$root" "$work/source"

# Nothing of this shell's environment: no HOME, no TALLY_DATA; Turkish, whose i and I are other letters and
# whose fractions have commas, made here so that it is there.
mkdir "$work/locale"
locale=C
if localedef -i tr_TR -f UTF-8 "$work/locale/tr_TR.UTF-8" 2>/dev/null; then locale=tr_TR.UTF-8; fi
run() {
  (cd "$work/source" && env -i PATH="$swift:/usr/bin:/bin" LOCPATH="$work/locale" LC_ALL="$locale" \
    TZ=Asia/Kathmandu "$@")
}
echo "locale $locale, commit $(git -C "$work/source" rev-parse --short HEAD)"

chmod -R a-w "$work/source"
# Root writes where nobody may: then the listing, before and after, shows that nothing was written.
listing() { (cd "$work/source" && find . -path ./.git -prune -o -type f -print | sort | xargs -d '\n' sha256sum); }
before=$(listing)
run swift build -c release --product tally --scratch-path "$work/build" --cache-path "$work/cache"
run "$work/build/release/tally" demo | tee "$work/demo"
for name in model journal; do
  digest=$(grep -m 1 "^$name  *[0-9a-f]\{64\}$" "$root/README.md" | awk '{print $2}')
  grep -q "^$name  *$digest$" "$work/demo" || { echo "the demo's $name is not README's" >&2; exit 1; }
done
echo 'the digests are those of README.md'
if [ "${1:-}" != --no-tests ]; then
  # The last lines say how many; what failed is said by name.
  if ! run swift test --scratch-path "$work/build" --cache-path "$work/cache" 2>&1 |
    tee "$work/tests" | tail -n 3; then
    grep -aE '✘|Fatal error|error: ' "$work/tests" | tail -n 40 >&2
    exit 1
  fi
fi
[ "$before" = "$(listing)" ] || { echo 'something was written into the source folder' >&2; exit 1; }
echo 'nothing was written into the source folder'
