#!/usr/bin/env bash
# tier: quick
# The programs' options for photos, --max-pixels and --allow-truncated: each program that decodes passes them on, and without
# them says what to do.
# shellcheck source=tests/program_check.sh
source "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"

images=$here/tests/data/images
model=$here/examples/models/hmtnet-quarter.safetensors
mkdir photos
head -c 900 "$images/baseline.jpg" >photos/cut.jpg
cp "$images/baseline.jpg" "$images/rgb8.png" photos
printf 'path,score\nphotos/cut.jpg,3\nphotos/baseline.jpg,3\nphotos/rgb8.png,4\n' >table.csv

expect 1 "the file is truncated" "$bin/hmtnet-score" --model "$model" photos
expect 0 "photos/cut.jpg" "$bin/hmtnet-score" --model "$model" --allow-truncated photos
expect 1 "more than max_pixels, 2239: raise it" "$bin/hmtnet-score" --model "$model" --max-pixels 2239 photos
expect 0 "" "$bin/hmtnet-score" --model "$model" --max-pixels 2240 photos/rgb8.png
expect 2 "" "$bin/hmtnet-score" --model "$model" --max-pixels 0 photos/rgb8.png

# The others, on two photos of which one is cut off.
programs() {
    local some=$1 said=$2 trained=$3
    shift 3
    expect "$some" "$said" "$bin/hmtnet-explain" --model "$model" --method activation --output maps.png "$@" photos/cut.jpg photos/rgb8.png
    expect "$some" "$said" "$bin/hmtnet-features" --model "$model" --output f.npy "$@" photos/cut.jpg photos/rgb8.png
    expect "$trained" "$said" "$bin/hmtnet-evaluate" --model "$model" --resamples 0 --data table.csv "$@"
    expect "$trained" "$said" "$bin/hmtnet-dataset" "$@" table.csv
    expect "$trained" "$said" "$bin/hmtnet-train" --data table.csv --output m.safetensors --width 0.0625 --steps 1 --batch 2 "$@"
}
programs 1 "allow_truncated" 1
programs 0 "" 0 --allow-truncated
programs 2 "more than max_pixels, 2239: raise it" 1 --max-pixels 2239
conclude
