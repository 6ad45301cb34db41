#!/usr/bin/env bash
# tier: quick
# The choice of kernels can be overridden, and hmtnet-bench --steps shows it.
set -euo pipefail

bench=${HMTNET_BUILD_DIR:?}/examples/hmtnet-bench

# kernel_of SETTING BATCH: what runs conv4 of a small network.
kernel_of() {
    env "$1" "$bench" infer --width 0.125 --batch "$2" --repeat 1 --steps | sed -n 's/^conv4  *conv, \([a-z0-9 ]*[a-z0-9]\)   *[0-9.].*/\1/p'
}

# expect SETTING BATCH KERNEL
expect() {
    local found
    found=$(kernel_of "$1" "$2")
    if [ "$found" != "$3" ]; then
        echo "kernels_test: with $1 and batch $2 conv4 runs \"$found\", not \"$3\"" >&2
        exit 1
    fi
}

expect HMT_CONV=direct 1 direct
expect HMT_CONV=winograd2 1 'winograd 2x2'
expect HMT_CONV=winograd3 1 'winograd 3x3'
expect HMT_CONV=winograd4 1 'winograd 4x4'
expect HMT_CONV=winograd6 1 'winograd 6x6'
expect HMT_CPU_LEVEL=plain 1 'winograd 3x3'
expect HMT_CPU_LEVEL=plain 3 'winograd 4x4'
expect HMT_CPU_LEVEL=plain 4 'winograd 6x6'
