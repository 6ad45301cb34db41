#!/usr/bin/env bash
# tier: quick
# Each ```c block of docs/hosting.md is a whole program: it compiles without a warning and, run with a model and a photo, ends
# with 0 and the line that stands in the block's last comment ("prints: ...").
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
page=$here/docs/hosting.md
models=("$here"/examples/models/*.safetensors)
face=$(find "$here/examples/faces" -name '*.jpg' | sort | head -n 1)
sanitizers=$(sed -n 's/^HMTNET_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt")

awk -v to="$work/example" '/^```c$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print > (to n ".c") }' "$page"
count=0
for source in "$work"/example*.c; do
    name=$(basename "$source" .c)
    cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror ${sanitizers:+"-fsanitize=$sanitizers"} \
        -I"$here/include" "$source" -o "$work/$name" -L"$build" -lhmtnet -Wl,-rpath,"$build" -pthread -ldl
    wanted=$(sed -n 's|^/\* prints: \(.*\) \*/$|\1|p' "$source")
    [ -n "$wanted" ] || { echo "$name does not say what it prints"; exit 1; }
    # One example loads the library by its name.
    if ! printed=$(LD_LIBRARY_PATH=$build "$work/$name" "${models[0]}" "$face" 2>&1); then
        echo "$name failed: $printed"
        cat "$source"
        exit 1
    fi
    [ "$printed" = "$wanted" ] || { echo "$name: expected \"$wanted\", found \"$printed\""; exit 1; }
    count=$((count + 1))
done
[ "$count" -ge 4 ] || { echo "only $count examples were found in $page"; exit 1; }
echo "$count examples of docs/hosting.md do what they say"
