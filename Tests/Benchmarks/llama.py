#!/usr/bin/env python3
"""The engine beside llama.cpp on imported models: the same random weights in bfloat16, the same threads, in turns.

    Tests/Benchmarks/llama.py --directory DIR --json Tests/Benchmarks/results/llama.json
    Tests/Benchmarks/llama.py --directory DIR --python VENV/bin/python     a Python that has llama_cpp, numpy and gguf

DIR takes about 3 GB: the models, and without --python a virtual environment in which llama-cpp-python is built from its
source package, which takes long: at the lowest priority and one job at a time. A round is one process of each side, ours
first; a figure is the median of its rounds' medians, its spread the least and the most of all repetitions. Before that, the
logits of both sides after 16 tokens are compared: what is timed must be the same model.

With --processor-time the figures are tokens per second of processor time on one thread, from the difference of two runs
of each side, one with more of the work and one with less: for a machine on which other work goes on, where the clock on the
wall says little. They leave out what threads lose to one another, but not what others take of caches and memory.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys

import machine
from bench import build, say

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.path.join(HERE, "reference")
PROBE = "1,77,5,900,12,44,3,2,10,7,1000,31,8,6,400,9"


def run(command):
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=machine.clean_environment())
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
    return json.loads(ran.stdout)


def make_environment(directory):
    """A virtual environment with llama-cpp-python built from source for this processor."""
    python = os.path.join(directory, "venv", "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", os.path.join(directory, "venv")], check=True)
    has = subprocess.run([python, "-c", "import llama_cpp, gguf"], capture_output=True, check=False)
    if has.returncode != 0:
        say("building llama-cpp-python from source")
        environment = {**os.environ, "CMAKE_BUILD_PARALLEL_LEVEL": "1", "CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"}
        install = [python, "-m", "pip", "install", "--quiet", "--no-binary", "llama-cpp-python"]
        subprocess.run(["nice", "-n", "15", *install, "llama-cpp-python", "gguf", "numpy"], check=True, env=environment)
    return python


def difference(ours, theirs):
    """The size of the difference of two lists of logits, relative to theirs."""
    squares = sum((a - b) ** 2 for a, b in zip(ours, theirs))
    return (squares / sum(b * b for b in theirs)) ** 0.5


def figures(side):
    found = {f"decode, {n} session{'s' if n != '1' else ''}": s for n, s in side["decode_tokens_per_second"].items()}
    found["prefill"] = side["prefill_tokens_per_second"]
    return found


def together(runs):
    return {"median": statistics.median(r["median"] for r in runs), "minimum": min(r["minimum"] for r in runs),
            "maximum": max(r["maximum"] for r in runs), "runs": [r["median"] for r in runs]}


def compare(shape, paths, nlbench, python, options, keep):
    directory, gguf = paths
    mine = [nlbench, "imported", directory, "--threads", str(options.threads)]
    other = [python, os.path.join(REFERENCE, "bench_llama.py"), gguf, "--threads", str(options.threads)]
    logits = [run([*command, "--logits-of", PROBE]) for command in ([*mine, "--weights", "bf16"], other)]
    apart = difference(*logits)
    if len(logits[0]) != len(logits[1]) or apart > 0.05:
        raise SystemExit(f"{shape}: the two sides' logits differ by {apart:.3f} of their size: not the same model")
    counts = ["--repetitions", str(options.repetitions), "--tokens", str(options.tokens)]
    rounds = []
    for number in range(1, options.rounds + 1):
        found = {"load_average": os.getloadavg()}
        for precision in options.weights:
            say(f"{shape}: round {number} of {options.rounds}, nlserver {precision}")
            found[precision] = run([*mine, *counts, "--weights", precision])
        say(f"{shape}: round {number} of {options.rounds}, llama.cpp")
        found["llama.cpp"] = run([*other, *counts])
        rounds.append(found)
        # Whole rounds are kept if a later one is interrupted.
        keep({"shape": shape, "logits_apart": apart, "rounds": rounds, "summary": summarize(rounds, options)})


# What the processor-time mode varies: the arguments of the smaller and of the larger run, and the tokens between them.
# A run does its work twice, once to warm up.
DIFFERENCES = {
    "decode, 1 session": (["--streams", "1", "--tokens", "1"], ["--streams", "1", "--tokens", "17"], 2 * 16),
    "decode, 8 sessions": (["--streams", "8", "--tokens", "1"], ["--streams", "8", "--tokens", "9"], 2 * 8 * 8),
    "prefill": (["--streams", "1", "--tokens", "1"], ["--streams", "1", "--tokens", "1", "--length", "512"], 2 * 511),
}


def processor_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def rate(command, work):
    """Tokens per second of processor time."""
    less, more, tokens = DIFFERENCES[work]
    fixed = ["--repetitions", "1", "--context", "8"]
    few = processor_seconds([*command, *fixed, "--length", "1", *less])
    many = processor_seconds([*command, *fixed, *(more if "--length" in more else ["--length", "1", *more])])
    return tokens / (many - few)


def compare_processor_time(shape, paths, nlbench, python, options, keep):
    sides = {w: [nlbench, "imported", paths[0], "--threads", "1", "--weights", w] for w in options.weights}
    sides["llama.cpp"] = [python, os.path.join(REFERENCE, "bench_llama.py"), paths[1], "--threads", "1"]
    rates = {work: {side: [] for side in sides} for work in options.works or DIFFERENCES}
    for number in range(1, options.rounds + 1):
        for work, by_side in rates.items():
            for side, command in sides.items():
                say(f"{shape}: round {number} of {options.rounds}, {work}, {side}")
                by_side[side].append(rate(command, work))
            summary = {}
            for done, found in rates.items():
                if found["llama.cpp"]:
                    summary[done] = {side: {"tokens_per_processor_second": statistics.median(r), "runs": r}
                                     for side, r in found.items()}
                    for side in options.weights:
                        summary[done][side]["ratio"] = statistics.median(found[side]) / statistics.median(
                            found["llama.cpp"])
            keep({"shape": shape, "processor_time": summary})


def summarize(rounds, options):
    summary = {}
    sides = [*options.weights, "llama.cpp"]
    for name in figures(rounds[0]["llama.cpp"]):
        line = {side: together([figures(r[side])[name] for r in rounds]) for side in sides}
        for side in options.weights:
            line[side]["ratio"] = line[side]["median"] / line["llama.cpp"]["median"]
            line[side]["ratios"] = [a / b for a, b in zip(line[side]["runs"], line["llama.cpp"]["runs"])]
        summary[name] = line
    for name in ("load_seconds", "first_token_seconds"):
        summary[name] = {side: {"median": statistics.median(r[side][name] for r in rounds),
                                "runs": [r[side][name] for r in rounds]} for side in sides}
    return summary


def describe(found, options):
    lines = []
    for model in found["models"]:
        if "processor_time" in model:
            lines += [f"#### {model['shape']}, tokens per second of processor time, one thread", ""]
            for name, line in model["processor_time"].items():
                lines.append(f"- {name}: " + "; ".join(
                    f"{side} {f['tokens_per_processor_second']:.1f}" + (f" (ratio {f['ratio']:.2f})" if "ratio" in f else "")
                    for side, f in line.items()))
            continue
        lines += [f"#### {model['shape']}, logits apart by {model['logits_apart']:.1e} of their size", "",
                  "| work | " + " | ".join([*options.weights, "llama.cpp", "ratio (by round)"]) + " |",
                  "|---" * (len(options.weights) + 3) + "|"]
        for name, line in model["summary"].items():
            if "seconds" in name:
                cells = [f"{line[s]['median']:.2f}" for s in [*options.weights, "llama.cpp"]] + [""]
            else:
                cells = [f"{line[s]['median']:.1f} ({line[s]['minimum']:.1f} to {line[s]['maximum']:.1f})"
                         for s in [*options.weights, "llama.cpp"]]
                cells.append("; ".join(f"{s} **{line[s]['ratio']:.2f}** (" + ", ".join(
                    f"{r:.2f}" for r in line[s]["ratios"]) + ")" for s in options.weights))
            lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", required=True, help="where models and the environment are made and kept")
    parser.add_argument("--shape", action="append", help="smollm2-135m or qwen2.5-0.5b (default: both)")
    parser.add_argument("--weights", default="bf16", help="our precisions, separated by commas (default bf16)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=3, help="timed repetitions in a round")
    parser.add_argument("--tokens", type=int, default=32, help="tokens decoded in each session in a repetition")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both sides")
    parser.add_argument("--processor-time", action="store_true", help="tokens per second of processor time instead")
    parser.add_argument("--works", action="append", choices=list(DIFFERENCES), help="with --processor-time: these alone")
    parser.add_argument("--python", help="a Python that has llama_cpp, numpy and gguf (default: made)")
    parser.add_argument("--nlbench", help="a built nlbench (default: built now)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    options.weights = options.weights.split(",")
    nlbench = options.nlbench or build(
        ["--package-path", "Tests/Benchmarks", "--scratch-path", ".build/benchmarks"], "nlbench")
    python = options.python or make_environment(options.directory)
    found = {"machine": machine.facts(), "threads": options.threads, "models": []}
    for shape in options.shape or ["smollm2-135m", "qwen2.5-0.5b"]:
        written = subprocess.run([python, os.path.join(REFERENCE, "llama_models.py"), options.directory, shape],
                                 capture_output=True, text=True, check=True)
        others = list(found["models"])

        def keep(model):
            found.update(models=[*others, model], load_average_at_the_end=os.getloadavg())
            if options.json:
                with open(options.json, "w", encoding="utf-8") as file:
                    json.dump(found, file, indent=1)

        (compare_processor_time if options.processor_time else compare)(
            shape, written.stdout.split(), nlbench, python, options, keep)
    print(machine.describe(found["machine"]) + "\n\n" + describe(found, options))


if __name__ == "__main__":
    main()
