#!/usr/bin/env bash
# tier: quick
# hmtnet-features and hmtnet-transfer: arrays that agree with each other, ridge regression with known answers in both of its
# forms, and what is wrong with their input.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"
export OPENBLAS_NUM_THREADS=1

# A .npy reader and writer, without NumPy.
cat >"$work/npy.py" <<'END'
import ast, random, struct, sys

def read(path):
    data = open(path, "rb").read()
    assert data[:8] == b"\x93NUMPY\x01\x00" and len(data) % 4 == 0
    end = 10 + struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:end].decode())
    assert head["descr"] == "<f4" and not head["fortran_order"] and end % 64 == 0
    values = struct.unpack(f"<{(len(data) - end) // 4}f", data[end:])
    count = 1
    for size in head["shape"]:
        count *= size
    assert count == len(values)
    return head["shape"], values

def write(path, rows, kind):
    head = "{'descr': '<%s', 'fortran_order': False, 'shape': (%d, %d), }" % ("f8" if kind == "d" else "f4", len(rows), len(rows[0]))
    head = head.ljust(117) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        for row in rows:
            file.write(struct.pack(f"<{len(row)}{kind}", *row))
END

mkdir "$work/photos"
cp "$here"/tests/data/images/{baseline,progressive}.jpg "$here/tests/data/images/rgba8.png" "$work/photos"
cat >"$work/train.csv" <<END
path,gender,race,score
photos/baseline.jpg,female,asian,2.5
photos/progressive.jpg,male,caucasian,
photos/rgba8.png,male,caucasian,4
END
"$bin/hmtnet-train" --batch 2 --epochs 1 --quiet --width 0.03 --data "$work/train.csv" --validate "$work/train.csv" \
    --output "$work/m.safetensors" >log 2>&1
features=("$bin/hmtnet-features" --quiet --threads 1 --batch 2 --model "$work/m.safetensors")

for pool in mean max flat none; do
    expect 0 '' "${features[@]}" --pool $pool --output "$work/$pool.npy" --table "$work/$pool.csv" "$work/train.csv"
done
check python3 - "$work" <<'END'
import sys
sys.path.insert(0, sys.argv[1])
from npy import read
path = sys.argv[1] + "/"
shape, whole = read(path + "none.npy")
n, c, h, w = shape
assert n == 3 and h == w == 13 and c > 1
assert read(path + "flat.npy") == ((n, c * h * w), whole)
area = h * w
maps = [whole[i * area:(i + 1) * area] for i in range(n * c)]
assert read(path + "max.npy") == ((n, c), tuple(max(m) for m in maps))
shape, mean = read(path + "mean.npy")
assert shape == (n, c) and all(abs(a - sum(m) / area) <= 1e-5 * max(1, a) for a, m in zip(mean, maps))
assert any(mean)
lines = open(path + "mean.csv").read().split("\n")
assert lines[0] == "path,score" and lines[1].endswith("photos/baseline.jpg,2.5")
assert lines[2].endswith("photos/progressive.jpg,") and lines[3].endswith("rgba8.png,4")
END
cp "$work/mean.npy" "$work/before.npy"
expect 0 '' "${features[@]}" --output "$work/mean.npy" "$work/train.csv"
check cmp -s "$work/before.npy" "$work/mean.npy"
echo 'not a photo' >"$work/photos/bad.jpg"
expect 1 'bad.jpg' "${features[@]}" --output "$work/some.npy" --table "$work/some.csv" "$work/photos"
check python3 -c "import sys; sys.path.insert(0, '$work'); from npy import read; assert read('$work/some.npy')[0][0] == 3"
check test "$(wc -l <"$work/some.csv")" -eq 4
expect 2 'bad.jpg' "${features[@]}" --output "$work/none-at-all.npy" "$work/photos/bad.jpg"
check test ! -e "$work/none-at-all.npy"
expect 2 'relu9' "${features[@]}" --tap relu9 --output "$work/x.npy" "$work/photos"
expect 2 'no-such.csv' "${features[@]}" --output "$work/x.npy" "$work/no-such.csv"
printf 'path,score\na.jpg,two\n' >"$work/word.csv"
expect 2 'word.csv:2' "${features[@]}" --output "$work/x.npy" "$work/word.csv"
printf 'file,score\na.jpg,2\n' >"$work/nopath.csv"
expect 2 "'path'" "${features[@]}" --output "$work/x.npy" "$work/nopath.csv"
expect 3 'no-such' "${features[@]}" --output "$work/no-such/x.npy" "$work/photos/rgba8.png"

if [ ! -x "$bin/hmtnet-transfer" ]; then
    echo "hmtnet-transfer is not built: LAPACK is missing"
    conclude
    exit
fi

# Scores that follow exactly from the features, with few of them and with more than photos (of rank 4); scores that have
# nothing to do with them.
python3 - "$work" <<'END'
import random, sys
sys.path.insert(0, sys.argv[1])
from npy import write
path, draw = sys.argv[1] + "/", random.Random(5)

def table(name, rows, scores, kind="f"):
    write(path + name + ".npy", rows, kind)
    with open(path + name + ".csv", "w") as file:
        file.write("path,score\n" + "".join(f"{i}.jpg,{'' if s is None else repr(s)}\n" for i, s in enumerate(scores)))

few = [[draw.gauss(3, 5) for _ in range(6)] + [7.0] for _ in range(120)]
table("few", few, [sum((k + 1) * x for k, x in enumerate(row)) for row in few], "d")
mix = [[draw.gauss(0, 1) for _ in range(300)] for _ in range(4)]
hidden = [[draw.gauss(0, 1) for _ in range(4)] for _ in range(100)]
many = [[sum(a * mix[j][k] for j, a in enumerate(h)) for k in range(300)] for h in hidden]
scores = [3 + h[0] - 2 * h[3] for h in hidden]
scores[7] = None
table("many", many, scores)
table("noise", few, [draw.gauss(0, 1) for _ in few])
table("short", few, [1.0, 2.0])
nan = [row[:] for row in few]
nan[5][2] = float("nan")
table("nan", nan, [row[0] for row in few])
END
transfer=("$bin/hmtnet-transfer" --quiet --splits 4)
for name in few many; do
    expect 0 'mean,,,,1.0000,' "${transfer[@]}" "$work/$name.npy" "$work/$name.csv"
    # shellcheck disable=SC2016 # awk has its own $
    check awk -F, '$1 == "mean" { exit !($6 < 0.02 && $7 < 0.02) }' log
done
expect 0 '1,59,40,' "${transfer[@]}" "$work/many.npy" "$work/many.csv" # one of the hundred has no score
expect 0 '' "${transfer[@]}" --output "$work/noise.out" "$work/noise.npy" "$work/noise.csv"
# shellcheck disable=SC2016 # awk has its own $
check awk -F, '$1 == "mean" { exit !($5 < 0.4 && $5 > -0.4) }' "$work/noise.out"
"${transfer[@]}" --seed 2 --output "$work/again.out" "$work/noise.npy" "$work/noise.csv"
check test "$(cmp -s "$work/again.out" "$work/noise.out"; echo $?)" -eq 1 # another seed, other splits
"${transfer[@]}" --output "$work/again.out" "$work/noise.npy" "$work/noise.csv"
check cmp -s "$work/again.out" "$work/noise.out"
expect 2 '120 rows of features, but 2' "${transfer[@]}" "$work/short.npy" "$work/short.csv"
expect 2 '5.jpg' "${transfer[@]}" "$work/nan.npy" "$work/nan.csv"
expect 2 'too few' "${transfer[@]}" --folds 60 "$work/few.npy" "$work/few.csv"
expect 2 'not a .npy' "${transfer[@]}" "$work/few.csv" "$work/few.csv"
head -c 5000 "$work/few.npy" >"$work/cut.npy"
expect 2 'length' "${transfer[@]}" "$work/cut.npy" "$work/few.csv"
sed 's/(120, 7)/(999999999, 9999999999)/' "$work/few.npy" >"$work/huge.npy"
expect 2 'huge.npy' "${transfer[@]}" "$work/huge.npy" "$work/few.csv"
sed 's/(120, 7)/(x20, 7)/' "$work/few.npy" >"$work/word.npy"
expect 2 'shape' "${transfer[@]}" "$work/word.npy" "$work/few.csv"
sed 's/<f8/<i8/' "$work/few.npy" >"$work/int.npy"
expect 2 'float32 or float64' "${transfer[@]}" "$work/int.npy" "$work/few.csv"
expect 2 'needed' "${transfer[@]}" "$work/few.npy"

conclude
