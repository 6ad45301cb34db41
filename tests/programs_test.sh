#!/usr/bin/env bash
# tier: quick
# The programs as people run them: scoring good and bad photos in both formats, training from a table and going on from a
# model, every kind of wrong input with its exit status and one line that says what and where.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"

# Photos with two classes each, and a table of them; one file is no photo.
mkdir -p "$work/photos/below"
cp "$here"/tests/data/images/{baseline,progressive,exif_6}.jpg "$work/photos"
cp "$here/tests/data/images/rgba8.png" "$work/photos/below"
echo 'not a photo' >"$work/photos/bad.jpg"
cat >"$work/train.csv" <<END
path,gender,race,score
photos/baseline.jpg,female,asian,2.5
photos/progressive.jpg,male,,4
photos/exif_6.jpg,female,caucasian,
photos/below/rgba8.png,,asian,3
END

# Training, and going on.
more=("$bin/hmtnet-train" --batch 2 --epochs 1 --quiet)
train=("${more[@]}" --width 0.03)
expect 0 'epoch 1/1' "${train[@]}" --data "$work/train.csv" --validate "$work/train.csv" --output "$work/m.safetensors"
expect 2 '--width' "${train[@]}" --data "$work/train.csv" --from "$work/m.safetensors" --output "$work/n.safetensors"
expect 0 'epoch 1/1' "${more[@]}" --data "$work/train.csv" --from "$work/m.safetensors" --output "$work/n.safetensors" --storage bf16
cp "$work/m.safetensors" "$work/first"
expect 0 'epoch' "${train[@]}" --data "$work/train.csv" --output "$work/m.safetensors"
check cmp -s "$work/first" "$work/m.safetensors" # the same seed, the same bytes
expect 2 'no-such.csv' "${train[@]}" --data "$work/no-such.csv" --output "$work/x.safetensors"
expect 2 '--output' "${train[@]}" --data "$work/train.csv"
printf 'path,gender\nphotos/baseline.jpg,female,extra,cells,"open\n' >"$work/broken.csv"
expect 2 'broken.csv:2' "${train[@]}" --data "$work/broken.csv" --output "$work/x.safetensors"
printf 'gender,race\nfemale,asian\n' >"$work/nopath.csv"
expect 2 'path' "${train[@]}" --data "$work/nopath.csv" --output "$work/x.safetensors"
sed 's/,2.5/,two/' "$work/train.csv" >"$work/word.csv"
expect 2 'word.csv:2' "${train[@]}" --data "$work/word.csv" --output "$work/x.safetensors"
sed 's/,caucasian,/,martian,/' "$work/train.csv" >"$work/martian.csv"
expect 2 'martian' "${more[@]}" --data "$work/martian.csv" --from "$work/m.safetensors" --output "$work/x.safetensors"
sed 's/below.rgba8.png/bad.jpg/' "$work/train.csv" >"$work/unreadable.csv"
expect 1 'bad.jpg' "${train[@]}" --data "$work/unreadable.csv" --output "$work/x.safetensors"
check test ! -e "$work/x.safetensors"
expect 2 'learning' "${train[@]}" --data "$work/train.csv" --output "$work/x.safetensors" --learning-rate fast

# Scoring.
score=("$bin/hmtnet-score" --model "$work/m.safetensors")
expect 1 '1 could not be read' "${score[@]}" --output "$work/out.csv" "$work/photos"
check test "$(wc -l <"$work/out.csv")" -eq 6
check grep -q 'not a JPEG or PNG' "$work/out.csv"
check grep -qE 'baseline.jpg,(female|male),0\.[0-9]+,(asian|caucasian),[01]\.[0-9]+,-?[0-9.]+,' "$work/out.csv"
rm "$work/photos/bad.jpg"
expect 0 'baseline.jpg' "${score[@]}" "$work/photos"
expect 0 'rgba8.png' "${score[@]}" --five-crop --batch 3 "$work/photos/below/rgba8.png"
expect 0 '"gender_probabilities":{"female":' "${score[@]}" --quiet --format jsonl "$work/photos/baseline.jpg"
check grep -qE '^\{.*"score":-?[0-9.]+\}$' log
find "$work/photos" -name '*.jpg' | "${score[@]}" --quiet - >"$work/listed.csv"
check test "$(wc -l <"$work/listed.csv")" -eq 4
expect 2 'no-such.safetensors' "$bin/hmtnet-score" --model "$work/no-such.safetensors" "$work/photos"
expect 2 'train.csv' "$bin/hmtnet-score" --model "$work/train.csv" "$work/photos"
expect 2 'frobnicate' "${score[@]}" --frobnicate "$work/photos"
expect 2 'abacus' "${score[@]}" --backend abacus "$work/photos"
expect 3 'no-such' "${score[@]}" --output "$work/no-such/out.csv" "$work/photos"
if [ -w /dev/full ]; then
    got=0
    "${score[@]}" --quiet "$work/photos" >/dev/full 2>log || got=$?
    check test "$got" -eq 3
fi
cp "$work/out.csv" "$work/old.csv"
expect 2 'abacus' "${score[@]}" --backend abacus --output "$work/out.csv" "$work/photos"
check cmp -s "$work/out.csv" "$work/old.csv"

# Heads that no label was given for say nothing: in each program, from the file, until they are trained.
sed 's/^\([^,]*\),[^,]*,[^,]*,/\1,/; /,$/d' "$work/train.csv" >"$work/scores.csv"
expect 0 'epoch 1/1' "${train[@]}" --data "$work/scores.csv" --validate "$work/train.csv" --output "$work/s.safetensors"
check test "$(grep -c 'gender [0-9.]* %' log)" -eq 0
expect 0 '' "$bin/hmtnet-score" --quiet --model "$work/s.safetensors" "$work/photos/baseline.jpg"
check grep -q 'baseline.jpg,,,,,[0-9.-]*,$' log
expect 0 '"gender":null,"race":null,"score":' "$bin/hmtnet-score" --quiet --model "$work/s.safetensors" --format jsonl "$work/photos/baseline.jpg"
expect 0 '' "$bin/hmtnet-evaluate" --quiet --model "$work/s.safetensors" --data "$work/train.csv" --resamples 0 --predictions -
check grep -q 'baseline.jpg,female,asian,2.5,,,,,[0-9.-]*,$' log
expect 0 '' "$bin/hmtnet-explain" --quiet --model "$work/s.safetensors" --method activation --output "$work/e.png" "$work/photos/baseline.jpg"
check "$bin/hmtnet-convert" --storage f16 "$work/s.safetensors" "$work/half.safetensors"
expect 0 '"gender":null' "$bin/hmtnet-score" --quiet --model "$work/half.safetensors" --format jsonl "$work/photos/baseline.jpg"
expect 0 'epoch 1/1' "${more[@]}" --data "$work/train.csv" --from "$work/s.safetensors" --output "$work/all.safetensors"
expect 0 '"gender":"' "$bin/hmtnet-score" --quiet --model "$work/all.safetensors" --format jsonl "$work/photos/baseline.jpg"

# Smaller models, in place too, and a model that cannot be written.
wide=$(stat -c %s "$work/m.safetensors")
check "$bin/hmtnet-convert" "$work/m.safetensors" "$work/small.safetensors"
check test "$(stat -c %s "$work/small.safetensors")" -lt $((wide / 3))
check "$bin/hmtnet-convert" --storage f16 "$work/small.safetensors" "$work/small.safetensors"
expect 0 'male' "$bin/hmtnet-score" --quiet --model "$work/small.safetensors" "$work/photos"
expect 3 'no-such' "$bin/hmtnet-convert" "$work/m.safetensors" "$work/no-such/small.safetensors"

# Measuring, help, versions.
expect 0 'images_per_second' "$bin/hmtnet-bench" infer --batch 2 --width 0.03 --repeat 2 --json
expect 0 'conv1' "$bin/hmtnet-bench" train --batch 2 --width 0.03 --repeat 2 --steps
expect 2 'infer or train' "$bin/hmtnet-bench" fly
for program in hmtnet-score hmtnet-train hmtnet-bench hmtnet-convert; do
    expect 0 'Usage:' "$bin/$program" --help
    expect 0 '0.' "$bin/$program" --version
done
expect 0 'attractiveness' "$bin/embed" "$work/m.safetensors" "$work/photos/baseline.jpg"
expect 1 'nobody.jpg' "$bin/embed" "$work/m.safetensors" "$work/nobody.jpg"

conclude
