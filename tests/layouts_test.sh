#!/usr/bin/env bash
# tier: quick
# lib/api/layouts.c lists the fields of every struct with a struct_size, as the public headers declare them: a size that ends
# inside a field is refused by these lists.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Declarations without comments, one a line; each name becomes "STRUCT FIELD".
cat "$here"/include/hmtnet/{hmtnet,data}.h | tr '\n' ' ' | sed -E 's#/\*([^*]|\*+[^*/])*\*+/##g; s/[;{]/&\n/g' |
    awk '/typedef struct [a-z_]+ \{/ { match($0, /hmt_[a-z_]+ \{/); name = substr($0, RSTART, RLENGTH - 2); sized = 0; next }
         /\}/ { name = ""; next }
         name == "" { next }
         /size_t struct_size;/ { sized = 1; next }
         sized { gsub(/\[[^]]*\]/, ""); count = split($0, part, ",")
                 for (i = 1; i <= count; i++) { match(part[i], /[a-z_0-9]+ *;? *$/); field = substr(part[i], RSTART, RLENGTH)
                                                gsub(/[ ;]/, "", field); print name, field } }' | sort >"$work/header"
tr '\n' ' ' <"$here/lib/api/layouts.c" | grep -oE 'FIELD\(hmt_[a-z_]+, +[a-z_0-9]+\)' | sed -E 's/FIELD\((.*), +(.*)\)/\1 \2/' |
    sort >"$work/lists"
[ "$(wc -l <"$work/header")" -gt 100 ] || { echo "only $(wc -l <"$work/header") fields were found: the pattern is wrong"; exit 1; }
diff "$work/header" "$work/lists" || { echo "lib/api/layouts.c (>) lists other fields than the headers (<) have"; exit 1; }
for name in $(cut -d' ' -f1 "$work/header" | sort -u); do
    grep -q "STRUCT(${name#hmt_})" "$here/lib/api/layouts.c" || { echo "lib/api/layouts.c does not list $name"; exit 1; }
done
echo "$(wc -l <"$work/header") fields of $(cut -d' ' -f1 "$work/header" | sort -u | wc -l) structs are listed"
