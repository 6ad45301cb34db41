#!/usr/bin/env bash
# tier: quick
# An oneDNN with the old API (Debian 12 has 2.6) is refused by name and version, with a sentence that says what to do; the same
# build tree takes a newer one that is offered afterwards.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

include=$(sed -n 's/^ONEDNN_INCLUDE_DIR:[A-Z]*=//p' "$build/CMakeCache.txt")
library=$(sed -n 's/^ONEDNN_LIBRARY:[A-Z]*=//p' "$build/CMakeCache.txt")
mkdir -p "$work/old/include/oneapi/dnnl" "$work/old/lib"
ln -s "$library" "$work/old/lib/libdnnl.so"
printf '#define DNNL_VERSION_%s\n' 'MAJOR 2' 'MINOR 6' 'PATCH 3' >"$work/old/include/oneapi/dnnl/dnnl_version.h"

configure() { cmake -S "$here" -B "$work/build" -DHMTNET_BUILD_PROGRAMS=OFF "$@" >"$work/log" 2>&1; }
fail() {
    echo "$1"
    cat "$work/log"
    exit 1
}
if configure "-DCMAKE_PREFIX_PATH=$work/old"; then
    fail 'oneDNN 2.6.3 was accepted'
fi
# cmake breaks its lines where it likes
tr -s ' \n' ' ' <"$work/log" >"$work/sentence"
for words in 'oneDNN 2.6.3' 'old API: version 3 or later is needed' 'scripts/setup.sh fetches one'; do
    grep -qF "$words" "$work/sentence" || fail "the refusal does not say: $words"
done
configure "-DCMAKE_PREFIX_PATH=$(dirname "$include")" || fail "the oneDNN of $build was refused afterwards"
echo 'oneDNN 2.6.3 is refused by name'
