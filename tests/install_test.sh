#!/usr/bin/env bash
# tier: full
# Installs the library, moves the installation elsewhere, and builds a host program against it in every way there is:
# pkg-config shared, pkg-config --static, find_package shared and static. Each must run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
lib=$(dirname "$(find "$work/moved" -name 'libhmtnet.so')")
export PKG_CONFIG_PATH=$lib/pkgconfig
for file in "$work/moved/include/hmtnet/hmtnet.h" "$work/moved/include/hmtnet/backend.h" "$lib/libhmtnet.a" \
    "$work/moved/bin/hmtnet-score" "$work/moved/bin/hmtnet-train" "$work/moved/bin/hmtnet-bench" \
    "$work/moved/bin/hmtnet-convert" "$work/moved/bin/hmtnet-explain" "$work/moved/bin/hmtnet-features" \
    "$work/moved/bin/hmtnet-reproduce"; do
    [ -e "$file" ] || { echo "not installed: $file"; exit 1; }
done
"$work/moved/bin/hmtnet-score" --version >/dev/null # finds the library beside it

try() {
    local how=$1
    shift
    echo "$how: $("$@")"
}
flags=(-std=c99 -Wall -Wextra -Wpedantic -Werror)
# shellcheck disable=SC2046 # pkg-config's answer is meant to be split
cc "${flags[@]}" "$here/install/host.c" -o "$work/shared" $(pkg-config --cflags --libs hmtnet)
try 'pkg-config, shared' env LD_LIBRARY_PATH="$lib" "$work/shared"
rm -rf "$work/static-only" && cp -a "$work/moved" "$work/static-only"
find "$work/static-only" -name 'libhmtnet.so*' -delete
export PKG_CONFIG_PATH=${lib/moved/static-only}/pkgconfig
# shellcheck disable=SC2046
cc "${flags[@]}" "$here/install/host.c" -o "$work/static" $(pkg-config --static --cflags --libs hmtnet)
try 'pkg-config, static' "$work/static"
cmake -S "$here/install" -B "$work/host" -DCMAKE_PREFIX_PATH="$work/moved" >/dev/null
cmake --build "$work/host" >/dev/null
try 'find_package, shared' "$work/host/host_hmtnet"
try 'find_package, static' "$work/host/host_hmtnet_static"
