#!/usr/bin/env bash
# tier: quick
# C++ exceptions in callbacks: host_exceptions.cc with the example of docs/hosting.md, against the shared library.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ldd "$build/libhmtnet.so" | grep -q 'lib[a-z]*san\.'; then
    echo "skipped: a library with sanitizers wants a host with them"
    exit 77
fi
awk '/^## / { here = $0 == "## Exceptions and callbacks" } /^```$/ { inside = 0 } inside { print }
     here && /^```cpp$/ { inside = 1 }' "$here/docs/hosting.md" >"$work/example.hh"
grep -q 'struct progress_guard' "$work/example.hh" || { echo "docs/hosting.md has no example"; exit 1; }
c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$here/include" -I"$work" "$here/tests/host_exceptions.cc" -o "$work/host" \
    "$build/libhmtnet.so" -Wl,-rpath,"$build"
"$work/host" "$work/model.safetensors"
