#!/usr/bin/env bash
# tier: quick
# The texts say what is true: the README shows examples/embed.c as it is, links in Markdown files lead to files, each man page
# has exactly the options that its program's --help lists, and hosts are told of each variable of the environment.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${HMTNET_BUILD_DIR:?names the build tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
complain() {
    echo "$*"
    failed=1
}

awk '/^```c$/ { block++; inside = 1; next } /^```$/ { inside = 0 } inside && block == 2' "$here/README.md" >"$work/shown"
diff "$here/examples/embed.c" "$work/shown" || complain "README.md (>) does not show examples/embed.c (<) as it is"

links=0
while IFS= read -r page; do
    while IFS= read -r link; do
        links=$((links + 1))
        [ -e "$(dirname "$page")/$link" ] || complain "${page#"$here"/} links to $link, which is not there"
    done < <(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -vE '^[a-z]+:' || true)
done < <(find "$here" -name '*.md' -not -path "$here/build*" -not -path "$here/out/*")
[ "$links" -gt 10 ] || complain "only $links links were found: the pattern is wrong"

# Each variable of the environment that is read is one that hosts are told of.
variables=$(grep -rhoE 'getenv\("[A-Z_]+"\)' "$here/lib" "$here/backends" | grep -oE '[A-Z][A-Z_]+' | sort -u)
[ -n "$variables" ] || complain "no variable of the environment was found: the pattern is wrong"
for variable in $variables; do
    grep -q "$variable" "$here/include/hmtnet/hmtnet.h" || complain "hmtnet.h does not name $variable"
    grep -q "$variable" "$here/docs/hosting.md" || complain "docs/hosting.md does not name $variable"
done

options() { grep -oE -- '--[a-z][a-z-]+' | sort -u; }
pages=0
for page in "$here"/docs/man/*.1; do
    program=$(basename "$page" .1)
    if [ ! -x "$build/examples/$program" ]; then # it needs a library that is not there
        echo "$program was not built: its page is not compared"
        continue
    fi
    pages=$((pages + 1))
    "$build/examples/$program" --help | sed '/^Exit status/,$d' | grep -E '^ +(-., )?--' | sed -E 's/^( +(-., )?--[a-z-]+).*/\1/' |
        options >"$work/help"
    sed 's/\\-/-/g' "$page" | grep -A 1 -E '^\.TP' | options >"$work/page"
    [ -s "$work/help" ] || complain "$program --help lists no options"
    diff "$work/help" "$work/page" || complain "$program.1 (>) has other options than --help (<)"
done
[ "$failed" = 0 ] && echo "README, $links links and $pages man pages are as they should be"
exit "$failed"
