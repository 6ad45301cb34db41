#!/usr/bin/env bash
# tier: quick
# The choice of kernels can be overridden, and hmtnet-bench --steps shows it.
set -euo pipefail

bench=${HMTNET_BUILD_DIR:?}/examples/hmtnet-bench

# kernel_of SETTING: what runs conv4 of a small network.
kernel_of() {
    env "$1" "$bench" infer --width 0.125 --repeat 1 --steps | sed -n 's/^conv4  *conv, \([a-z0-9 ]*[a-z0-9]\)   *[0-9.].*/\1/p'
}

# expect SETTING KERNEL
expect() {
    local found
    found=$(kernel_of "$1")
    if [ "$found" != "$2" ]; then
        echo "kernels_test: with $1 conv4 runs \"$found\", not \"$2\"" >&2
        exit 1
    fi
}

expect HMT_CONV=direct direct
expect HMT_CONV=winograd2 'winograd 2x2'
expect HMT_CONV=winograd3 'winograd 3x3'
expect HMT_CONV=winograd4 'winograd 4x4'
expect HMT_CPU_LEVEL=plain 'winograd 3x3'
