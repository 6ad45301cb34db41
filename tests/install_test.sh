#!/usr/bin/env bash
# tier: full
# Installs the library, moves the installation elsewhere, and checks that nothing in it names this machine. Then, with the
# sources, the build tree and oneDNN's folder out of sight, install/use.sh runs and links it as another user would.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # also nobody looks into it
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
fail() {
    echo "$*"
    exit 1
}

# ---- the whole tree, and the two components that a machine without compilers gets
umask 022
cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
for component in runtime tools; do
    cmake --install "$build" --prefix "$work/user" --component "$component" >/dev/null
done
lib=$(dirname "$(find "$work/moved" -name 'libhmtnet.so')")
soname=$(readelf -d "$lib/libhmtnet.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
for file in "$work/moved/include/hmtnet/"{hmtnet,backend,data}.h "$lib/libhmtnet.a" "$lib/pkgconfig/hmtnet.pc" \
    "$work/moved/bin/hmtnet-"{score,train,bench,convert,explain,features,reproduce} "$work/moved/share/man/man1/hmtnet-score.1"; do
    [ -e "$file" ] || fail "not installed: ${file#"$work/"}"
done
[ -e "${lib/moved/user}/$soname" ] || fail "the component runtime has no $soname"
extra=$(find "$work/user" -name '*.h' -o -name '*.a' -o -name '*.pc' -o -name '*.cmake' -o -name libhmtnet.so)
[ -z "$extra" ] || fail "the components runtime and tools have what only dev needs: $extra"

# ---- nothing in it leads back to the builder's folders
onednn=$(dirname "$(realpath "$(cached ONEDNN_LIBRARY)")")
places=("$build" "$here")
case $onednn in /usr/* | /lib/*) ;; *) places+=("$onednn") ;; esac
texts=(-I) # debug information names sources; a release has none
[ "$(cached CMAKE_BUILD_TYPE)" != Release ] || texts=()
for place in "${places[@]}"; do
    found=$(grep -rlF "${texts[@]}" -- "$place" "$work/moved" || true)
    [ -z "$found" ] || fail "these name $place: $found"
done
while IFS= read -r file; do
    path=$(readelf -d "$file" 2>/dev/null | sed -n 's/.*(R\(UN\)\?PATH).*\[\(.*\)\]$/\2/p' || true)
    case $path in
    '' | '$ORIGIN/'*) ;;
    *) fail "${file#"$work/"} has the RUNPATH $path" ;;
    esac
    case $path in *:*) fail "${file#"$work/"} looks in several folders: $path" ;; esac
done < <(find "$work/moved" -type f)

# ---- an oneDNN of the system is not installed a second time
if unshare --mount true 2>/dev/null && [ -d /usr/local/lib ] && [ -d /usr/local/include ]; then
    HERE=$here WORK=$work LIBRARIES=$onednn HEADERS=$(cached ONEDNN_INCLUDE_DIR) unshare --mount bash -ec '
        mount --bind "$LIBRARIES" /usr/local/lib
        mount --bind "$HEADERS" /usr/local/include
        cmake -S "$HERE" -B "$WORK/system" -DHMTNET_BUILD_PROGRAMS=OFF -DHMTNET_CUDNN=OFF -DONEDNN_LIBRARY=/usr/local/lib/libdnnl.so
    ' >"$work/log" || fail "$(cat "$work/log")"
    if grep -F libdnnl "$work/system/cmake_install.cmake"; then
        fail 'the system'"'"'s oneDNN would be installed, too'
    fi
    if grep -E 'hmtnet/|rpath' "$work/system/hmtnet.pc" | grep dnnl; then
        fail 'hmtnet.pc has a place for an oneDNN that is not installed'
    fi
fi

# ---- others use it
cp -r "$here/tests/install" "$here/examples/embed.c" "$here/examples/faces" "$work"
models=("$here"/examples/models/*.safetensors)
cp "${models[0]}" "$work/model.safetensors"
internal=$build/tests/libhmtnet_internal.a
nm -g --defined-only "$internal" | awk 'NF == 3 && $2 ~ /^[TDBRV]$/ && $3 !~ /^(hmt_|_)|[.]/ { print $3 }' | sort -u >"$work/inner-names"
[ "$(wc -l <"$work/inner-names")" -gt 100 ] || fail "only $(wc -l <"$work/inner-names") inner names in $internal"
if unshare --mount true 2>/dev/null; then
    unshare --mount bash "$work/install/use.sh" "$work" "${places[@]}"
else
    echo 'folders cannot be hidden from this user: the installation runs beside the build tree'
    bash "$work/install/use.sh" "$work"
fi
