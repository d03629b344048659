#!/usr/bin/env python3
"""Draws what `compare.py --json` found, as SVG: bits per byte by position, held-out text by domain, learning curves.

    Tests/Benchmarks/comparison_plots.py RESULT.json … --output DIR

Three pictures for each size. Bars and lines are means over the seeds, the whisker of a bar goes from the least to the
most. Needs nothing but Python 3, and the same results give the same bytes.
"""
import argparse
import json
import math
import statistics
import sys
from html import escape
from pathlib import Path

from plots import BOTTOM, COLOURS, HEIGHT, LEFT, RESULTS, RIGHT, TOP, WIDTH

DOMAINS = {"wikipedia": "Wikipedia", "novels": "novels", "stories": "stories"}
# More models than colours: the second round is dashed.
DASHES = ["", ' stroke-dasharray="5 4"']


def models(results):
    """{model: its results}, in the order of the file."""
    return {name: [r for r in results if r["model"] == name] for name in dict.fromkeys(r["model"] for r in results)}


def ticks(low, high, wanted=5):
    """Round numbers, the first at or below `low` and the last at or above `high`."""
    rough = (high - low) / wanted or 1
    size = 10 ** math.floor(math.log10(rough))
    step = next(f * size for f in (1, 2, 5, 10) if f * size >= rough * 0.999)
    return [round(i * step, 10) for i in range(math.floor(low / step), math.ceil(high / step) + 1)]


class Picture:
    """A plane with a title, horizontal grid lines and a legend at its right."""

    def __init__(self, title, unit, values):
        marks = ticks(min(values), max(values))
        self.low, self.high = marks[0], max(marks[-1], marks[0] + 1e-9)
        self.out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
                    'font-family="sans-serif" font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
                    f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
                    f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
                    f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2})">{escape(unit)}</text>']
        for mark in marks:
            self.out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(mark):.1f}" y2="{self.y(mark):.1f}" stroke="#ddd"/>'
                            f'<text x="{LEFT - 8}" y="{self.y(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>')

    def y(self, value):
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - BOTTOM - TOP)

    def below(self, x, text):
        self.out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(text)}</text>')

    def axis(self, text):
        self.out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(text)}</text>')

    @staticmethod
    def pen(index):
        return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]

    def legend(self, index, name, is_line):
        (colour, dash), height, x = self.pen(index), TOP + 8 + 20 * index, WIDTH - RIGHT + 16
        self.out.append((f'<line x1="{x}" x2="{x + 24}" y1="{height}" y2="{height}" stroke="{colour}" stroke-width="2"{dash}/>' if is_line
                         else f'<rect x="{x + 6}" y="{height - 6}" width="12" height="12" {self.fill(index)}/>')
                        + f'<text x="{x + 30}" y="{height + 4}">{escape(name)}</text>')

    def fill(self, index):
        colour, dash = self.pen(index)
        return f'fill="{colour}" stroke="{colour}"' + (' fill-opacity="0.45"' if dash else "")

    def line(self, index, name, points):
        colour, dash = self.pen(index)
        placed = " ".join(f"{x:.1f},{self.y(v):.1f}" for x, v in points)
        self.out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="{placed}"/>')
        self.legend(index, name, True)

    def text(self):
        return "\n".join([*self.out, "</svg>", ""])


def by_position(size, groups):
    lines = {}
    for name, own in groups.items():
        parts = [[p["bits_per_byte"] for p in r["by_position"]] for r in own]
        lines[name] = [statistics.fmean(column) for column in zip(*parts, strict=True)]
    places = next(iter(groups.values()))[0]["by_position"]
    picture = Picture(f"{size}: novels, by position in the text", "bits per byte", [v for line in lines.values() for v in line])
    # Each part is twice as long as all before it: equally far apart.
    xs = [LEFT + (WIDTH - RIGHT - LEFT) * i / max(len(places) - 1, 1) for i in range(len(places))]
    for x, place in zip(xs, places):
        picture.below(x, f"{place['to']:,}")
    picture.axis("tokens read, up to")
    for index, (name, line) in enumerate(lines.items()):
        picture.line(index, name, list(zip(xs, line, strict=True)))
    return picture.text()


def by_domain(size, groups):
    values = {(name, d): [r["bits_per_byte"][d] for r in own] for name, own in groups.items() for d in DOMAINS}
    picture = Picture(f"{size}: held-out text (the axis does not begin at 0)", "bits per byte", [v for line in values.values() for v in line])
    span = (WIDTH - RIGHT - LEFT) / len(DOMAINS)
    bar = span * 0.86 / len(groups)
    for place, (domain, title) in enumerate(DOMAINS.items()):
        picture.below(LEFT + span * (place + 0.5), title)
        for index, name in enumerate(groups):
            own = values[name, domain]
            x, top = LEFT + span * (place + 0.07) + bar * index, picture.y(statistics.fmean(own))
            picture.out.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="{bar * 0.84:.1f}" height="{HEIGHT - BOTTOM - top:.1f}" {picture.fill(index)}/>')
            if len(own) > 1:
                middle = x + bar * 0.42
                picture.out.append(f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="{picture.y(min(own)):.1f}" y2="{picture.y(max(own)):.1f}" stroke="black"/>')
    for index, (name, own) in enumerate(groups.items()):
        picture.legend(index, f"{name} ({len(own)} seed{'s' if len(own) > 1 else ''})", False)
    return picture.text()


def learning_curves(size, groups):
    lines = {}
    for name, own in groups.items():
        line = [statistics.fmean(column) for column in zip(*(r["curve_every_50_steps"] for r in own), strict=True)]
        if line:
            lines[name] = line
    if not lines:  # fewer than 50 steps
        return None
    # What is above the models' loss after a tenth of the run is the same fall for all, and would hide the rest.
    highest = max(line[len(line) // 10] for line in lines.values())
    longest = max(map(len, lines.values()))
    picture = Picture(f"{size}: while training", "nats a token, mean of 50 steps", [v for line in lines.values() for v in line if v <= highest])
    place = lambda i: LEFT + (WIDTH - RIGHT - LEFT) * (i + 1) / longest
    for part in range(5):
        picture.below(LEFT + (WIDTH - RIGHT - LEFT) * part / 4, f"{round(50 * longest * part / 4):,}")
    picture.axis("steps of 4,096 tokens")
    for index, name in enumerate(groups):
        if name in lines:
            picture.line(index, name, [(place(i), v) for i, v in enumerate(lines[name]) if v <= picture.high])
    return picture.text()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, default=RESULTS / "plots")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for path in arguments.results:
        try:
            results = json.loads(path.read_text())["results"]
            sizes = {r["size"]: models([one for one in results if one["size"] == r["size"]]) for r in results}
            drawn = {f"compare_{size}_{draw.__name__}": draw(size, groups)
                     for size, groups in sizes.items() for draw in (by_position, by_domain, learning_curves)}
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            sys.exit(f"{path} is no result of `compare.py --json`: {error!r}")
        for name, text in drawn.items():
            if text:
                (arguments.output / f"{name}.svg").write_text(text, encoding="utf-8")
                print(arguments.output / f"{name}.svg")


if __name__ == "__main__":
    main()
