#!/usr/bin/env bash
# tier: quick
# bench/gpu.py without a GPU: it says so and ends with status 77; it understands what both sides and nvidia-smi print.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CUDA_VISIBLE_DEVICES='' PYTHONDONTWRITEBYTECODE=1

status=0
text=$(python3 "$here/bench/gpu.py" 2>&1) || status=$?
[ "$status" -eq 77 ] || { echo "status $status, not 77: $text"; exit 1; }
case $text in
"gpu.py: nothing measured: "*) ;;
*) echo "unexpected: $text"; exit 1 ;;
esac

bench=${HMTNET_BUILD_DIR:-$here/build}/examples/hmtnet-bench
"$bench" infer --width 0.0625 --repeat 1 --json | (cd "$here/bench" && python3 -c '
import sys, gpu
assert gpu.answer_of(sys.stdin.read()) > 0
assert gpu.used_megabytes("12, 300\n13, 5\n12, 7\nnone\n12, [N/A]\n", 12) == 307
assert gpu.used_megabytes("", 12) == 0
')
