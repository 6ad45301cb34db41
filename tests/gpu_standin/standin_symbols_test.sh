#!/usr/bin/env bash
# tier: quick
# Each stand-in has the SONAME of NVIDIA's library, and each name that it exports is there too, with the same version. Where a real
# library is not installed that part is left out; HMTNET_CUDA_LIBRARIES names folders to look in besides the usual ones.
set -euo pipefail

build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compared=0

# Names with versions that a library defines.
exported() {
    readelf --dyn-syms -W "$1" | awk '$4 ~ /FUNC|OBJECT/ && $7 != "UND" { sub(/@@?/, "@", $8); print $8 }' | grep -E "$2" | sort
}

real_library() {
    local folder
    for folder in ${HMTNET_CUDA_LIBRARIES:-} /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib /usr/lib/x86_64-linux-gnu; do
        if [ -e "$folder/$1" ] && [ ! "$folder" -ef "$build/gpu_standin" ]; then
            echo "$folder/$1"
            return
        fi
    done
}

for library in "$build"/gpu_standin/lib{cudart,cudnn,cublasLt,nccl}.so.*; do
    name=$(basename "$library")
    [ -e "$library" ] || continue
    readelf -d "$library" | grep -q "SONAME.*\[$name\]" || { echo "$name has another SONAME"; exit 1; }
    exported "$library" '^(cuda|cudnn|cublasLt|nccl)' >"$work/ours"
    [ -s "$work/ours" ] || { echo "$name exports nothing"; exit 1; }
    if exported "$library" . | grep -vE '^(cuda|cudnn|cublasLt|nccl|standin_)|^STANDIN|^lib'; then
        echo "$name exports more than it should"
        exit 1
    fi
    real=$(real_library "$name")
    [ -n "$real" ] || { echo "$name: the real library is not here"; continue; }
    exported "$real" . >"$work/theirs"
    comm -23 "$work/ours" "$work/theirs" >"$work/missing"
    [ ! -s "$work/missing" ] || { echo "$real lacks:"; cat "$work/missing"; exit 1; }
    echo "$name: $(wc -l <"$work/ours") names, all in $real"
    compared=1
done
[ "$compared" = 1 ] || exit 77
