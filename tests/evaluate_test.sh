#!/usr/bin/env bash
# tier: quick
# hmtnet-evaluate on the example faces: its figures are those that Python computes from its own predictions, and those are
# hmtnet-score's; what is wrong ends with its own status.
# shellcheck source=tests/program_check.sh
. "$(dirname "${BASH_SOURCE[0]}")/program_check.sh"
model=$here/examples/models/hmtnet-quarter.safetensors
faces=$here/examples/faces

evaluate=("$bin/hmtnet-evaluate" --quiet --model "$model")
expect 0 '' "${evaluate[@]}" --data "$faces/faces.csv" --json --resamples 300 --predictions out.csv
cp log out.json
"$bin/hmtnet-score" --quiet --model "$model" --output score.csv "$faces"
python3 - <<'END' || complain "the figures are not those that Python computes"
import csv, json, math, os
rows = list(csv.DictReader(open("out.csv")))
scores = {os.path.basename(r["path"]): r for r in csv.DictReader(open("score.csv"))}
groups = {g["group"]: g for g in json.load(open("out.json"))["groups"]}
def close(a, b): assert abs(a - b) < 1e-4 * max(1, abs(b)), (a, b)
def ranks(xs):
    return [(sum(y < x for y in xs) + (sum(y == x for y in xs) + 1) / 2) for x in xs]
def correlation(xs, ys):
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / math.sqrt(
        sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys))
for row in rows:
    assert row["predicted_gender"] == scores[row["path"]]["gender"]
    close(float(row["predicted_score"]), float(scores[row["path"]]["score"]))
for name, part in (("all", rows), ("female, asian", [r for r in rows if (r["gender"], r["race"]) == ("female", "asian")])):
    g = groups[name]
    labels, said = [float(r["score"]) for r in part], [float(r["predicted_score"]) for r in part]
    errors = [s - l for s, l in zip(said, labels)]
    assert g["faces"] == len(part) > 2
    close(g["mae"]["value"], sum(map(abs, errors)) / len(part))
    close(g["rmse"]["value"], math.sqrt(sum(e * e for e in errors) / len(part)))
    close(g["mean_error"]["value"], sum(errors) / len(part))
    close(g["pearson"]["value"], correlation(labels, said))
    close(g["spearman"]["value"], correlation(ranks(labels), ranks(said)))
    for task in ("gender", "race"):
        close(g[task]["value"], sum(r[task] == r["predicted_" + task] for r in part) / len(part))
        assert sum(map(sum, g[task + "_confusion"])) == len(part)
    assert g["mae"]["low"] < g["mae"]["value"] < g["mae"]["high"]
END
expect 0 '' "${evaluate[@]}" --data "$faces/faces.csv" --crops five --flip --resamples 0
has '10 views of each' 'Pearson' 'female, asian'
expect 0 '' "${evaluate[@]}" --data "$faces/faces.csv" --split random:1/4 --predictions -
has 'path,gender,race,score,predicted_gender'

sed "s|^female-asian-1.jpg|missing.jpg|" "$faces/faces.csv" | sed "s|^\([fm][^,]*jpg\),|$faces/\1,|" >bad.csv
sed -i "s|$faces/missing|missing|" bad.csv
expect 1 '' "${evaluate[@]}" --data bad.csv --resamples 0
has 'bad.csv:2: ' '1 of them cannot be read'
printf 'path,gender,score\n%s/female-asian-1.jpg,robot,3\n' "$faces" >robot.csv
expect 2 '' "${evaluate[@]}" --data robot.csv
has 'robot.csv:2:' 'robot'
expect 2 '' "${evaluate[@]}" --data no-such.csv
expect 2 '' "$bin/hmtnet-evaluate" --data "$faces/faces.csv"
expect 2 '' "${evaluate[@]}" --data "$faces/faces.csv" --split fold1
has 'no split fold1'
printf 'path,score\n%s,3\n' "$faces/female-asian-1.jpg" >one.csv
expect 2 'split random:1/1000 has no photos for test' "${evaluate[@]}" --data one.csv --split random:1/1000
expect 2 'split random:1/1000 has no photos for test' "$bin/hmtnet-train" --data "$faces/faces.csv" --split random:1/1000 \
    --width 0.03 --epochs 1 --batch 2 --output none.safetensors
expect 3 '' "${evaluate[@]}" --data "$faces/faces.csv" --resamples 0 --predictions nowhere/out.csv
expect 3 '' "${evaluate[@]}" --data "$faces/faces.csv" --resamples 0 --sheet nowhere/sheet.png
expect 0 '' "${evaluate[@]}" --data "$faces/faces.csv" --resamples 0 --sheet sheet.png
# The width stands in bytes 16 to 19 of a PNG.
[ "$(od -An -tu1 -j16 -N4 sheet.png | awk '{ print $3 * 256 + $4 }')" -eq 840 ] || complain "the sheet's width"

expect 0 '' "${evaluate[@]}" --data "$faces/faces.csv" --resamples 100 --markdown
has '| group | faces | MAE' '| all | 48 | ' '| female, indian | 8 | ' ' to '
expect 2 '' "${evaluate[@]}" --data "$faces/faces.csv" --markdown --json

# A correlation of scores without spread is undefined, and that is said.
printf 'path,gender,score\n%s,female,3\n%s,male,3\n' "$faces/female-asian-1.jpg" "$faces/male-asian-1.jpg" >equal.csv
expect 0 'undefined: all rated scores are equal' "${evaluate[@]}" --data equal.csv --resamples 0
has 'undefined: all rated' '    female                     1'
expect 0 '| undefined |' "${evaluate[@]}" --data equal.csv --resamples 0 --markdown
expect 0 '"pearson":{"value":null},"spearman":{"value":null},"correlation_undefined":"all rated' "${evaluate[@]}" --data equal.csv --resamples 0 --json
has '"correlation_undefined":"there is only one face with a score"'
printf 'path,score\n%s,3\n%s,4\n' "$faces/female-asian-1.jpg" "$faces/female-asian-1.jpg" >equal.csv
expect 0 'undefined: all predicted scores are equal' "${evaluate[@]}" --data equal.csv --resamples 0

# The page: whole, nothing fetched, with a learning curve from a history.
printf '{"type":"epoch","step":5,"epoch":1,"loss":4.5}\n{"type":"validation","step":5,"epoch":1,"loss":4.25,"pearson":0.25}\n{"type":"epoch","step":10,"epoch":2,"loss":3.5}\n' >history.jsonl
expect 0 '' "${evaluate[@]}" --data "$faces/faces.csv" --resamples 100 --report page --history history.jsonl
python3 - <<'END' || complain "the page is not what it should be"
import re
from html.parser import HTMLParser
class Page(HTMLParser):
    open_tags, images, charts, rows = [], 0, 0, 0
    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.images += tag == "img"
        self.charts += tag == "svg"
        self.rows += tag == "tr"
        assert tag not in ("script", "link") and not attributes.get("src", "data:").startswith("http")
        assert tag != "img" or attributes["alt"]
        if tag not in ("meta", "img", "line", "circle", "rect", "path"):
            self.open_tags.append(tag)
    def handle_startendtag(self, tag, attributes):
        pass
    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag, tag
page = Page()
text = open("page/index.html").read()
page.feed(text)
assert page.open_tags == [] and page.images == 16 + 6 * 6 and "What it answers to" in text and page.charts == 6 and page.rows > 20
words = re.sub(r"base64,[^\"]*", "", text)
assert "NaN" not in words and "=\"nan" not in words and ">nan" not in words
END
expect 3 '' "${evaluate[@]}" --data "$faces/faces.csv" --resamples 0 --report nowhere/page
expect 3 '' "${evaluate[@]}" --data "$faces/faces.csv" --resamples 0 --report page --history no-such.jsonl

[ "$failures" -eq 0 ] && echo "the figures are right, and what is wrong is refused"
