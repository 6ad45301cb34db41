#!/usr/bin/env bash
# tier: quick
# The choice of kernels can be overridden, and hmtnet-bench --steps shows it.
set -euo pipefail

programs=${HMTNET_BUILD_DIR:?}/examples
models=$(cd "$(dirname "$0")/../examples/models" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect SETTING KERNEL STEP ARGUMENT...: the kernel that runs a kind of step of conv4, with the arguments to hmtnet-bench.
expect() {
    local setting=$1 kernel=$2 step=$3 found
    shift 3
    found=$(env "$setting" "$programs/hmtnet-bench" "$@" --repeat 1 --steps |
        sed -n "s/^conv4  *$step, \\([a-z0-9 ]*[a-z0-9]\\)   *[0-9.].*/\\1/p")
    if [ "$found" != "$kernel" ]; then
        echo "kernels_test: with $setting and \"$*\" the $step of conv4 is \"$found\", not \"$kernel\"" >&2
        exit 1
    fi
}

small=(infer --width 0.125)
expect HMT_CONV=im2col im2col conv "${small[@]}"
for m in 2 3 4 5 6; do
    expect HMT_CONV=winograd$m "winograd ${m}x$m" conv "${small[@]}"
done
expect HMT_CPU_LEVEL=plain 'winograd 3x3' conv "${small[@]}"
expect HMT_CPU_LEVEL=plain 'winograd 4x4' conv "${small[@]}" --batch 3
expect HMT_CPU_LEVEL=plain 'winograd 5x5' conv "${small[@]}" --batch 4

# The largest tiles only where their roundings do not matter.
train=(train --width 0.125 --batch 2)
expect HMT_CONV=winograd6 'winograd 4x4' conv "${train[@]}"
expect HMT_CONV=winograd6 'winograd 6x6' conv_backward_data "${train[@]}"
expect HMT_CONV=winograd6 'winograd 6x6' conv_backward_weights "${train[@]}"
for storage in f16 i8; do
    "$programs/hmtnet-convert" --storage $storage "$models/hmtnet-quarter.safetensors" "$work/$storage.safetensors" >"$work/said"
    expect HMT_CONV=winograd6 'winograd 4x4' conv infer --model "$work/$storage.safetensors"
done
