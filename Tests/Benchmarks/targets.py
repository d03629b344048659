"""What the engine is asked for, beside what was measured: a row each, for the shapes that were."""
import os

from engine import fact

# By the directory's name: training against the reference's best mode, and the share of the bf16 products' peak.
TRAINING = {"default": (4, 20), "larger": (2, 35)}


def best(lines):
    return max(lines, key=lambda line: line["ours"]["median"], default=None)


def ratio_row(what, asked, measured):
    return {"what": what, "asked": asked, "measured": measured, "met": None if measured is None else measured >= asked}


def training(shape, compared):
    """The faster of our precisions against the faster of the reference's."""
    asked_ratio, asked_share = TRAINING[shape]
    mine = best([line for line in compared["summary"] if line["name"].startswith("training")])
    if mine is None:
        return []
    rows = []
    if mine["references"]:
        theirs = max(mine["references"], key=lambda way: way["median"])
        rows.append(ratio_row(f"{shape}: {mine['name']}, against the reference in {theirs['way']}", asked_ratio,
                              theirs["ratio"]))
    shares = [found for one in compared["rounds"] for result in one["ours"].values()
              if (found := fact(result, f"{mine['name']}: share of the bf16 peak")) is not None]
    if shares:
        rows.append(ratio_row(f"{shape}: {mine['name']}, % of the bf16 products' peak", asked_share,
                              sorted(shares)[len(shares) // 2]))
    return rows


def decode(shape, compared):
    lines = {line["name"]: line for line in compared["summary"]}
    rows = []
    one = lines.get("decode, 1 stream, bf16 weights")
    if shape == "default" and one and one["references"]:
        theirs = max(one["references"], key=lambda way: way["median"])
        rows.append(ratio_row(f"{shape}: {one['name']}, against the reference {theirs['way']}", 50, theirs["ratio"]))
    for name in ("decode, 1 stream", "decode, 1 stream, bf16 weights", "decode, 16 streams, bf16 weights"):
        shares = [found for one in compared["rounds"] for result in one["ours"].values()
                  if (found := fact(result, f"{name}: share of it")) is not None]
        if shares:
            rows.append(ratio_row(f"{shape}: {name}, % of the bandwidth of what it reads", 60,
                                  sorted(shares)[len(shares) // 2]))
    for level, asked in (("", 3), (" with a fast level", 1.5)):
        few, many = (lines.get(f"decode, {count}{level}, bf16 weights") for count in ("1 stream", "16 streams"))
        if few and many:
            rows.append(ratio_row(f"{shape}: 16 streams against 1{level}, bf16 weights", asked,
                                  many["ours"]["median"] / few["ours"]["median"]))
    return rows


def at_most(what, asked, measured):
    return {"what": what, "asked": asked, "measured": measured, "met": measured <= asked, "at_most": True}


def long(shape, result):
    resident = [fact(result, f"resident after {text} text") for text in ("one piece more than the short", "the long")]
    state = [fact(result, f"state after the {text} text") for text in ("short", "long")]
    return [
        at_most(f"{shape}: time of a token after the long text, % of that after 1,000", 105,
                fact(result, "time of a token, long against short")),
        at_most(f"{shape}: state after the long text, % of that after 1,000", 100, 100 * state[1] / state[0]),
        at_most(f"{shape}: resident memory after the long text, % of that after 2,000", 101,
                100 * resident[1] / resident[0]),
    ]


def rows(compared):
    found = []
    for one in compared:
        shape = os.path.basename(os.path.normpath(one["shape"]))
        if shape in TRAINING:
            found += training(shape, one) + decode(shape, one)
        if "long" in one:
            found += long(shape, one["long"])
    return found
