#!/usr/bin/env bash
# tier: quick
# Modules as an installed host finds them: beside libhmtnet.so, in its folder hmtnet, through HMT_BACKEND_PATH but not in a
# set-user-ID program; the programs' options for them; and what a static host has instead.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
modules=$build/tests/modules
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

complain() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

# gives STATUS WORDS COMMAND...: the exit status, and words on either output.
gives() {
    local status=$1 words=$2 got=0
    shift 2
    "$@" >"$work/said" 2>&1 || got=$?
    [ $got = "$status" ] || complain "$* ended with $got, not $status: $(cat "$work/said")"
    grep -qF -- "$words" "$work/said" || complain "$* did not say '$words': $(cat "$work/said")"
    [ "$got" = 0 ] || [ "$(wc -l <"$work/said")" = 1 ] || complain "$* said more than one line: $(cat "$work/said")"
}

bench() {
    hmtnet-bench infer --width 0.02 --repeat 1 --threads 1 "$@"
}

# A program and a library of our own, wherever they were built to look.
mkdir -p "$work/bin" "$work/lib/hmtnet"
cp "$build/examples/hmtnet-bench" "$build/examples/hmtnet-score" "$build/examples/hmtnet-train" "$work/bin"
cp "$build"/libhmtnet.so.[0-9]* "$work/lib"
[ ! -e "$build/hmtnet/libdnnl.so.3" ] || cp -P "$build/hmtnet/libdnnl.so.3" "$work/lib/hmtnet"
export LD_LIBRARY_PATH=$work/lib PATH=$work/bin:$PATH
unset HMT_BACKEND_PATH

gives 2 "there is no module libhmtnet_good.so in $work/lib or $work/lib/hmtnet" bench --backend good
cp "$modules/libhmtnet_good.so" "$work/lib/hmtnet"
gives 0 ', good, ' bench --backend good
mv "$work/lib/hmtnet/libhmtnet_good.so" "$work/lib"
gives 0 ', good, ' bench --backend good
rm "$work/lib/libhmtnet_good.so"
# "Beside libhmtnet.so" is where that was loaded from, wherever the host has gone since: a module that lies where a relative
# path of the library would now lead is not loaded.
mkdir -p "$work/elsewhere/lib"
cp "$modules/libhmtnet_good.so" "$work/elsewhere/lib"
cat >"$work/moved.py" <<'PYTHON'
import ctypes, glob, os
class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("backend", ctypes.c_char_p)]
library = ctypes.CDLL(sorted(glob.glob("lib/libhmtnet.so.*"))[0])
library.hmt_last_error.restype = ctypes.c_char_p
os.chdir("elsewhere")
context, options = ctypes.c_void_p(), Options(ctypes.sizeof(Options), b"good")
print(library.hmt_context_create(ctypes.byref(options), ctypes.byref(context)), library.hmt_last_error().decode())
PYTHON
moved() {
    (cd "$work" && python3 moved.py)
}
if ! ldd "$build/libhmtnet.so" | grep -q 'lib[a-z]*san\.'; then # a library with sanitizers wants such a host
    gives 0 "there is no module libhmtnet_good.so in $work/lib or $work/lib/hmtnet" moved
    cp "$modules/libhmtnet_good.so" "$work/lib"
    [ "$(moved)" = '0 ' ] || complain "not beside the library: $(moved)"
    rm "$work/lib/libhmtnet_good.so"
fi
HMT_BACKEND_PATH=$modules gives 0 ', several, ' bench --backend several
gives 0 ', several, ' bench --backend several --module "$modules" --device 3 --precision tf32
gives 0 ', several, ' bench --backend several --module "$modules/libhmtnet_several.so"
(cd "$modules" && gives 0 ', good, ' bench --backend good --module libhmtnet_good.so) # no search along LD_LIBRARY_PATH
gives 2 'none has the number 4' bench --backend several --module "$modules" --device 4
gives 2 'backend several cannot compute in bfloat16' bench --backend several --module "$modules" --precision bfloat16
gives 2 'cannot compute in TF32, only in float32' bench --precision tf32
gives 2 '--precision takes auto|float32|tf32|bfloat16' bench --precision half
gives 2 'libhmtnet_absent_library.so: cannot open shared object file' bench --backend absent --module "$modules"
gives 2 'backend interface' bench --backend oldabi --module "$modules"
gives 2 'backend nodevice finds no device' bench --backend nodevice --module "$modules"
gives 0 ', onednn, ' bench --module "$modules" # a module is asked for by its name alone

# Scoring sends crops ahead, and says the same as on the CPU.
face=$here/examples/faces
score() {
    hmtnet-score --model "$here/examples/models/hmtnet-quarter.safetensors" --quiet --batch 4 "$@" "$face"/female-a*.jpg \
        "$face"/male-a*.jpg
}
for options in '--decoders 1' '--batch 1 --decoders 3' --five-crop; do
    # shellcheck disable=SC2086
    score --backend reference $options >"$work/cpu.csv"
    # shellcheck disable=SC2086
    score --backend several --module "$modules" $options >"$work/device.csv"
    python3 - "$work/cpu.csv" "$work/device.csv" <<'PYTHON' || complain "scores of the device differ, $options"
import csv, sys
a, b = (list(csv.reader(open(name))) for name in sys.argv[1:])
same = len(a) == len(b) == 9
for x, y in zip(a[1:], b[1:]):
    same = same and x[0] == y[0] and x[1] == y[1] and x[3] == y[3] and abs(float(x[5]) - float(y[5])) < 2e-4
sys.exit(not same)
PYTHON
done

# Training on devices: the same model with one and two of them is not asked for, but the same model twice is.
train() {
    hmtnet-train --data "$face/faces.csv" --width 0.02 --batch 8 --steps 3 --quiet --seed 3 "$@" >"$work/said" 2>&1
}
train --backend several --module "$modules" --devices 2 --output "$work/a.safetensors" || complain "$(cat "$work/said")"
train --backend several --module "$modules" --devices 2 --output "$work/b.safetensors" || complain "$(cat "$work/said")"
cmp "$work/a.safetensors" "$work/b.safetensors" || complain 'two devices train two models from one seed'
train --backend several --module "$modules" --output "$work/one.safetensors" || complain "$(cat "$work/said")"
train --backend reference --output "$work/cpu.safetensors" || complain "$(cat "$work/said")"
cmp "$work/one.safetensors" "$work/cpu.safetensors" || complain 'what is sent ahead changes the training'
gives 2 'cannot be shared by 3 devices' hmtnet-train --data "$face/faces.csv" --width 0.02 --batch 8 --steps 3 --quiet \
    --backend several --module "$modules" --devices 3 --output "$work/c.safetensors"

# A set-user-ID program takes no module from its environment.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && chmod 755 "$work" && cp "$build/examples/hmtnet-bench" "$work/bin/suid" &&
    chmod 4755 "$work/bin/suid" && setpriv --reuid=65534 --clear-groups "$work/bin/suid" --version >/dev/null 2>&1; then
    HMT_BACKEND_PATH=$modules gives 2 'there is no module libhmtnet_good.so' \
        setpriv --reuid=65534 --clear-groups "$work/bin/suid" infer --width 0.02 --repeat 1 --backend good
fi
echo 'modules are found where they may be, and nowhere else'
