#!/usr/bin/env bash
# run.sh BUILD SECONDS [TARGET]...: fuzzes each target (all of them without names) for so long, two at a time, in a build tree
# made with HMTNET_FUZZ. Inputs that reach something new stay in BUILD/corpus/TARGET and are where the next run begins. What a
# target fails on is left in BUILD/crashes, its path said.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 2 ]; then
    echo "run.sh: needs the build folder and seconds" >&2
    exit 2
fi
build=$(cd "$1" && pwd)
seconds=$2
shift 2

fuzz_one() {
    local target=$1 programs=$build/tests/fuzz corpus=$build/corpus/$1 log=$build/corpus/$1.log
    mkdir -p "$corpus" "$build/crashes"
    "$programs/replay_$target" --seeds "$build/corpus/$target-seeds"
    if LSAN_OPTIONS=suppressions=$here/../lsan.supp "$programs/fuzz_$target" -max_total_time="$seconds" -max_len=32768 \
        -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=20 -print_final_stats=1 -dict="$here/fuzz.dict" -artifact_prefix="$build/crashes/$target-" \
        "$corpus" "$build/corpus/$target-seeds" >"$log" 2>&1; then
        echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, $(find "$corpus" -type f | wc -l) kept"
    else
        echo "$target: FAILED; the input is in $(sed -n 's/.*Test unit written to //p' "$log"), $log says:"
        tail -n 60 "$log"
        return 1
    fi
}
export -f fuzz_one
export here build seconds

if [ $# -eq 0 ]; then
    for source in "$here"/fuzz_*.c; do
        name=$(basename "$source" .c)
        set -- "$@" "${name#fuzz_}"
    done
fi
# shellcheck disable=SC2016 # the inner shell expands it
printf '%s\n' "$@" | xargs -n 1 -P 2 bash -c 'fuzz_one "$0"'
