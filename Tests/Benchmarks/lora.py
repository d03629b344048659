#!/usr/bin/env python3
"""Learning on imported models beside LoRA in PyTorch: the same weights, layers, tokens and threads, in turns.

    Tests/Benchmarks/lora.py --directory DIR --python VENV/bin/python --json Tests/Benchmarks/results/lora.json

DIR is that of `llama.py`; --python has PyTorch, and numpy and gguf where the models are still to be made. Ours learns the
medium level's MLPs (default level map), whole and by changes of rank 8, in the precision of --precision; PyTorch learns
adapters of rank 8 on the same MLPs, all in bfloat16. Each reads documents of 256 random tokens once and takes a step every 512 tokens. Before that the losses of the
first document are compared: what is timed must be the same model.
"""
import argparse
import json
import os
import statistics
import subprocess

import machine
from bench import build, say
from llama import REFERENCE, run, together

SIDES = ("nlserver", "nlserver, low rank", "PyTorch")


def compare(shape, directory, options, nlbench):
    counts = ["--threads", str(options.threads), "--repetitions", str(options.repetitions)]
    counts += ["--length", str(options.length), "--documents", str(options.documents)]
    precision = ["--precision", options.precision]
    rounds = []
    for number in range(1, options.rounds + 1):
        say(f"{shape}: round {number} of {options.rounds}, nlserver")
        ours = run([nlbench, "imported-learn", directory, *counts, *precision])
        say(f"{shape}: round {number} of {options.rounds}, nlserver, rank {options.rank}")
        factored = run([nlbench, "imported-learn", directory, *counts, *precision, "--rank", str(options.rank)])
        say(f"{shape}: round {number} of {options.rounds}, PyTorch")
        layers = ",".join(map(str, ours["layers"]))
        theirs = run([options.python, os.path.join(REFERENCE, "bench_lora.py"), directory, *counts, "--layers", layers,
                      "--rank", str(options.rank)])
        if abs(ours["loss"] - theirs["loss"]) > 0.02 * theirs["loss"]:
            raise SystemExit(f"{shape}: losses {ours['loss']:.3f} and {theirs['loss']:.3f}: not the same model")
        rounds.append({"nlserver": ours, "nlserver, low rank": factored, "PyTorch": theirs, "load_average": os.getloadavg()})
    summary = {}
    for name in ("tokens_per_second", "read_tokens_per_second"):
        line = {side: together([r[side][name] for r in rounds]) for side in SIDES}
        for side in SIDES[:2]:
            line[side]["ratio"] = line[side]["median"] / line["PyTorch"]["median"]
            line[side]["ratios"] = [a / b for a, b in zip(line[side]["runs"], line["PyTorch"]["runs"])]
        summary[name] = line
    return {"shape": shape, "rounds": rounds, "summary": summary}


def describe(found):
    lines = ["| shape | work | nlserver | low rank | PyTorch LoRA | ratios |", "|---|---|---|---|---|---|"]
    for model in found["models"]:
        for name, line in model["summary"].items():
            cells = [f"{line[s]['median']:.1f} ({line[s]['minimum']:.1f} to {line[s]['maximum']:.1f})"
                     for s in SIDES]
            ratios = "; ".join(
                f"**{line[s]['ratio']:.2f}** (" + ", ".join(f"{r:.2f}" for r in line[s]["ratios"]) + ")" for s in SIDES[:2])
            work = "reading alone" if "read" in name else "learning"
            lines.append(f"| {model['shape']} | {work} | " + " | ".join([*cells, ratios]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--shape", action="append", help="smollm2-135m or qwen2.5-0.5b (default: both)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--documents", type=int, default=4)
    parser.add_argument("--precision", default="bf16", help="of our products: f32 or bf16")
    parser.add_argument("--rank", type=int, default=8, help="of the adapters, and of our changes of low rank")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--nlbench", help="a built nlbench (default: built now)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    nlbench = options.nlbench or build(
        ["--package-path", "Tests/Benchmarks", "--scratch-path", ".build/benchmarks"], "nlbench")
    found = {"machine": machine.facts(), "threads": options.threads, "models": []}
    for shape in options.shape or ["smollm2-135m", "qwen2.5-0.5b"]:
        directory = os.path.join(options.directory, shape)
        if not os.path.exists(os.path.join(directory, "written")):
            subprocess.run([options.python, os.path.join(REFERENCE, "llama_models.py"), options.directory, shape], check=True)
        found["models"].append(compare(shape, directory, options, nlbench))
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(found, file, indent=1)
    print(machine.describe(found["machine"]) + "\n\n" + describe(found))


if __name__ == "__main__":
    main()
