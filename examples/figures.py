"""figures.py - how good predictions are: hmtnet-score's CSV against a labelled table, for report.py.

All faces, then each gender, race and pair. Faces are matched by path. hmtnet-evaluate measures the
same, with intervals. Python's standard library only.
"""
import csv
import math
import os

HEADER = ("faces", "MAE", "RMSE", "Pearson", "gender", "race", "mean error")


def read_labels(path):
    """The rows of a table with the columns path, gender, race, score; paths made absolute."""
    folder = os.path.dirname(os.path.abspath(path))
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["file"] = os.path.realpath(os.path.join(folder, row["path"]))
        row["score"] = float(row["score"]) if row["score"] else math.nan
    return rows


def read_predictions(path):
    """hmtnet-score's rows by absolute path; its relative paths are those of this folder."""
    with open(path, newline="", encoding="utf-8") as stream:
        return {os.path.realpath(row["path"]): row for row in csv.DictReader(stream)}


def join(labels, predictions):
    """Label rows with predicted_..., and the rows without a usable prediction."""
    good, bad = [], []
    for label in labels:
        found = predictions.get(label["file"])
        if not found or found["error"] or not found["score"]:
            bad.append(label)
            continue
        row = dict(label)
        row["predicted_score"] = float(found["score"])
        for task in ("gender", "race"):
            row["predicted_" + task] = found[task]
            row[task + "_probability"] = float(found[task + "_probability"])
        good.append(row)
    return good, bad


def mean(values):
    return math.fsum(values) / len(values) if values else math.nan


def pearson(xs, ys):
    """The correlation; not a number for fewer than two points or without any spread."""
    mx, my = mean(xs), mean(ys)
    spread = math.fsum((x - mx) ** 2 for x in xs) * math.fsum((y - my) ** 2 for y in ys)
    if not spread > 0:
        return math.nan
    return math.fsum((x - mx) * (y - my) for x, y in zip(xs, ys)) / math.sqrt(spread)


def accuracy(rows, task):
    """The share of rows whose class is right, of those that have a label."""
    return mean([float(r[task] == r["predicted_" + task]) for r in rows if r[task]])


def measure(rows):
    """A dictionary with HEADER's keys, over one group of rows."""
    scored = [r for r in rows if not math.isnan(r["score"])]
    errors = [r["predicted_score"] - r["score"] for r in scored]
    return {
        "faces": len(rows),
        "MAE": mean([abs(e) for e in errors]),
        "RMSE": math.sqrt(mean([e * e for e in errors])),
        "Pearson": pearson([r["predicted_score"] for r in scored], [r["score"] for r in scored]),
        "gender": accuracy(rows, "gender"),
        "race": accuracy(rows, "race"),
        "mean error": mean(errors),
    }


def show(name, value):
    """One figure as text; a dash where there is none."""
    if name == "faces":
        return str(value)
    if math.isnan(value):
        return "–"
    if name in ("gender", "race"):
        return f"{100 * value:.1f} %"
    return f"{value:+.3f}" if name == "mean error" else f"{value:.3f}"


def groups(rows):
    """All rows, then those of each gender, each race and each pair: (name, rows)."""
    genders = sorted({r["gender"] for r in rows if r["gender"]})
    races = sorted({r["race"] for r in rows if r["race"]})
    parts = [("all", rows)]
    parts += [(g, [r for r in rows if r["gender"] == g]) for g in genders]
    parts += [(c, [r for r in rows if r["race"] == c]) for c in races]
    pairs = [(g, c) for g in genders for c in races]
    parts += [
        (f"{g}, {c}", [r for r in rows if (r["gender"], r["race"]) == (g, c)]) for g, c in pairs
    ]
    return [part for part in parts if part[1]]


def markdown(rows):
    lines = ["| group | " + " | ".join(HEADER) + " |", "|---|" + "---:|" * len(HEADER)]
    for name, part in groups(rows):
        figures = measure(part)
        lines.append(f"| {name} | " + " | ".join(show(h, figures[h]) for h in HEADER) + " |")
    return "\n".join(lines)
