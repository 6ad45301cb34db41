#!/usr/bin/env bash
# gpu-symbols.sh MODULE [STANDINS]: checks the GPU module's symbols: it exports hmt_backend_module alone, and the stand-ins in folder
# STANDINS, if it is given, have every function of CUDA, cuDNN and cuBLASLt that it calls.
set -euo pipefail

module=$1
exported=$(nm -D --defined-only "$module" | awk '{ print $3 }')
[ "$exported" = hmt_backend_module ] || {
    printf 'the module exports more or less than hmt_backend_module:\n%s\n' "$exported" >&2
    exit 1
}
[ $# -gt 1 ] || exit 0
known=$(for library in "$2"/lib{cudart,cudnn,cublasLt}.so; do nm -D --defined-only "$library"; done | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u)
called=$(nm -D --undefined-only "$module" | awk '{ sub(/@.*/, "", $2); print $2 }' | grep -E '^(cuda|cudnn|cublas)' | sort -u)
missing=$(comm -13 <(echo "$known") <(echo "$called"))
[ -z "$missing" ] || {
    printf 'the stand-ins lack:\n%s\n' "$missing" >&2
    exit 1
}
printf 'exports hmt_backend_module; the stand-ins have all %d functions that it calls\n' "$(echo "$called" | wc -l)"
