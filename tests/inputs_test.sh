#!/usr/bin/env bash
# tier: quick
# What hmtnet-score and its like take for photos: lists of each form, folders with other files, links, macOS's companions. No input
# ends in success with nothing done, and what was skipped is counted by ending.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"
faces=$here/examples/faces
printf 'path,gender,score\n%s,female,2\n%s,male,3\n' "$faces/female-asian-1.jpg" "$faces/male-asian-1.jpg" >train.csv
check "$bin/hmtnet-train" --quiet --data train.csv --batch 2 --width 0.03 --epochs 1 --output m.safetensors >log 2>&1
score=("$bin/hmtnet-score" --quiet --model m.safetensors --threads 1)
cp "$faces/female-asian-1.jpg" a.jpg
cp "$faces/male-asian-1.jpg" b.jpg

# from LIST STATUS TEXT COMMAND...: as expect, with the list (printf's form) on standard input.
from() {
    local list=$1 status=$2 text=$3 got=0
    shift 3
    checks=$((checks + 1))
    # shellcheck disable=SC2059 # the list is a form
    printf "$list" | "$@" >log 2>&1 || got=$?
    [ "$got" -eq "$status" ] || complain "$* ended with $got, not $status"
    [ -z "$text" ] || grep -qF -- "$text" log || complain "no \"$text\" from $*"
}
rows() { check test "$(grep -c '^[ab]\.jpg,' log)" -eq "$1"; }

# Lists: the wrong separator is refused, not scored as one photo.
from 'a.jpg\0b.jpg\0' 2 'has zero bytes; if its names end with them, give --null' "${score[@]}" -
from 'a.jpg\nb.jpg\n' 2 'leave out --null' "${score[@]}" --null -
from 'a.jpg\0b.jpg\0' 0 '' "${score[@]}" --null -
rows 2
from 'a.jpg' 0 '' "${score[@]}" --null -
rows 1
from '\xef\xbb\xbfa.jpg\r\n\r\nb.jpg\r\n' 0 '' "${score[@]}" -
rows 2
from 'a.jpg\nb.jpg' 0 '' "${score[@]}" -
rows 2
from '' 2 'no photos in the input' "${score[@]}" -
from '\n\r\n' 2 'no photos in the input' "${score[@]}" -

# Folders without a photo.
mkdir -p empty linked heic mixed/below
ln -s "$faces" linked/faces
touch heic/{a,b}.heic heic/c.HEIC heic/notes.txt
for program in "${score[*]} FOLDER" "$bin/hmtnet-features --quiet --model m.safetensors --output f.npy FOLDER" \
    "$bin/hmtnet-explain --quiet --model m.safetensors --output e.png FOLDER"; do
    read -ra words <<<"${program/FOLDER/empty}"
    expect 2 'no photos in the input' "${words[@]}"
    read -ra words <<<"${program/FOLDER/linked}"
    expect 2 'skipped 1 file: 1 links to folders' "${words[@]}"
    read -ra words <<<"${program/FOLDER/heic}"
    expect 2 'skipped 4 files: 3 .heic, 1 .txt' "${words[@]}"
done
check test ! -e f.npy -a ! -e e.png

# Folders with some: all of JPEG's endings; what is no photo is counted once, in one line.
cp a.jpg mixed/1.jpe && cp a.jpg mixed/2.JFIF && cp a.jpg mixed/3.jpeg && cp a.jpg mixed/below/4.JPG
cp a.jpg mixed/._1.jpg && touch mixed/README mixed/a.webp mixed/below/.DS_Store
mkfifo mixed/pipe.jpg
expect 0 'skipped 5 files: 2 without an ending, 1 ._* of macOS, 1 .webp, 1 pipes and devices' "${score[@]}" mixed
check test "$(grep -c '^mixed/[^,]*,[a-z]' log)" -eq 4
check test "$(grep -c skipped log)" -eq 1
expect 0 'skipped 5 files' "$bin/hmtnet-features" --quiet --model m.safetensors --output f.npy mixed
# A name that is given is tried, whatever its ending.
cp a.jpg mixed/photo.heic
expect 0 'mixed/photo.heic,' "${score[@]}" mixed/photo.heic

conclude
