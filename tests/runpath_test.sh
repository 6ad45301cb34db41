#!/usr/bin/env bash
# tier: quick
# No program or library of the build looks for libraries in the current folder or in one that depends on it: each entry of a
# RUNPATH begins with / or $ORIGIN, and none is empty.
set -euo pipefail

build=${HMTNET_BUILD_DIR:?names the build tree}
failed=0
count=0
while IFS= read -r file; do
    [ "$(head -c 4 "$file" | od -An -c | tr -d ' ')" = '177ELF' ] || continue
    count=$((count + 1))
    path=$(readelf -d "$file" 2>/dev/null | sed -n 's/.*(R\(UN\)\?PATH).*\[\(.*\)\]$/\2/p')
    [ -n "$path" ] || continue
    # A dot at the end keeps the last entry, if it is empty, from being lost.
    IFS=: read -ra entries <<<"$path:."
    unset 'entries[-1]'
    for entry in "${entries[@]}"; do
        case $entry in
        /* | '$ORIGIN' | '$ORIGIN'/*) ;;
        *)
            echo "${file#"$build"/} has the entry \"$entry\" in its RUNPATH \"$path\""
            failed=1
            ;;
        esac
    done
done < <(find "$build" -path "$build/ci" -prune -o -type f \( -perm -u+x -o -name '*.so*' \) -print)
[ "$count" -gt 3 ] || { echo "only $count programs and libraries were found in $build"; exit 1; }
[ "$failed" = 0 ] && echo "$count programs and libraries"
exit "$failed"
