#!/usr/bin/env bash
# tier: quick
# The names that the shared library exports are those of the version script and those that the public headers declare; the
# headers compile as C99 and C++11 without a warning; the library has no other global state to trip over.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$build/libhmtnet.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"
sed -n 's/^    \(hmt_[a-z0-9_]*\);$/\1/p' "$here/lib/libhmtnet.map" | sort >"$work/script"
cat "$here"/include/hmtnet/{hmtnet,data}.h | tr "\n" " " | grep -oE 'HMT_API [^;(]*\(' | grep -oE 'hmt_[a-z0-9_]+\($' | tr -d '(' |
    sort >"$work/header"
diff "$work/script" "$work/exported" || { echo "the library's exports (>) differ from the version script (<)"; exit 1; }
diff "$work/script" "$work/header" || { echo "the headers' functions (>) differ from the version script (<)"; exit 1; }
for header in hmtnet backend data; do
    echo "#include <hmtnet/$header.h>" >"$work/use.c"
    cp "$work/use.c" "$work/use.cc"
    cc -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$here/include" -fsyntax-only "$work/use.c"
    c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$here/include" -fsyntax-only "$work/use.cc"
done
readelf -d "$build/libhmtnet.so" | grep -q 'SONAME.*libhmtnet\.so\.[0-9]' || { echo "the library has no SONAME"; exit 1; }
# printf, exit, abort, setlocale and signal have no business in a library.
if nm -D --undefined-only "$build/libhmtnet.so" | grep -wE 'printf|puts|exit|_exit|abort|setlocale|signal|sigaction|feenableexcept'; then
    echo "the library calls one of the functions above"
    exit 1
fi
echo "$(wc -l <"$work/exported") names exported, as declared"
