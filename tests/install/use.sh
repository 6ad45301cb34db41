#!/usr/bin/env bash
# use.sh WORK [HIDDEN...]: what install_test.sh does with an installation on a machine that has nothing of its builder: the
# folders HIDDEN are covered by empty ones first (in a mount namespace of its own).
set -euo pipefail

work=$1
shift
cd "$work"
for place in "$@"; do
    [ ! -d "$place" ] || mount -t tmpfs none "$place"
done
fail() {
    echo "$*"
    exit 1
}
try() {
    local how=$1
    shift
    echo "$how: $("$@" | head -n 1)"
}
needs() { readelf -d "$1" | grep -q "NEEDED.*\[$2"; }
face=$(find "$work/faces" -name '*.jpg' | sort | head -n 1)
as_other=()
[ "$(id -u)" != 0 ] || as_other=(setpriv --reuid=65534 --regid=65534 --clear-groups)

# ---- runs, without the component dev; each library is the system's or the installation's
user_lib=$(dirname "$(find "$work/user" -name 'libhmtnet.so.*' | head -n 1)")
for file in "$work"/user/bin/hmtnet-score "$user_lib"/libhmtnet.so.*; do
    ldd "$file" >"$work/ldd"
    if grep -E 'not found|=> /' "$work/ldd" | grep -vE "=> (/usr)?/lib|=> $work/user/"; then
        fail "$file needs the above"
    fi
done
try 'hmtnet-score, as another user' "${as_other[@]}" env -C / "$work/user/bin/hmtnet-score" --model "$work/model.safetensors" "$face"

# ---- pkg-config
lib=$(dirname "$(find "$work/moved" -name 'libhmtnet.so')")
export PKG_CONFIG_PATH=$lib/pkgconfig
flags=(-std=c99 -Wall -Wextra -Wpedantic -Werror)
# shellcheck disable=SC2046 # pkg-config's answer is meant to be split
cc "${flags[@]}" embed.c -o shared $(pkg-config --cflags --libs hmtnet)
needs shared libhmtnet || fail 'pkg-config --libs does not link the shared library'
try 'pkg-config' env LD_LIBRARY_PATH="$lib" ./shared model.safetensors "$face"
# shellcheck disable=SC2046
cc "${flags[@]}" embed.c -o static $(pkg-config --static --cflags --libs hmtnet)
if needs static libhmtnet; then
    fail 'pkg-config --static links the shared library'
fi
pkg-config --static --cflags hmtnet | grep -q HMT_STATIC || fail 'pkg-config --static does not define HMT_STATIC'
try 'pkg-config --static' "${as_other[@]}" ./static model.safetensors "$face"

# ---- a host with all inner names of the library as its own functions, and a shared library around the archive
awk '{ printf "void %s(void);\nvoid %s(void)\n{\n    abort();\n}\n", $1, $1 } BEGIN { print "#include <stdlib.h>" }' inner-names >clash.c
# shellcheck disable=SC2046
cc -w -fno-builtin embed.c clash.c -o clash $(pkg-config --static --cflags --libs hmtnet)
try "with $(wc -l <inner-names) functions of the library's inner names" ./clash model.safetensors "$face"
# shellcheck disable=SC2046
cc -fPIC -shared install/host.c -o libplugin.so $(pkg-config --static --cflags --libs hmtnet)
if nm -D --defined-only libplugin.so | grep ' hmt_'; then
    fail 'a shared library that holds libhmtnet.a exports the above'
fi

# ---- CMake, in C and in C++ alone
for language in C CXX; do
    cmake -S install -B "host-$language" -DCMAKE_PREFIX_PATH="$work/moved" -DHOST_LANGUAGE=$language >"$language.log" 2>&1 ||
        fail "$(cat "$language.log")"
    cmake --build "host-$language" >"$language.log" 2>&1 || fail "$(cat "$language.log")"
    needs "host-$language/host_hmtnet" libhmtnet || fail 'hmtnet::hmtnet is not the shared library'
    if needs "host-$language/host_hmtnet_static" libhmtnet; then
        fail 'hmtnet::hmtnet_static is the shared library'
    fi
    try "find_package, $language" "host-$language/host_hmtnet"
    try "find_package, $language, static" "host-$language/host_hmtnet_static"
done
