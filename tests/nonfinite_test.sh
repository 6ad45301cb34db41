#!/usr/bin/env bash
# tier: quick
# A model that gives no finite answer: programs say so for each photo, and print no class, score or accuracy.
# shellcheck source=tests/program_check.sh
source "$(dirname "$0")/program_check.sh"

"$HMTNET_BUILD_DIR/tests/test_nonfinite" "$work/model.safetensors" >log
photo=$(find "$here/examples/faces" -name '*.jpg' | sort | head -n 1)
expect 1 '' "$bin/hmtnet-score" --model model.safetensors --output rows.csv "$photo"
check grep -qE '^[^,]+,,,,,,"?the model gives no finite answer' rows.csv
expect 1 '' "$bin/hmtnet-score" --model model.safetensors --five-crop --format jsonl --output rows.jsonl "$photo"
check grep -q '"error":"the model gives no finite answer' rows.jsonl
check test "$(grep -c '"gender"' rows.jsonl)" = 0
printf 'path,gender,race,score\n%s,female,asian,3\n' "$photo" >table.csv
expect 1 'no finite answer' "$bin/hmtnet-evaluate" --model model.safetensors --data table.csv
check test "$(grep -c '100\|50' log)" = 0
conclude
