#!/usr/bin/env bash
# gpu-kernels.sh [ARCHITECTURE...]: registers, stack and spills of the GPU module's kernels, as nvcc reports them (-Xptxas -v), for
# compute capabilities such as 80 or 90 (default: 75 80 90). Exit status 1 if a kernel spills.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
nvcc=$(command -v nvcc || echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc")
[ -x "$nvcc" ] || {
    echo "gpu-kernels: nvcc was not found: install the CUDA toolkit or set CUDA_HOME" >&2
    exit 2
}
[ $# -gt 0 ] || set -- 75 80 90
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for architecture in "$@"; do
    : >"$report"
    for file in "$here"/backends/cudnn/kernels/*.cu; do
        "$nvcc" -std=c++17 -O3 -I"$here/lib" -I"$here/include" -gencode "arch=compute_$architecture,code=sm_$architecture" \
            -Xptxas -v -c "$file" -o /dev/null 2>>"$report"
    done
    awk -v architecture="$architecture" '
        / bytes stack frame/ { stack = $1 > stack ? $1 : stack; stores += $5; loads += $9 }
        /Used [0-9]+ registers/ {
            for (i = 1; i < NF; ++i) if ($i == "Used") { kernels++; sum += $(i + 1); if ($(i + 1) > most) most = $(i + 1) }
        }
        END {
            printf "sm_%s: %d kernels, registers %.0f on average, %d at most; stack %d bytes at most; spilled: %d stored, %d loaded\n",
                   architecture, kernels, sum / kernels, most, stack, stores, loads
            exit stores + loads > 0
        }' "$report"
done
