#!/usr/bin/env bash
# tier: quick
# The names that both libraries define are those of the version script and those that the public headers declare; SONAME and
# symbol version are those of the release; the headers compile as C99 and C++11 without a warning; structs have the layouts of
# test_layout.c, and none an end that could hide a new field; the library has no other global state to trip over.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -D --defined-only "$build/libhmtnet.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"
nm --extern-only --defined-only "$build/libhmtnet.a" | awk 'NF == 3 { print $3 }' | sort >"$work/archive"
sed -n 's/^    \(hmt_[a-z0-9_]*\);$/\1/p' "$here/lib/libhmtnet.map" | sort >"$work/script"
cat "$here"/include/hmtnet/{hmtnet,data}.h | tr "\n" " " | grep -oE 'HMT_API [^;(]*\(' | grep -oE 'hmt_[a-z0-9_]+\($' | tr -d '(' |
    sort >"$work/header"
diff "$work/script" "$work/exported" || { echo "the library's exports (>) differ from the version script (<)"; exit 1; }
diff "$work/script" "$work/header" || { echo "the headers' functions (>) differ from the version script (<)"; exit 1; }
diff "$work/script" "$work/archive" || { echo "the archive's globals (>) differ from the version script (<)"; exit 1; }
if readelf -sW "$build/libhmtnet.a" | grep -E ' GLOBAL +DEFAULT +[0-9]+ hmt_'; then
    echo 'a library that is linked with the archive would export the above'
    exit 1
fi
for header in hmtnet backend data; do
    echo "#include <hmtnet/$header.h>" >"$work/use.c"
    cp "$work/use.c" "$work/use.cc"
    cc -std=c99 -Wall -Wextra -Wpedantic -Werror -I"$here/include" -fsyntax-only "$work/use.c"
    c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$here/include" -fsyntax-only "$work/use.cc"
    # A new field in what pads a struct today would not change struct_size: the library could not tell old hosts from new ones.
    if cc -std=c99 -Wpadded -I"$here/include" -fsyntax-only "$work/use.c" 2>&1 | grep -A 1 'padding struct size'; then
        echo "the struct above ends in padding: end it with a field \"reserved\""
        exit 1
    fi
done
c++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$here/include" -fsyntax-only "$here/tests/test_layout.c"
named() { sed -n "s/^#define HMT_VERSION_$1 //p" "$here/include/hmtnet/hmtnet.h"; }
version=$(named MAJOR)
[ "$version" != 0 ] || version=0.$(named MINOR)
readelf -d "$build/libhmtnet.so" | grep -qF "[libhmtnet.so.$version]" || { echo "the SONAME is not libhmtnet.so.$version"; exit 1; }
nm -D --defined-only --with-symbol-versions "$build/libhmtnet.so" | grep "hmt_open@@HMTNET_$version$" >/dev/null ||
    { echo "the functions' version is not HMTNET_$version"; exit 1; }
# Every step is computed on the library's own threads: no primitive of oneDNN, and nothing of OpenMP.
if nm -D --undefined-only "$build/libhmtnet.so" | grep -E ' (dnnl_primitive|dnnl_stream|dnnl_engine|GOMP_|omp_)'; then
    echo "the library calls one of the functions above, which run on OpenMP's threads"
    exit 1
fi
# printf, exit, abort, setlocale and signal have no business in a library.
if nm -D --undefined-only "$build/libhmtnet.so" | grep -wE 'printf|puts|exit|_exit|abort|setlocale|signal|sigaction|feenableexcept'; then
    echo "the library calls one of the functions above"
    exit 1
fi
echo "$(wc -l <"$work/exported") names exported, as declared"
