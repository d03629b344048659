#!/usr/bin/env python3
"""Draws what `nlserver eval --json` found: each share against the number of documents learned, as SVG.

    Tests/Benchmarks/plots.py                         every results/eval_*.json, into results/plots
    Tests/Benchmarks/plots.py RESULT.json … --output DIR

One picture for each suite and figure; results of one suite are drawn together. Needs nothing but Python 3, and the same
results give the same bytes.
"""
import argparse
import json
import math
import sys
from html import escape
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 400, 64, 44, 240, 52
# Okabe and Ito's colours, which most colour-blind readers can tell apart.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"]
ROWS = {"base": "untouched base", "ours": "nlserver", "ours_recall": "nlserver and passages", "recall": "passages in the prompt",
        "naive": "links fine-tuned", "full": "all weights fine-tuned"}
NAMES = {"acc": "accuracy over all tasks", "exact": "answers that are exact", "net_gain": "gain over the untouched base"}


def shares(results):
    """{(suite, figure): {series: {documents: value}}} of all figures that are shares; of a model's, the newest."""
    found, models = {}, {}
    for path, result in sorted(results, key=lambda pair: pair[1]["created"], reverse=True):
        # What was scored at one place only, as tasks are at their end, is no line.
        if len({row["documents"] for row in result["rows"] if row["stage"] != "untouched"}) < 2:
            continue
        for row in result["rows"]:
            stage = ", after consolidation" if row["stage"] == "consolidated" else ""
            for figure, value in row["figures"].items():
                if figure.endswith(("_loss", "_change")) or not -1 <= value <= 1:
                    continue
                series = found.setdefault((result["suite"], figure), {}).setdefault(ROWS[row["row"]] + stage, {})
                model = models.setdefault((result["suite"], ROWS[row["row"]]), result["parameters"])
                if series.setdefault(row["documents"], value) != value and model != result["parameters"]:
                    sys.exit(f"{path}: \"{ROWS[row['row']]}{stage}\" has two values of {figure} after {row['documents']} documents; "
                             "draw results of different models apart")
    for lines in found.values():
        # What a consolidation left as it was is one line.
        for name in [n for n in lines if n.endswith(", after consolidation")]:
            learned = lines.get(name.removesuffix(", after consolidation"))
            if learned and all(learned.get(place) == value for place, value in lines[name].items()):
                del lines[name]
    # A line needs two places.
    return {key: lines for key, lines in found.items() if len({x for line in lines.values() for x in line}) > 1}


def scale(values, is_log, low, high):
    """Where a number of documents lies between two pixels."""
    one, two = (math.log(max(v, 0.5)) if is_log else v for v in (min(values), max(values)))
    return lambda v: low + ((math.log(max(v, 0.5)) if is_log else v) - one) / ((two - one) or 1) * (high - low)


def picture(suite, figure, lines):
    """The SVG of one figure."""
    places = sorted({x for line in lines.values() for x in line})
    is_log = places[-1] / max(places[0], 1) >= 20
    x = scale(places, is_log, LEFT, WIDTH - RIGHT)
    bottom = -1 if any(v < 0 for line in lines.values() for v in line.values()) else 0
    y = lambda v: HEIGHT - BOTTOM - (v - bottom) / (1 - bottom) * (HEIGHT - BOTTOM - TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="24" font-size="15">{escape(suite)}: {escape(NAMES.get(figure, figure.replace("_", " ")))}</text>']
    for step in range(5):
        value = bottom + (1 - bottom) * step / 4
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for place in places:
        out.append(f'<text x="{x(place):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{place}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">documents learned'
               f'{" (logarithmic)" if is_log else ""}</text>')
    for index, (name, line) in enumerate(sorted(lines.items())):
        colour, dash = COLOURS[index % len(COLOURS)], ' stroke-dasharray="5 4"' if name == ROWS["base"] else ""
        points = [(x(place), y(value)) for place, value in sorted(line.items())]
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="'
                   + " ".join(f"{px:.1f},{py:.1f}" for px, py in points) + '"/>')
        out += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>' for px, py in points]
        height = TOP + 8 + 20 * index
        out.append(f'<line x1="{WIDTH - RIGHT + 16}" x2="{WIDTH - RIGHT + 40}" y1="{height}" y2="{height}" stroke="{colour}" '
                   f'stroke-width="2"{dash}/><text x="{WIDTH - RIGHT + 46}" y="{height + 4}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="*", type=Path)
    parser.add_argument("--output", type=Path, default=RESULTS / "plots")
    arguments = parser.parse_args()
    paths = arguments.results or sorted(RESULTS.glob("eval_*.json"))
    if not paths:
        sys.exit(f"there is no eval_*.json in {RESULTS}; `nlserver eval … --json FILE` writes one")
    try:
        found = shares([(path, json.loads(path.read_text())) for path in paths])
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"that is no result of `nlserver eval --json`: {error}")
    if not found:
        sys.exit("no suite was scored after two different numbers of documents; give --counts more than one")
    arguments.output.mkdir(parents=True, exist_ok=True)
    drawn = []
    # The same lines under another name, as the gain over a base that knows nothing, are drawn once.
    for (suite, figure), lines in sorted(found.items(), key=lambda item: (item[0][1] in NAMES, item[0])):
        learned = (suite, {name: line for name, line in lines.items() if name != ROWS["base"]})
        if learned in drawn:
            continue
        drawn.append(learned)
        path = arguments.output / f"{suite.replace('-', '_')}_{figure}.svg"
        path.write_text(picture(suite, figure, lines))
        print(path)


if __name__ == "__main__":
    main()
