#!/usr/bin/env bash
# demo.sh [MODEL]: sets up, scores the faces in examples/faces, shows what came out beside their labels, and
# trains a little.
#
# Writes into out/: faces.csv (predictions), demo.html (open it in a browser), fine-tuned.safetensors and
# training.log. MODEL defaults to the one in examples/models.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
faces=examples/faces
export PYTHONDONTWRITEBYTECODE=1

say() { printf '\n== %s\n' "$*"; }
die() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

[ $# -le 1 ] || die "usage: examples/demo.sh [MODEL]"
model=${1:+$(realpath "$1")}
cd "$root"
if [ -z "$model" ]; then
    models=(examples/models/*.safetensors)
    model=${models[0]}
fi
[ -r "$model" ] || die "there is no model $model"

say "Setting up and building"
scripts/setup.sh
command -v python3 >/dev/null || die "the report needs python3; install it and run again"
mkdir -p out
start=$SECONDS

version=$(build/examples/hmtnet-score --version)
version=${version##*, }
note="The faces are few and spread evenly over the groups; the model's card has figures on more."

say "Scoring $faces with $model"
build/examples/hmtnet-score --model "$model" --output out/faces.csv "$faces"
examples/report.py out/faces.csv $faces/faces.csv --html out/demo.html \
    --about "Model: $(basename "$model"); $version. $note"

say "Training: from that model, 8 times through the same faces"
build/examples/hmtnet-train --from "$model" --data $faces/faces.csv --output out/fine-tuned.safetensors \
    --epochs 8 --batch 16 --schedule constant --learning-rate 0.002 --weight-decay 0.0005 --quiet |
    tee out/training.log
read -r first last < <(awk '$1 == "epoch" { for (i = 3; i < NF; i++) if ($i == "loss") loss[++n] = $(i + 1) }
                            END { print loss[1], loss[n] }' out/training.log)
awk -v a="$first" -v b="$last" 'BEGIN { exit !(b < a) }' ||
    die "the loss did not fall ($first to $last); see out/training.log"
echo "The loss fell from $first to $last. (These faces are too few to learn from: this only shows training at work.)"

say "Done in $((SECONDS - start)) s after set-up. Open this in a browser:"
printf '%s\n' "$root/out/demo.html"
