#!/usr/bin/env bash
# tier: quick
# Output that cannot be written ends with status 3 and the reason in each of the ten programs: a full disk, a closed standard
# output, a pipe that nobody reads. What is printed by --help and --version is output, too.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"
if [ ! -w /dev/full ]; then
    echo "skipped: /dev/full is not there"
    exit 77
fi
faces=$here/examples/faces
printf 'path,gender,score\n' >train.csv
for i in 1 2 3 4; do
    printf '%s,female,%s\n%s,male,3\n' "$faces/female-asian-$i.jpg" "$i" "$faces/male-asian-$i.jpg" >>train.csv
done
train=("$bin/hmtnet-train" --quiet --data train.csv --batch 2 --width 0.03 --epochs 1 --augment none)
check "${train[@]}" --output m.safetensors >log 2>&1

cat >lost.py <<'END'
# Each line of standard input is a command, whose standard output is lost in each of the ways named by the arguments: it must end
# with 3 and say why, once. Prints what does not.
import os, shlex, subprocess, sys
reasons = {"full": "No space left on device", "closed": "Bad file descriptor", "pipe": "Broken pipe"}
reader, broken = os.pipe()
os.close(reader)
for line in sys.stdin:
    for kind in sys.argv[1:]:
        output = broken if kind == "pipe" else os.open("/dev/full", os.O_WRONLY)
        close = (lambda: os.close(1)) if kind == "closed" else None
        done = subprocess.run(shlex.split(line), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, preexec_fn=close)
        said = done.stderr.decode()
        if done.returncode != 3 or said.count("cannot write to standard output: " + reasons[kind]) != 1:
            print(f"{kind}: status {done.returncode} of {line}{said}")
END
lost() { # KIND...; commands on standard input
    checks=$((checks + 1))
    python3 lost.py "$@" >log
    [ ! -s log ] || complain "standard output that is lost"
}

programs=("$bin"/hmtnet-*)
check test "${#programs[@]}" -ge 9 # hmtnet-transfer needs LAPACK
for program in "${programs[@]}"; do
    printf '%s\n' "$program --help" "$program --version"
done >commands
lost full closed pipe <commands

model=(--model m.safetensors --quiet)
check "$bin/hmtnet-features" "${model[@]}" --output f.npy --table f.csv train.csv
lost full closed pipe <<END
$bin/hmtnet-score ${model[*]} $faces/female-asian-1.jpg
$bin/hmtnet-dataset --no-photos train.csv
END
lost full <<END
$bin/hmtnet-score ${model[*]} --format jsonl no-such.jpg
$bin/hmtnet-evaluate ${model[*]} --data train.csv --resamples 0
$bin/hmtnet-evaluate ${model[*]} --data train.csv --resamples 0 --json
$bin/hmtnet-evaluate ${model[*]} --data train.csv --resamples 0 --predictions -
$bin/hmtnet-dataset --quiet --json train.csv
$bin/hmtnet-bench infer --width 0.03 --repeat 1
${train[*]} --output n.safetensors
$bin/hmtnet-reproduce --dataset csv --table figure2 --preset quick --width 0.03 --epochs 1 --batch 2 --quiet train.csv
END
check cmp -s m.safetensors n.safetensors # what can be saved is
[ ! -e "$bin/hmtnet-transfer" ] || lost full <<<"$bin/hmtnet-transfer --quiet --splits 1 --folds 2 f.npy f.csv"

# Files: the reason again, and no half of one stays.
for program in "score ${model[*]} --output OUT $faces/female-asian-1.jpg" "explain ${model[*]} --method activation --output OUT a.jpg" \
    "features ${model[*]} --output OUT train.csv" "features ${model[*]} --output g.npy --table OUT train.csv" \
    "evaluate ${model[*]} --data train.csv --resamples 0 --predictions OUT" "dataset --quiet --sheet OUT train.csv"; do
    read -ra words <<<"${program/OUT/\/dev\/full}"
    cp "$faces/female-asian-1.jpg" a.jpg
    expect 3 'cannot write to /dev/full: No space left on device' "$bin/hmtnet-${words[0]}" "${words[@]:1}"
    read -ra words <<<"${program/OUT/nowhere\/out}"
    expect 3 'nowhere/out: No such file or directory' "$bin/hmtnet-${words[0]}" "${words[@]:1}"
done
check test ! -e g.npy
expect 3 'not a regular file' "$bin/hmtnet-convert" m.safetensors /dev/full
# shellcheck disable=SC2016 # for the inner shell
expect 3 'it is no file' bash -c '"$@" | cat; exit "${PIPESTATUS[0]}"' - "$bin/hmtnet-features" "${model[@]}" --output - train.csv

# A training knows before its first step, not after its first epoch.
mkdir folder
for output in /dev/full folder nowhere/m.safetensors "$(printf 'n%.0s' {1..256})" -; do
    for option in --output --checkpoint --best; do
        expect 3 'cannot write to' "${train[@]}" --validate train.csv --output o.safetensors "$option" "$output"
        check test "$(wc -l <log)" -eq 1
    done
done
check test ! -e o.safetensors

# A link of another user in a folder that all may write to is not followed, whatever the kernel is set to.
if [ "$(id -u)" = 0 ]; then
    mkdir -m 1777 sticky
    echo old >target
    ln -s ../target sticky/link
    chown -h 65534 sticky/link && chmod 1777 sticky && chown 65533 sticky
    expect 3 "sticky/link: it is another user's symbolic link" "$bin/hmtnet-score" "${model[@]}" --output sticky/link "$faces/female-asian-1.jpg"
    expect 3 "sticky/link: it is another user's symbolic link" "$bin/hmtnet-convert" --storage f32 m.safetensors sticky/link
    check test "$(cat target)" = old
fi

conclude
