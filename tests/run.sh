#!/usr/bin/env bash
# run.sh [quick|full|long]: sets up, builds, and runs the tests of that tier and those below it (default: quick).
# tests/README.md says what the tiers are. Ends with ctest's summary.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${1:-quick} in
quick) tiers='^quick$' ;;
full) tiers='^(quick|full)$' ;;
long) tiers='^(quick|full|long)$' ;;
*)
    echo "run.sh: no tier is called $1; there are quick, full and long" >&2
    exit 2
    ;;
esac
"$here/scripts/setup.sh" --tests
exec ctest --test-dir "$here/build" --label-regex "$tiers" --parallel "$(nproc)" --output-on-failure --no-tests=error
