#!/usr/bin/env python3
"""report.py - predictions beside labels: a table for the terminal and one self-contained HTML page.

Takes its figures from figures.py. The page has no script and loads
nothing: faces are inlined. Python's standard library only.
"""
import argparse
import base64
import html
import math
import os
import sys

from figures import groups, join, markdown, measure, read_labels, read_predictions, show

STYLE = """
:root { color-scheme: light dark; --page: #f7f7f5; --card: #fff; --ink: #1c1c1a; --soft: #5c5c57;
  --line: #dededa; --predicted: #1f5fbf; --rated: #b4540a; --wrong: #b3261e; --right: #25703a; }
@media (prefers-color-scheme: dark) { :root { --page: #161716; --card: #212221; --ink: #ececea;
  --soft: #a9a9a4; --line: #3a3b39; --predicted: #7fb0ff; --rated: #f0a35e; --wrong: #ff9389;
  --right: #7fcf95; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
p { margin: 0 0 .75rem; max-width: 46rem; }
.soft, figcaption, dt { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 0; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .6rem .85rem; }
.figures dt { font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.45rem; font-variant-numeric: tabular-nums; }
.figures small { font-size: .85rem; color: var(--soft); }
.pair { display: grid; gap: 1.5rem; grid-template-columns: minmax(0, 1fr); }
@media (min-width: 60rem) { .pair { grid-template-columns: minmax(0, 26rem) minmax(0, 1fr); } }
.pair > * { min-width: 0; }
figure { margin: 0; }
svg { display: block; width: 100%; max-width: 28rem; height: auto; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem; }
svg text { fill: var(--soft); font: 12px system-ui, "DejaVu Sans", sans-serif; }
svg .grid { stroke: var(--line); }
svg .same { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .dot { fill: var(--predicted); fill-opacity: .35; stroke: var(--predicted); }
svg .dot.other { fill: var(--rated); stroke: var(--rated); }
figcaption { font-size: .85rem; margin-top: .4rem; max-width: 28rem; }
.wide { overflow-x: auto; }
.note { color: var(--soft); font-size: .85rem; margin-top: .6rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .22rem .6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; font-weight: normal; }
thead th { color: var(--soft); font-weight: normal; }
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.6rem, 1fr)); gap: .75rem;
  list-style: none; margin: 0; padding: 0; }
.faces .answer { font-variant-numeric: tabular-nums; }
.faces li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  overflow: hidden; font-size: .85rem; line-height: 1.4; }
.faces img { display: block; width: 100%; height: auto; aspect-ratio: 1; background: #000; }
.faces .text { padding: .5rem .6rem .6rem; }
.answer { display: flex; justify-content: space-between; gap: .5rem; }
.label { font-size: .8rem; min-height: 1.15rem; line-height: 1.15rem; }
.right { color: var(--right); } .wrong { color: var(--wrong); }
.predicted { color: var(--predicted); } .rated { color: var(--rated); }
.scale { position: relative; height: .5rem; margin: .35rem 0 .3rem; border-radius: .25rem;
  background: var(--line); }
.scale i { position: absolute; top: -.15rem; width: .3rem; height: .8rem; margin-left: -.15rem;
  border-radius: .1rem; background: var(--predicted); }
.scale i.true { background: var(--rated); }
@media (max-width: 30rem) { th, td { padding: .22rem 0 .22rem .5rem; }
  .figures div:first-child { grid-column: 1 / -1; } }
.notes { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1rem; font-size: .9rem; }
"""


def escape(text):
    return html.escape(str(text), quote=True)


def percent(value):
    return f"{100 * value:.0f} %"


def distance(row):
    """How far prediction and rating are apart, to sort by: faces without a rating come last."""
    error = abs(row["predicted_score"] - row["score"])
    return (math.isnan(error), error, row["path"])


def bounds(rows):
    """The whole numbers around every score and prediction."""
    values = [r[key] for r in rows for key in ("score", "predicted_score") if r[key] == r[key]]
    return math.floor(min(values)), math.floor(max(values)) + 1


def tile(name, value, note):
    return f"<div><dt>{name}</dt><dd>{value}</dd><small>{note}</small></div>"


def tiles(rows):
    figures = measure(rows)
    right = {t: sum(r[t] == r["predicted_" + t] for r in rows) for t in ("gender", "race")}
    return "".join(
        [
            tile("Faces", len(rows), "photos with labels"),
            tile("Score error, mean", show("MAE", figures["MAE"]), "absolute, in points"),
            tile("Correlation", show("Pearson", figures["Pearson"]), "with the ratings"),
            tile("Gender as labelled", percent(figures["gender"]), f"{right['gender']} faces"),
            tile("Ethnicity as labelled", percent(figures["race"]), f"{right['race']} faces"),
        ]
    )


def scatter(rows):
    """Predicted against rated scores: a square for the first gender, a circle for the others."""
    low, high = bounds(rows)
    size, left, bottom, top = 400, 40, 36, 12
    side = size - left - top

    def x(value):
        return left + side * (value - low) / (high - low)

    def y(value):
        return top + side * (high - value) / (high - low)

    parts = []
    for tick in range(low, high + 1):
        tx, ty, base = round(x(tick), 1), round(y(tick), 1), top + side
        parts.append(f'<path class="grid" d="M{tx} {top}V{base}M{left} {ty}h{side}"/>')
        parts.append(f'<text x="{tx}" y="{base + 15}" text-anchor="middle">{tick}</text>')
        parts.append(f'<text x="{left - 6}" y="{ty + 4}" text-anchor="end">{tick}</text>')
    parts.append(f'<path class="same" d="M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}"/>')
    first = min(r["gender"] for r in rows)
    for row in rows:
        if row["score"] != row["score"]:
            continue
        cx, cy = x(row["score"]), y(row["predicted_score"])
        what = f"{row['path']}: rated {row['score']:.2f}, predicted {row['predicted_score']:.2f}"
        shape, place = "circle", f'class="dot other" cx="{cx:.1f}" cy="{cy:.1f}" r="4.5"'
        if row["gender"] == first:
            shape = "rect"
            place = f'class="dot" x="{cx - 4:.1f}" y="{cy - 4:.1f}" width="8" height="8"'
        parts.append(f"<{shape} {place}><title>{escape(what)}</title></{shape}>")
    height = size - left + bottom
    middle = left + side / 2
    parts.append(f'<text x="{middle}" y="{height - 5}" text-anchor="middle">mean rating</text>')
    place = f'transform="translate(13 {top + side / 2}) rotate(-90)"'
    parts.append(f'<text {place} text-anchor="middle">predicted</text>')
    others = ", ".join(sorted({r["gender"] for r in rows} - {first}))
    caption = (
        f"One mark a face: squares {escape(first)}, circles {escape(others)}. "
        "On the dashed line a prediction equals the rating."
    )
    text = f"Scatter plot of predicted against rated scores of {len(rows)} faces"
    return (
        f'<figure><svg viewBox="0 0 {size} {height}" role="img" aria-label="{text}">'
        f"{''.join(parts)}</svg><figcaption>{caption}</figcaption></figure>"
    )


def group_table(rows):
    names = ("faces", "MAE", "mean error", "gender", "race")
    head = "".join(f"<th>{n}</th>" for n in ("faces", "MAE", "bias", "gender", "ethnicity"))
    body = []
    for name, part in groups(rows):
        if "," in name:
            continue
        figures = measure(part)
        cells = "".join(
            f"<td>{percent(figures[n]) if n in ('gender', 'race') else show(n, figures[n])}</td>"
            for n in names
        )
        body.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        f'<div class="wide"><table><thead><tr><th>group</th>{head}</tr></thead>'
        f'<tbody>{"".join(body)}</tbody></table><p class="note">MAE: mean absolute error of the score. '
        "Bias: mean of predicted minus rated. Gender, ethnicity: share as labelled.</p></div>"
    )


def answer(row, task):
    """The class that is predicted, how sure, and what the label says."""
    said, label = row["predicted_" + task], row[task]
    verdict = '<span class="right">as labelled</span>'
    if not label:
        verdict = '<span class="soft">no label</span>'
    elif said != label:
        verdict = f'<span class="wrong">labelled {escape(label)}</span>'
    return (
        f'<div class="answer"><span>{escape(said)}</span><span class="soft">'
        f"{percent(row[task + '_probability'])}</span></div><div class=\"label\">{verdict}</div>"
    )


def card(row, low, high):
    with open(row["file"], "rb") as stream:
        data = stream.read()
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    image = base64.b64encode(data).decode("ascii")
    alt = f"Face {row['path']}, labelled {row['gender']}, {row['race']}"

    def mark(value, name):
        place = 100 * min(max((value - low) / (high - low), 0), 1)
        return f'<i class="{name}" style="left:{place:.1f}%"></i>'

    rated, true = "–", ""
    if row["score"] == row["score"]:
        rated, true = f"{row['score']:.1f}", mark(row["score"], "true")
    return (
        f'<li><img src="data:image/{kind};base64,{image}" alt="{escape(alt)}">'
        f'<div class="text">{answer(row, "gender")}{answer(row, "race")}'
        f'<div class="scale" aria-hidden="true">{true}{mark(row["predicted_score"], "said")}</div>'
        '<div class="answer predicted"><span>predicted</span>'
        f'<span>{row["predicted_score"]:.1f}</span></div>'
        f'<div class="answer rated"><span>rated</span><span>{rated}</span></div></div></li>'
    )


def page(rows, about):
    low, high = bounds(rows)
    ordered = sorted(rows, key=distance)
    cards = "\n".join(card(r, low, high) for r in ordered)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>libhmtnet: {len(rows)} faces</title><style>{STYLE}</style></head><body><main>
<h1>What the network says of {len(rows)} faces</h1>
<p>Gender, ethnicity and attractiveness, predicted by one multi-task network (HMTNet) and set beside the
labels of the MEBeauty data set. <span class="soft">{escape(about)}</span></p>
<dl class="figures">{tiles(rows)}</dl>
<h2>Scores and groups</h2>
<div class="pair">{scatter(rows)}{group_table(rows)}</div>
<h2>The faces, from the closest score to the farthest</h2>
<ul class="faces">
{cards}
</ul>
<div class="notes"><p>A score repeats the taste of the few hundred people who rated these pictures; labels of gender and
ethnicity are how others sorted them. None of it is a fact about a person. The error differs between
groups. Do not use such predictions to decide about, rank or identify people.</p>
<p class="soft">Crops from MEBeauty (Lebedeva, Guo, Ying, 2022), for non-commercial research; photos by their
photographers on Unsplash and Pixabay. File by file: examples/faces/sources.csv.</p></div>
</main></body></html>
"""


def terminal_table(rows):
    """A line a face, the closest score first; a star marks an answer other than the label."""
    lines = [f"{'face':<26} {'gender':<8} {'ethnicity':<12} {'predicted':>9} {'rated':>6}"]
    for row in sorted(rows, key=distance):
        said = [
            row["predicted_" + t] + ("*" if row[t] and row[t] != row["predicted_" + t] else "")
            for t in ("gender", "race")
        ]
        rated = f"{row['score']:.2f}" if row["score"] == row["score"] else "–"
        lines.append(
            f"{row['path'][:26]:<26} {said[0]:<8} {said[1]:<12} {row['predicted_score']:>9.2f} {rated:>6}"
        )
    return "\n".join(lines + ["* not as labelled"])


def main():
    parser = argparse.ArgumentParser(description="Shows hmtnet-score's CSV beside labels.")
    parser.add_argument("predictions", help="what hmtnet-score wrote (CSV)")
    parser.add_argument("labels", help="a table with the columns path, gender, race, score")
    parser.add_argument("--html", metavar="FILE", help="write the page here")
    parser.add_argument("--about", default="", metavar="TEXT", help="a sentence for the page's head")
    options = parser.parse_args()
    try:
        rows, bad = join(read_labels(options.labels), read_predictions(options.predictions))
        if not rows:
            sys.exit("report.py: no face has both a label and a prediction")
        print(terminal_table(rows) + "\n\n" + markdown(rows))
        if options.html:
            with open(options.html + ".part", "w", encoding="utf-8") as stream:
                stream.write(page(rows, options.about))
            os.replace(options.html + ".part", options.html)
    except (OSError, KeyError, ValueError) as problem:
        sys.exit(f"report.py: {type(problem).__name__}: {problem}")
    for row in bad:
        print(f"report.py: no prediction for {row['path']}", file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
