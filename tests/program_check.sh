# shellcheck shell=bash
# What the shell tests of the programs share; they source it. It makes a folder to work in and enters it. Checks are counted,
# and a failed one goes on to the next; what the last command said, on both outputs, is in the file log.
#
#   here    the sources          bin     the built programs          work     the folder, removed at the end

set -euo pipefail
# shellcheck disable=SC2034 # for the tests
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
bin=${HMTNET_BUILD_DIR:?names the build tree}/examples
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failures=0
checks=0

complain() {
    failures=$((failures + 1))
    echo "failed: $*; the log:"
    [ ! -e log ] || head -n 30 log
}

# expect STATUS TEXT COMMAND...: the command ends with STATUS, and what it says has TEXT; '' is any.
expect() {
    local wanted=$1 text=$2 got=0
    shift 2
    checks=$((checks + 1))
    "$@" >log 2>&1 </dev/null || got=$?
    [ "$got" -eq "$wanted" ] || complain "$* ended with $got, not $wanted"
    [ -z "$text" ] || grep -qF -- "$text" log || complain "no \"$text\" from $*"
}

# has TEXT...: the last command said all of them.
has() {
    local text
    for text; do
        checks=$((checks + 1))
        grep -qF -- "$text" log || complain "no \"$text\""
    done
}

# check COMMAND...: it succeeds.
check() {
    checks=$((checks + 1))
    "$@" || complain "$*"
}

# The last line of a test, and its status.
conclude() {
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ]
}
