#!/usr/bin/env bash
# tier: quick
# What the programs promise in detail: options, exit statuses, tables and their errors, rows for photos good and bad, outputs that are
# replaced whole or not at all. Photos are made here; models by hmtnet-train itself, at width 1/16.
set -uo pipefail
export LC_ALL=C

programs=${HMTNET_BUILD_DIR:?names the build tree}/examples
PATH=$programs:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
checks=0
failed=0

complain() {
    echo "FAILED: $*"
    sed 's/^/    out: /' out | head -5
    sed 's/^/    err: /' err | head -5
    failed=$((failed + 1))
}

# gives STATUS COMMAND...: runs it, its outputs go to the files out and err.
gives() {
    local wanted=$1 status
    shift
    "$@" >out 2>err </dev/null
    status=$?
    checks=$((checks + 1))
    [[ $status == "$wanted" ]] || complain "$* gave $status, not $wanted"
}
# has FILE TEXT...: each text is in it.
has() {
    local file=$1 text
    shift
    for text; do
        checks=$((checks + 1))
        grep -qF -e "$text" "$file" || complain "'$text' is not in $file"
    done
}
# is FACT: a condition of [[ ]], as text.
is() {
    checks=$((checks + 1))
    eval "[[ $1 ]]" || complain "$1"
}

# PNG files of 6x5 pixels, and files that are none.
mkdir -p photos/more
base64 -d >photos/a.png <<<iVBORw0KGgoAAAANSUhEUgAAAAYAAAAFCAIAAADpOgqxAAAARElEQVR42g3IIQEAQAgEwYuDJgl6NSFIgibOxfofOZIIUWLECQspiaSSSS5x/mqiqWaaa9y/llhqmeUW7y8TpsyYMzYPSGwh/bN9ti4AAAAASUVORK5CYII=
base64 -d >photos/b.png <<<iVBORw0KGgoAAAANSUhEUgAAAAYAAAAFCAIAAADpOgqxAAAAQUlEQVR42hXIMQHAMAgAQeQwoyQiEIES5sg5WU1/+wsRMpww4Yb/o2Q5Zcot6lHLdtq02/SjleusWXfZRySH4Xp9t2Qu4aKoIRwAAAAASUVORK5CYII=
cp photos/a.png photos/c.png
base64 -d >'photos/more/d, "e".png' <<<iVBORw0KGgoAAAANSUhEUgAAAAYAAAAFCAIAAADpOgqxAAAAVklEQVR42gXBIQEAMQgFUJJQ45slmUHTYA1oMEMIzGpgzhDn33tCylCLK7iNB7zC1mmp3tHL+qKPMNfkrpRItXzIT+h7fJVruJh/8CfEGdzCC3wGAfQHikQu//nxmPcAAAAASUVORK5CYII=
head -c 60 photos/a.png >photos/cut.png
echo 'no photo' >photos/text.jpg
echo 'not looked at' >photos/notes.txt

# --help, --version, wrong options.
for program in hmtnet-score hmtnet-train hmtnet-bench; do
    gives 0 $program --help
    has out "Usage: $program" "Exit status:" "Example:" "--version"
    gives 0 $program --version
    has out "libhmtnet $(sed -n 's/^Version: //p' "$HMTNET_BUILD_DIR/hmtnet.pc" 2>/dev/null)"
    gives 2 $program --no-such-option
    has err "unknown option '--no-such-option'"
    gives 2 $program --threads
    has err "'--threads' needs a value"
    gives 2 $program --batch 0.5
    has err "--batch takes a whole number from"
    gives 2 $program
    is '$(wc -l <err) == 1 && ! -s out'
done
gives 2 hmtnet-convert
has err "INPUT and OUTPUT are needed"
gives 2 hmtnet-convert --storage i4 a b
has err "--storage takes f32|f16|bf16|i8, not 'i4'"
gives 2 hmtnet-convert photos/text.jpg small.safetensors
has err "photos/text.jpg"
is '! -e small.safetensors'
gives 2 hmtnet-score --format xml
has err "--format takes csv|jsonl, not 'xml'"
gives 2 hmtnet-train --data a --output b --alpha 1,2
gives 2 hmtnet-train --data a --output b --from c --width 1
gives 2 hmtnet-train --data a --output b surplus

# Training: two steps, the same seed gives the same file, a model is resumed.
cat >train.csv <<'END'
score,extra,path,race,gender
3.5,x,photos/a.png,asian,female
1.25,x,photos/b.png,caucasian,male
,x,photos/c.png,black,
4,"a, b","photos/more/d, ""e"".png",,male
END
train="hmtnet-train --data train.csv --batch 2 --width 0.0625 --epochs 1 --threads 1"
gives 0 $train --validate train.csv --output one.safetensors
has out "4 photos, 2 classes of gender, 3 of race, 3 scores" "2 steps of 2 photos; 0 photos" "epoch 1/1  loss" "GFLOP/s" \
    "4 unseen photos:  MAE"
gives 0 $train --output two.safetensors --decoders 3
checks=$((checks + 1))
cmp -s one.safetensors two.safetensors || complain "the same seed gave two models"
gives 0 $train --output two.safetensors --seed 2
is '$(cmp -s one.safetensors two.safetensors; echo $?) == 1'
gives 0 $train --output half.safetensors --storage bf16 --schedule one-cycle --loss l1 --steps 1 --wiring paper
has out "1 steps of 2 photos"
is '$(stat -c %s half.safetensors) -lt $(stat -c %s one.safetensors)'
gives 0 hmtnet-train --data train.csv --batch 3 --epochs 2 --from one.safetensors --output two.safetensors --cache 0
has out "width 0.0625" "1 photos of each epoch fill no batch" "epoch 2/2"
gives 2 hmtnet-train --data train.csv --batch 5 --from one.safetensors --output three.safetensors
has err "4 samples do not fill a batch of 5"
# Parameters of another file, all of which fit.
gives 0 hmtnet-train --data train.csv --batch 2 --width 0.0625 --epochs 1 --learning-rate 0 --pretrained one.safetensors --output four.safetensors
has out "78 of the network's 78 parameters are those of one.safetensors"
gives 2 hmtnet-train --data train.csv --batch 2 --pretrained photos/text.jpg --output three.safetensors
has err 'cannot use the parameters of photos/text.jpg'
gives 2 hmtnet-train --data a --output b --pretrained c --from d
# The wiring of a file that says its own stays.
gives 0 hmtnet-convert --storage f32 --wiring paper one.safetensors other.safetensors
is "$(cmp one.safetensors other.safetensors && echo same) == same"
gives 3 $train --output nowhere/three.safetensors
gives 2 hmtnet-train --data train.csv --from photos/text.jpg --output three.safetensors
has err "photos/text.jpg"
is '! -e three.safetensors'

# Tables that are wrong: refused with file and line. table MESSAGE: the table is on standard input.
table() {
    cat >wrong.csv
    gives 2 hmtnet-train --data wrong.csv --batch 2 --width 0.0625 --output three.safetensors ${2:-}
    has err "wrong.csv:$1"
    is '$(wc -l <err) == 1 && ! -e three.safetensors'
}
table "1: the table is empty" </dev/null
table "1: the first row names no column 'path'" <<<$'file,score\na.png,1'
table "1: two columns are called 'score'" <<<$'path,score,score\na.png,1,1'
table "1: no column 'gender', 'race' or 'score'" <<<$'path,age\na.png,1'
table "3: 3 cells where the first row has 2" <<<$'path,score\na.png,1\nb.png,2,3'
table "2: the path is empty" <<<$'path,score\n,1'
table "4: the score is not a finite number" <<<$'path,score\na.png,1\n\nb.png,1.5 points'
table "2: the score is not a finite number" <<<$'path,score\na.png,inf'
table "3: text behind a closing quote" <<<$'path,score\na.png,1\n"b"x,1'
table "2: a quoted field does not end" <<<$'path,score\n"a.png,1\nb.png,2'
table "2: a quote inside a field" <<<$'path,score\na"b.png,1'
table " only one class of gender, 'f'" <<<$'path,gender\na.png,f\nb.png,f'
table "2: a class name of more than 31 bytes" <<<$'path,gender\na.png,0123456789012345678901234567890123\n'
printf 'path,score\na\0b,1\n' | table "2: a zero byte"
cat >wrong.csv <<<$'path,gender\nphotos/a.png,male\nphotos/b.png,robot'
gives 2 hmtnet-train --data wrong.csv --batch 2 --from one.safetensors --output three.safetensors
has err "wrong.csv:3: 'robot' is not one of the 2 classes of gender"
gives 2 hmtnet-train --data train.csv --batch 2 --width 0.0625 --validate wrong.csv --output three.safetensors
has err "wrong.csv:3: 'robot'"
printf '\xef\xbb\xbfpath,score\r\n"photos/a.png",1\r\n\r\nphotos/b.png,2' >good.csv
gives 0 hmtnet-train --data good.csv --batch 2 --width 0.0625 --epochs 1 --output three.safetensors
has out "2 photos, 2 classes of gender, 2 of race, 2 scores"
rm three.safetensors

# Photos that cannot be read, and a loss that is not finite: the old model stays.
cat >bad.csv <<<$'path,score\nphotos/a.png,1\nphotos/cut.png,2\nphotos/missing.png,2\nphotos/b.png,3'
cp one.safetensors old.safetensors
gives 1 hmtnet-train --data bad.csv --batch 2 --width 0.0625 --output old.safetensors
has err "bad.csv:3: photos/cut.png: "
gives 0 hmtnet-train --data bad.csv --batch 2 --width 0.0625 --epochs 1 --skip-bad --output two.safetensors
has err "bad.csv:3: photos/cut.png: " "bad.csv:4: cannot open photos/missing.png"
is '$(wc -l <err) == 2' # each once
has out "epoch 1/1  loss"
cat >huge.csv <<<$'path,score\nphotos/a.png,1e38\nphotos/b.png,-1e38\nphotos/c.png,1e38\nphotos/a.png,-1e38'
gives 1 hmtnet-train --data huge.csv --batch 2 --width 0.0625 --loss mse --output old.safetensors
has err "training stopped: step 2: " "old.safetensors was not written"
checks=$((checks + 1))
cmp -s one.safetensors old.safetensors || complain "a failed training changed the old model"

# An interruption: the step is finished, the model saved.
hmtnet-train --data train.csv --batch 2 --width 0.0625 --epochs 1000000 --output int.safetensors --save-every 1000000 \
    >out 2>err &
for ((i = 0; i < 300; i++)); do
    grep -q '^epoch' out && break
    sleep 0.1
done
kill -INT $!
wait $!
is "$? == 130"
has err "interrupted after step" "the model is saved"
gives 0 hmtnet-score --model int.safetensors photos/a.png

# Scoring: rows in the order of the inputs, folders sorted, error rows.
score="hmtnet-score --model one.safetensors --threads 1"
# shellcheck disable=SC2034 # the function is() expands it
header=path,gender,gender_probability,race,race_probability,score,error
gives 0 $score photos/b.png photos/a.png
is '$(head -1 out) == $header && $(wc -l <out) == 3'
is '$(grep -cE "^photos/[ab].png,(fe)?male,[01]\.[0-9]{6},(asian|black|caucasian),[01]\.[0-9]{6},-?[0-9]+\.[0-9]{4},$" out) == 2'
is '$(sed -n 2p out) == photos/b.png,*'
gives 1 $score --batch 2 photos
printf 'path\nphotos/a.png\nphotos/b.png\nphotos/c.png\nphotos/cut.png\n"photos/more/d\nphotos/text.jpg\n' >wanted
checks=$((checks + 1))
cut -d, -f1 out | diff - wanted || complain "rows of a folder"
has out '"photos/more/d, ""e"".png",' 'photos/cut.png,,,,,,' 'photos/text.jpg,,,,,,'
has err "6 photos in" "2 could not be read"
is '$(grep -c "^photos/text.jpg,,,,,,.\+" out) == 1'
rounded() { sed 1d out | sed 's/\(,-\{0,1\}[0-9]*\.[0-9]\{2\}\)[0-9]*/\1/g' | sort; }
rounded >by_two
gives 1 $score --batch 16 --decoders 4 photos
checks=$((checks + 1))
rounded | diff - by_two || complain "the batch changes the predictions"
gives 1 $score --quiet photos/missing.png
has out 'photos/missing.png,,,,,,'
is '! -s err'
mkdir empty
gives 2 $score empty
has err "no photos in the input"
is '! -s out'
gives 2 hmtnet-score --model photos/text.jpg photos
has err "cannot use the model photos/text.jpg"

# Five crops, JSON Lines, lists on standard input.
gives 0 $score --five-crop photos/c.png
is '$(wc -l <out) == 2'
printf 'photos/a.png\n\nphotos/cut.png\n' | $score --format jsonl - >out 2>err
is "$? == 1"
is '$(wc -l <out) == 2'
has out '{"path":"photos/a.png","gender":"' '"gender_probabilities":{"female":' '"race_probabilities":{"asian":' ',"score":' \
    '{"path":"photos/cut.png","error":"'
printf 'photos/a.png\0photos/more/d, "e".png\0' | $score -f jsonl -0 - >out 2>err
is "$? == 0"
has out '{"path":"photos/more/d, \"e\".png","gender":"'
cp photos/a.png $'photos/\xff\t.png'
gives 0 $score -f jsonl $'photos/\xff\t.png'
has out '{"path":"photos/\ufffd\u0009.png",'

# Outputs: the same text in a file, replaced whole, the old one kept when writing fails.
gives 0 $score photos/a.png
mv out wanted
gives 0 $score --output rows.csv photos/a.png
is '! -s out'
checks=$((checks + 1))
diff rows.csv wanted || complain "the file differs from standard output"
chmod 640 rows.csv
ln -s rows.csv link.csv
gives 0 $score --output link.csv photos/b.png
is '-L link.csv && $(stat -c %a rows.csv) == 640'
has rows.csv photos/b.png
cp rows.csv wanted
gives 3 $score --output photos photos/a.png
gives 3 $score --output nowhere/rows.csv photos/a.png
gives 3 $score --output /dev/full photos/a.png
has err "cannot write to /dev/full"
(
    trap '' XFSZ
    ulimit -f 0
    exec $score --output rows.csv photos/a.png
) </dev/null 2>&1 | cat >err
is "${PIPESTATUS[0]} == 3"
has err "cannot write to"
diff rows.csv wanted || complain "a failed run changed the old file"
is '-z $(ls | grep rows.csv.)'

# The other programs.
gives 0 hmtnet-bench infer --width 0.0625 --batch 2 --repeat 2 --steps
has out "infer, width 0.0625, batch 2" "median" "photos/s" "of the peak" "conv1"
gives 0 hmtnet-bench train --model one.safetensors --batch 2 --repeat 2 --json --steps
has out '{"mode":"train",' '"images_per_second":' '"peak_memory_bytes":' '"steps":[{"name":"'
gives 2 hmtnet-bench neither
gives 1 embed one.safetensors photos/a.png photos/cut.png
has out "photos/a.png: " "attractiveness"
has err "photos/cut.png: "

echo "$checks checks, $failed failed"
[[ $failed == 0 ]]
