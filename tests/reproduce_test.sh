#!/usr/bin/env bash
# tier: quick
# hmtnet-reproduce on drawn faces in SCUT-FBP5500's layout: every table and figure; killed it goes on to the same figures; folds
# and seeds are summed up; what is wrong ends with its own status and one line.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"

splits=${HMTNET_SHARED:-$here/../shared}/data/scut-fbp5500
[ -d "$splits" ] && python3 "$here/tests/synthetic_scut.py" scut --splits "$splits" --count 60 ||
    python3 "$here/tests/synthetic_scut.py" scut --count 60
python3 "$here/tests/synthetic_scut.py" fbp --fbp --count 40
small=(--dataset scut-fbp5500 --preset quick --width 0.03 --epochs 4 --batch 8 --learning-rate 0.001 --threads 1 --quiet)

# Every table and figure, with the published figures beside ours.
expect 0 'Table aggregator' "$bin/hmtnet-reproduce" "${small[@]}" --output all scut
grep -qE '^  HMTNet, five crops +MAE +0.2439 ' log || complain "no published figure of five crops"
grep -qE '^ +PC +not available +-?[0-9.]+ ' log || complain "what was not published is not said to be missing"
for file in table-{2,3,4,aggregator}.{txt,md,csv} figure{2,3}.png; do
    [ -s "all/$file" ] || complain "no $file"
done
! compgen -G "all/*.checkpoint" >/dev/null || complain "checkpoints of finished runs are left"
# Alone means alone: no figures of tasks that were not trained.
[ "$(grep -c '^gender alone,' all/table-3.csv)" -eq 1 ] || complain "gender alone has other figures"

# The difference is ours minus theirs; the second time nothing is trained.
expect 0 'Table 2' "$bin/hmtnet-reproduce" "${small[@]}" --output all --table 2 scut
! grep -q '^epoch' log || complain "finished runs were trained again"
awk -F, '/^MSE,MAE/ { d = $4 - $3 - $7; if (d > 2e-4 || d < -2e-4) exit 1 }' all/table-2.csv || complain "a wrong difference"

# Mean and deviation over five folds and two seeds, from the runs' own results.
expect 0 'five folds' "$bin/hmtnet-reproduce" "${small[@]}" --output folds --table aggregator --folds --seeds 2 scut
python3 - <<'END' || complain "mean or deviation over folds"
import csv, glob, re, statistics
values = [float(re.search(r"mae (\S+)", open(name).read()).group(1)) for name in sorted(glob.glob("folds/joint-fold*-seed*.result"))]
row = next(r for r in csv.DictReader(open("folds/table-aggregator.csv")) if r["row"] == "average" and r["figure"] == "MAE")
assert len(values) == 10 == int(row["runs"])
assert abs(statistics.mean(values) - float(row["here"])) < 1e-4 and abs(statistics.stdev(values) - float(row["deviation"])) < 1e-4
END

# Killed again and again, it ends with the same tables as a run that was not.
killed=0
for i in 1 2 3 4 5 6; do
    "$bin/hmtnet-reproduce" "${small[@]}" --output killed --table 2 scut >/dev/null 2>&1 &
    sleep "0.$((1 + i % 4))"
    kill -KILL $! 2>/dev/null && killed=$((killed + 1))
    wait $! 2>/dev/null || true
done
expect 0 'Table 2' "$bin/hmtnet-reproduce" "${small[@]}" --output killed --table 2 scut
cmp -s all/table-2.csv killed/table-2.csv || complain "another table after $killed kills"
cmp -s all/mse-60-40-seed1.safetensors killed/mse-60-40-seed1.safetensors || complain "another network after $killed kills"
[ "$killed" -gt 0 ] || complain "no kill came in time"

# Table 5 needs the program for ridge regression, which needs LAPACK.
if [ -x "$bin/hmtnet-transfer" ]; then
    expect 0 'SCUT-FBP from features' "$bin/hmtnet-reproduce" "${small[@]}" --output all --table 5 --target fbp scut
    grep -q '0.8707' log || complain "no published figure of table 5"
fi

# Wrong input.
expect 2 'no --dataset' "$bin/hmtnet-reproduce" scut
expect 2 'one DIR' "$bin/hmtnet-reproduce" --dataset scut-fbp5500
expect 2 'one DIR' "$bin/hmtnet-reproduce" --dataset scut-fbp5500 scut scut
expect 2 '--dataset' "$bin/hmtnet-reproduce" --dataset faces scut
expect 2 '--table' "$bin/hmtnet-reproduce" "${small[@]}" --table 7 scut
expect 2 'needs --target' "$bin/hmtnet-reproduce" "${small[@]}" --table 5 scut
expect 2 'nowhere' "$bin/hmtnet-reproduce" "${small[@]}" --output all --table 5 --target nowhere scut
expect 2 'exclude' "$bin/hmtnet-reproduce" "${small[@]}" --folds --split 60-40 scut
expect 2 'cannot split' "$bin/hmtnet-reproduce" "${small[@]}" --split fold9 scut
expect 2 'nowhere' "$bin/hmtnet-reproduce" "${small[@]}" nowhere
expect 2 '--width' "$bin/hmtnet-reproduce" --dataset scut-fbp5500 --width 9 scut
expect 2 '--epochs' "$bin/hmtnet-reproduce" --dataset scut-fbp5500 --epochs 0 scut
expect 2 '--seeds' "$bin/hmtnet-reproduce" --dataset scut-fbp5500 --seeds x scut
expect 2 '--batch' "$bin/hmtnet-reproduce" --dataset scut-fbp5500 --batch 1 scut
expect 2 'do not fill a batch' "$bin/hmtnet-reproduce" "${small[@]}" --batch 512 --output few --table 2 scut
expect 2 'backend' "$bin/hmtnet-reproduce" "${small[@]}" --backend none --output few --table 2 scut
expect 2 'other settings' "$bin/hmtnet-reproduce" "${small[@]}" --epochs 3 --output all --table 2 scut
expect 3 'cannot make' "$bin/hmtnet-reproduce" "${small[@]}" --output nowhere/all --table 2 scut
echo nonsense >all/mse-60-40-seed1.result
expect 2 'is damaged' "$bin/hmtnet-reproduce" "${small[@]}" --output all --table 2 scut

[ "$failures" -eq 0 ] && echo "the study is whole, goes on after kills, and refuses what is wrong"
