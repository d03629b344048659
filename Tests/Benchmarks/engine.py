"""The engine beside the PyTorch reference, in turns: nlbench, reference, nlbench, reference, on the same shape."""
import json
import os
import statistics
import subprocess
import sys

from machine import clean_environment

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.path.join(HERE, "reference", "bench_reference.py")
STREAMS = ("--streams", "1", "8", "16")
WORKLOADS = {
    "train": (),
    "train, bf16": ("--precision", "bf16"),
    "prefill": (),
    "decode": STREAMS,
    "decode, bf16 weights": (*STREAMS, "--weights", "bf16"),
    "decode, each with a fast level": (*STREAMS, "--weights", "bf16", "--fast-delta"),
    "learn": (),
}
# The ways the reference trains, and the options that ask for them.
REFERENCE_MODES = {"float32": (), "bf16 autocast": ("--autocast-bf16",)}


def run(command, limit):
    """What a program wrote as JSON; its failure ends the benchmark, for half of a comparison is none."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=clean_environment(), check=False)
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stderr.strip()}")
    return json.loads(ran.stdout)


def find_torch(given):
    """A Python that has PyTorch, or None: the one given, that of the active environment, or the first on the path."""
    active = os.environ.get("VIRTUAL_ENV")
    candidates = [given] if given else [active and os.path.join(active, "bin", "python"), sys.executable, "python3"]
    for python in filter(None, candidates):
        try:
            asked = subprocess.run([python, "-c", "import torch"], capture_output=True, timeout=120, check=False)
        except OSError:
            continue
        if asked.returncode == 0:
            return python
    if given:
        raise SystemExit(f"{given} has no PyTorch: give --python one where `import torch` works")
    return None


def batch_of(shape):
    """Sequences in a step: a shape's bench.json says where eight of them are too many for the reference's memory."""
    path = os.path.join(shape, "bench.json")
    if not os.path.exists(path):
        return 8
    with open(path, encoding="utf-8") as file:
        return json.load(file)["batch"]


def workload(nlbench, shape, options, name, *arguments):
    """One workload in a process of its own: its name up to a comma is the subcommand."""
    command = [nlbench, name.split(",")[0], "--config", os.path.join(shape, "config.json"), "--json", *arguments]
    command += ["--repetitions", str(options.repetitions)]
    if options.threads:
        command += ["--threads", str(options.threads)]
    return run(command, 1200)


def ours(nlbench, shape, options, names):
    results = {}
    for name in names:
        arguments = WORKLOADS[name]
        if name.startswith("train"):
            arguments = (*arguments, "--batch", str(batch_of(shape)))
        if name == "train, bf16" and not fact(results["train"], "bf16 products, peak GFLOP/s"):
            continue  # this processor does not multiply bfloat16
        results[name] = workload(nlbench, shape, options, name, *arguments)
    return results


def fact(result, name):
    """The value of a fact, or None."""
    return next((found["value"] for found in result["facts"] if found["name"] == name), None)


def reference(python, shape, options, *mode):
    threads = options.threads or len(os.sched_getaffinity(0))
    command = [python, REFERENCE, "--model", shape, "--json", "--threads", str(threads), "--batch", str(batch_of(shape))]
    command += ["--steps", str(options.repetitions), "--decodes", str(min(options.repetitions, 3)), *mode]
    return run(command, 1800)


def compare(nlbench, python, shape, options, say):
    """Both sides in turns; every run's own figures, and what they come to together."""
    rounds = []
    for number in range(1, options.rounds + 1):
        say(f"{shape}: round {number} of {options.rounds}, nlbench")
        figures = {"ours": ours(nlbench, shape, options, options.workloads or WORKLOADS)}
        if python:
            say(f"{shape}: round {number} of {options.rounds}, PyTorch reference")
            figures["reference"] = {mode: reference(python, shape, options, *arguments)
                                    for mode, arguments in REFERENCE_MODES.items()}
        rounds.append(figures)
    result = {"shape": shape, "rounds": rounds, "summary": summary(rounds)}
    if options.long:
        say(f"{shape}: a session of a million tokens")
        result["long"] = workload(nlbench, shape, options, "long")
    return result


def together(spreads):
    """Several runs of one thing: the median of their medians, the least and the most of all."""
    return {
        "median": statistics.median(s["median"] for s in spreads),
        "minimum": min(s["minimum"] for s in spreads),
        "maximum": max(s["maximum"] for s in spreads),
        "runs": [s["median"] for s in spreads],
    }


def reference_ways(name, result):
    """What the reference has to set beside a figure of ours, by the way it goes about it."""
    if name.startswith("training"):
        return {mode: found["training_tokens_per_second"] for mode, found in result.items()}
    if name.startswith("decode, 1 stream") and "fast level" not in name:
        figures = result["float32"]["decode_tokens_per_second"]
        return {way.replace("_", " "): found for way, found in figures.items()}
    return {}


def summary(rounds):
    """One line for each figure of ours: all rounds together, and the ratio to each way of the reference."""
    speeds = {}
    for found in rounds:
        for result in found["ours"].values():
            for speed in result["speeds"]:
                speeds.setdefault(speed["name"], []).append(speed["tokens_per_second"])
    lines = []
    for name, runs in speeds.items():
        mine = together(runs)
        line = {"name": name, "ours": mine, "references": []}
        ways = [reference_ways(name, found["reference"]) for found in rounds if "reference" in found]
        for way in ways[0] if ways else ():
            theirs = together([by_way[way] for by_way in ways])
            ratios = [own / other for own, other in zip(mine["runs"], theirs["runs"])]
            line["references"].append({
                "way": way, **theirs, "ratio": mine["median"] / theirs["median"], "ratios": ratios,
            })
        lines.append(line)
    return lines
