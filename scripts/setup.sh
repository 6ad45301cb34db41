#!/usr/bin/env bash
# setup.sh [--tests] [--checks] [--no-build]: makes a Debian 12 machine ready and builds the library into build/.
#
# Installs what is missing and does nothing when all is there: Debian packages (needs root or sudo), oneDNN 3 from PyPI
# into a prefix outside the sources ($HMTNET_PREFIX, default ~/.cache/hmtnet/onednn-2023.2.0) unless the system has one.
#   --tests     also what the tests need, and builds them
#   --checks    also what .ci/run's further checks need
#   --no-build  installs only
# $HMTNET_CMAKE_OPTIONS: further options for CMake, words with blanks between them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
release=2023.2.0
prefix=${HMTNET_PREFIX:-${HOME:-/root}/.cache/hmtnet/onednn-$release}
build=$here/build
log=$here/build/setup.log
tests=OFF
checks=no
make=yes

# The wheels' SHA-256, as PyPI publishes them.
wheels=(
    "onednn-cpu-gomp 2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb"
    "onednn-devel-cpu-gomp 9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284"
)
packages=(build-essential cmake pkg-config libjpeg62-turbo-dev libpng-dev liblapacke-dev libopenblas-dev)

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
    --tests) tests=ON ;;
    --checks) checks=yes tests=ON ;;
    --no-build) make=no ;;
    *) die "unknown option $1; the first lines of scripts/setup.sh list the options" ;;
    esac
    shift
done
[ "$tests" = OFF ] || packages+=(libcjson-dev)
[ "$checks" = no ] || packages+=(clang clang-format libclang-rt-14-dev libomp-14-dev shellcheck)

# Does the system have oneDNN 3 or later?
system_onednn() {
    local header major
    header=$(find /usr/include /usr/local/include -path '*oneapi/dnnl/dnnl_version.h' 2>/dev/null | head -n 1)
    [ -n "$header" ] || return 1
    major=$(sed -n 's/^#define DNNL_VERSION_MAJOR *//p' "$header")
    [ "${major:-0}" -ge 3 ]
}

# What of the given packages is not installed.
missing() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || printf '%s\n' "$package"
    done
}

# apt-get, as root or through sudo.
apt() {
    local run=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "needs root or sudo to install packages: $wanted"
        run=(sudo)
    fi
    "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1
}

install_packages() {
    local list
    mapfile -t list < <(missing "${packages[@]}")
    [ ${#list[@]} -gt 0 ] || return 0
    wanted="${list[*]}"
    command -v apt-get >/dev/null || die "this is not Debian; install the equivalents of: ${packages[*]}"
    say "installing $wanted"
    apt update || die "cannot fetch the package lists (offline?); see $log"
    apt install --no-install-recommends -y "${list[@]}" || die "cannot install $wanted (offline?); see $log"
}

# Fetches and checks the wheels, and puts their files under the prefix in one move.
install_onednn() {
    local folder wheel name sum
    [ ! -e "$prefix/lib/libdnnl.so" ] || return 0
    say "fetching oneDNN ($release) into $prefix"
    mkdir -p "$(dirname "$prefix")"
    folder=$(mktemp -d "$prefix.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    for wheel in "${wheels[@]}"; do
        read -r name sum <<<"$wheel"
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
            --dest "$folder" "$name==$release" >>"$log" 2>&1 ||
            die "cannot fetch $name $release from PyPI (offline?); see $log"
        echo "$sum  $folder/${name//-/_}-$release-py2.py3-none-manylinux1_x86_64.whl" | sha256sum --check --quiet >>"$log" 2>&1 ||
            die "$name $release is not the file that was expected (SHA-256 differs)"
        python3 -m zipfile -e "$folder/${name//-/_}-$release"*.whl "$folder/files"
    done
    mkdir "$folder/prefix"
    for wheel in "$folder"/files/*.data/data; do
        cp -a "$wheel"/. "$folder/prefix"
    done
    # The wheel has the library three times: once is enough.
    ln -sf libdnnl.so.3 "$folder/prefix/lib/libdnnl.so"
    ln -sf libdnnl.so.3.2 "$folder/prefix/lib/libdnnl.so.3"
    mv "$folder/prefix" "$prefix"
    rm -rf "$folder"
    trap - EXIT
}

build_library() {
    local more options=(-DCMAKE_BUILD_TYPE=Release "-DHMTNET_BUILD_TESTS=$tests")
    system_onednn || options+=("-DCMAKE_PREFIX_PATH=$prefix")
    # A build that has the tests keeps them.
    if [ "$tests" = OFF ] && grep -qs 'HMTNET_BUILD_TESTS:BOOL=ON' "$build/CMakeCache.txt"; then
        options=("${options[@]/HMTNET_BUILD_TESTS=OFF/HMTNET_BUILD_TESTS=ON}")
    fi
    read -ra more <<<"${HMTNET_CMAKE_OPTIONS:-}"
    options+=("${more[@]}")
    [ -e "$build/Makefile" ] || say "building in $build"
    cmake -S "$here" -B "$build" "${options[@]}" >>"$log" 2>&1 ||
        die "cmake failed: $(grep -m 1 -A 2 'CMake Error' "$log" | tr '\n' ' '); see $log"
    cmake --build "$build" --parallel "$(nproc)" >>"$log" 2>&1 ||
        die "the build failed: $(grep -m 1 -E 'error|Error' "$log"); see $log"
}

[ "$(uname -m)" = x86_64 ] || say "oneDNN's PyPI package is for x86-64; this is $(uname -m): a system oneDNN 3 is needed"
mkdir -p "$build"
: >"$log"
system_onednn || packages+=(python3 python3-pip)
install_packages
system_onednn || install_onednn
[ "$make" = no ] || build_library
