#!/usr/bin/env bash
# tier: quick
# hmtnet-dataset on a table with a photo under two names, one that looks alike and one that cannot be read; the sheets are PNG
# files of the right size; what is wrong ends with its own status.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"
is() {
    checks=$((checks + 1))
    eval "[[ $1 ]]" || complain "$1"
}

faces=$here/examples/faces
cp "$faces/female-asian-1.jpg" a.jpg
cp a.jpg twin.jpg
cp "$faces/male-black-1.jpg" b.jpg
echo 'not a photo' >broken.jpg
cat >set.csv <<END
path,gender,race,score
a.jpg,f,x,2
twin.jpg,f,x,4
b.jpg,m,y,5
$faces/male-black-2.jpg,m,,
END
expect 0 '' "$bin/hmtnet-dataset" --quiet set.csv
has '4 photos, 2 classes of gender, 2 of race, scores from 2 to 5' '3.000      1.414' \
    '4 photos can be read, 0 cannot; 1 pairs are the same, 0 look alike' 'same: a.jpg and twin.jpg'
echo 'broken.jpg,m,y,3' >>set.csv
expect 1 '' "$bin/hmtnet-dataset" --quiet --json set.csv
has '"photos":5' '"unreadable":[{"name":"broken.jpg"' '{"match":"same","names":["a.jpg","twin.jpg"],"contradict":false}' \
    '{"gender":"f","race":"x","faces":2,"score":3,"deviation":1.41421356}'
python3 -c 'import json; json.load(open("log"))' || complain "no JSON"
expect 0 '' "$bin/hmtnet-dataset" --no-photos set.csv
expect 2 '' "$bin/hmtnet-dataset" no-such.csv
has 'no-such.csv'
expect 2 '' "$bin/hmtnet-dataset" --kind scut-fbp5500 .
has 'All_labels.txt'
expect 2 '' "$bin/hmtnet-dataset"

# The published layout: the pair lies across the split.
mkdir -p scut/Images "scut/train_test_files/split_of_60%training and 40%testing"
cp a.jpg scut/Images/fty1.jpg && cp a.jpg scut/Images/fty2.jpg && cp b.jpg scut/Images/mtw3.jpg
printf 'fty1.jpg 2\nfty2.jpg 3\nmtw3.jpg 4\n' >scut/train_test_files/All_labels.txt
printf 'fty1.jpg 2\nmtw3.jpg 4\n' >"scut/train_test_files/split_of_60%training and 40%testing/train.txt"
printf 'fty2.jpg 3\n' >"scut/train_test_files/split_of_60%training and 40%testing/test.txt"
expect 0 '' "$bin/hmtnet-dataset" --quiet --kind scut-fbp5500 scut
has 'split 60-40: 2 for training, 1 for test; 1 pairs of photos lie across it'

# Sheets: width and height stand in bytes 16 to 23 of a PNG.
size() { od -An -tu1 -j16 -N8 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }'; }
expect 0 '' "$bin/hmtnet-dataset" --quiet --kind scut-fbp5500 scut --sheet sheet.png --faces 3
is '$(size sheet.png) == "320 "*'
expect 3 '' "$bin/hmtnet-dataset" --quiet --kind scut-fbp5500 scut --sheet nowhere/sheet.png
expect 0 '' "$bin/hmtnet-train" --quiet --kind scut-fbp5500 --data scut --split 60-40 --batch 2 --width 0.03 --epochs 1 \
    --augment paper --sheet augmented.png --output m.safetensors
has '2 photos, 2 classes of gender, 2 of race, 2 scores' '1 unseen photos:'
is '$(size augmented.png) == "1088 "*'
expect 2 '' "$bin/hmtnet-train" --kind scut-fbp5500 --data scut --split fold9 --batch 2 --output m.safetensors
has 'no split fold9'

conclude
