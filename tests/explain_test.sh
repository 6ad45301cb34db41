#!/usr/bin/env bash
# tier: quick
# hmtnet-explain as people run it: sheets of several photos and of one each, every method, and what is wrong with its input.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"

# size FILE: width and height of a PNG.
size() {
    python3 -c 'import struct, sys
head = open(sys.argv[1], "rb").read(24)
assert head[:8] == b"\x89PNG\r\n\x1a\n"
print(*struct.unpack(">II", head[16:24]))' "$1"
}

mkdir "$work/photos" "$work/sheets"
cp "$here"/tests/data/images/{baseline,progressive}.jpg "$here/tests/data/images/rgba8.png" "$work/photos"
cat >"$work/train.csv" <<END
path,gender,race,score
photos/baseline.jpg,female,asian,2.5
photos/progressive.jpg,male,caucasian,4
END
"$bin/hmtnet-train" --batch 2 --epochs 1 --quiet --width 0.03 --data "$work/train.csv" --validate "$work/train.csv" \
    --output "$work/m.safetensors" >log 2>&1
explain=("$bin/hmtnet-explain" --quiet --threads 1 --model "$work/m.safetensors")

# The default: the face, an activation, three saliencies, three Grad-CAMs; margins and captions add to the pictures.
expect 0 '' "${explain[@]}" --size 64 --output "$work/all.png" "$work/photos"
check test "$(size "$work/all.png")" = "$((8 + 8 * 72)) $((8 + 18 + 4 + 3 * (64 + 9 + 8) + 9 + 8))"
cp "$work/all.png" "$work/before.png"
expect 0 '' "${explain[@]}" --size 64 --output "$work/all.png" "$work/photos"
check cmp -s "$work/before.png" "$work/all.png" # the same photos, the same bytes
expect 0 '' "${explain[@]}" --backend reference --size 64 --method grad-cam --tap relu3,agg1 --task race --output "$work/cam.png" "$work/photos"
check test "$(size "$work/cam.png" | cut -d ' ' -f 1)" = "$((8 + 3 * 72))"
expect 0 '' "${explain[@]}" --size 64 --method activation --channel strongest --output "$work/one.png" "$work/photos/rgba8.png"
expect 0 '' "${explain[@]}" --size 64 --method saliency --noise 0 --blur 0 --task gender --output "$work/one.png" "$work/photos/rgba8.png"
expect 0 '' "${explain[@]}" --size 64 --method activation --output "$work/sheets" "$work/photos"
for name in baseline progressive rgba8; do check test -s "$work/sheets/$name.png"; done

# What is wrong.
echo 'not a photo' >"$work/bad.jpg"
expect 1 'bad.jpg' "${explain[@]}" --size 64 --method activation --output "$work/some.png" "$work/bad.jpg" "$work/photos"
check test -s "$work/some.png"
expect 2 'bad.jpg' "${explain[@]}" --size 64 --method activation --output "$work/none.png" "$work/bad.jpg"
check test ! -e "$work/none.png"
expect 2 'relu9' "${explain[@]}" --tap relu9 --output "$work/x.png" "$work/photos"
expect 2 'fc6 has no map' "${explain[@]}" --method activation --tap fc6 --output "$work/x.png" "$work/photos"
expect 2 '--method' "${explain[@]}" --method guess --output "$work/x.png" "$work/photos"
expect 2 '--task' "${explain[@]}" --task age --output "$work/x.png" "$work/photos"
expect 2 'nothing to show' "${explain[@]}" --method '' --output "$work/x.png" "$work/photos"
mkdir "$work/empty"
expect 2 'no photos' "${explain[@]}" --output "$work/x.png" "$work/empty"
expect 2 '--output' "${explain[@]}" "$work/photos"
expect 2 'no-such' "$bin/hmtnet-explain" --model "$work/no-such" --output "$work/x.png" "$work/photos"
expect 3 'no-such' "${explain[@]}" --size 64 --method activation --output "$work/no-such/x.png" "$work/photos"
expect 0 'hmtnet-explain --model' "$bin/hmtnet-explain" --help

conclude
