#!/usr/bin/env bash
# tier: quick
# A training run that is killed at random moments, also within a step or while it writes, and goes on each time, ends with the
# same model, best model and history as one that never stopped. A checkpoint that does not fit is refused.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"
kills=${HMTNET_TEST_KILLS:-20}

head -n 13 "$here/examples/faces/faces.csv" | sed "s|^\([^,p][^,]*\),|$here/examples/faces/\1,|" >faces.csv
train=("$bin/hmtnet-train" --data faces.csv --validate faces.csv --batch 3 --width 0.06 --epochs 40 --threads 1 --quiet
    --schedule cosine --warmup-epochs 1 --learning-rate 0.003 --accumulate 2 --average 0.9 --average-every 3 --checkpoint-steps 1)
run() { # NAME [OPTION]...; in the background a process of its own, so that a signal reaches the program
    local name=$1 own=
    shift
    [ "$BASHPID" = $$ ] || own='exec'
    $own "${train[@]}" --output "$name.model" --checkpoint "$name.checkpoint" --best "$name.best" --history "$name.jsonl" "$@"
}

run whole >log 2>&1 || complain "the run without an interruption"
same() {
    cmp -s whole.model "$1.model" && cmp -s whole.best "$1.best" || complain "$1 has another model"
    diff <(sed 's/,"seconds":[^,}]*//' whole.jsonl) <(sed 's/,"seconds":[^,}]*//' "$1.jsonl") >log || complain "$1 has another history"
}

# Killed after 0.02 to 0.5 seconds, until the kills are used up or the run ends by itself.
RANDOM=7
done=0
for ((i = 0; i < kills; i++)); do
    run killed --resume >log 2>&1 &
    sleep "0.$(printf %03d $((20 + RANDOM % 500)))"
    kill -KILL $! 2>/dev/null || done=$((done + 1))
    wait $! 2>/dev/null || true
done
run killed --resume >log 2>&1 || complain "going on after $kills kills"
same killed
echo "$((kills - done)) of $kills kills hit the run"
[ "$((kills - done))" -gt 0 ] || complain "no kill came in time"

# SIGINT: the step is finished, everything saved; the next run goes on.
run stopped >log 2>&1 &
for ((i = 0; i < 100; i++)); do
    [ -s stopped.checkpoint ] && break
    sleep 0.02
done
kill -INT $! && { wait $! && status=0 || status=$?; }
[ "$status" -eq 130 ] || complain "SIGINT ended the run with $status"
run stopped --resume >log 2>&1 || complain "going on after SIGINT"
grep -q 'going on after step' log || complain "it began anew"
same stopped
run stopped --resume >log 2>&1 || complain "going on with a finished run"
same stopped

# Ended between the last step and the report of its epoch: here as the model cannot be saved, its folder being gone.
mkdir folder
run late --output folder/late.model --save-every 40 >log 2>&1 &
for ((i = 0; i < 100; i++)); do
    [ -s late.checkpoint ] && break
    sleep 0.02
done
mv folder gone
wait $! && status=0 || status=$?
[ "$status" -ne 0 ] || complain "a model was saved into a folder that is gone"
mv gone folder
run late --output folder/late.model --resume >log 2>&1 || complain "going on after the last step"
mv folder/late.model .
same late

# What does not fit.
refused() { # TEXT OPTION...
    local text=$1 status=0
    shift
    run stopped --resume "$@" >log 2>&1 || status=$?
    [ "$status" -eq 2 ] && grep -qF -- "$text" log || complain "status $status without \"$text\" for $*"
}
refused 'belongs to another run: --seed was 1, is 2 now' --seed 2
refused '--schedule was cosine, is constant now; --factor was' --schedule constant --factor 0.5
refused 'other trainer options: momentum was 0.9, is 0.5 now; loss was smooth-huber, is mse now' --momentum 0.5 --loss mse
refused 'more than the 8 of this --epochs and --steps' --epochs 2
head -n 12 faces.csv >fewer.csv
refused "training photos was 12, is 11 now; the training photos' names or labels differ" --data fewer.csv

# More epochs, or steps in the middle of one, go on; where the rate does not depend on the end, to the same model.
short=("${train[@]}" --epochs 5 --schedule step --warmup-epochs 0)
more() { # NAME [OPTION]...
    local name=$1
    shift
    "${short[@]}" --output "$name.model" --checkpoint "$name.checkpoint" --history "$name.jsonl" "$@" >log 2>&1 || complain "more: $*"
}
more five
more grown --epochs 2
more grown --resume --steps 15
more grown --resume
cmp -s five.model grown.model || complain "a run that was given more epochs has another model"
diff <(sed 's/,"seconds":[^,}]*//' five.jsonl) <(sed 's/,"seconds":[^,}]*//' grown.jsonl | grep -v '"step":8,.*validation') >log ||
    complain "a run that was given more epochs has another history"
echo nonsense >stopped.checkpoint
refused 'stopped.checkpoint'
status=0
"${train[@]}" --output x.model --resume >log 2>&1 || status=$?
[ "$status" -eq 2 ] && grep -q -- '--checkpoint' log || complain "--resume alone was taken"

if [ "$failures" -gt 0 ]; then
    echo "$failures checks failed"
    exit 1
fi
echo "every resumed run ended as the whole one"
