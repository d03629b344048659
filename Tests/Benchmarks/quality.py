#!/usr/bin/env python3
"""What rounding the weights costs: bits per byte of held-out text in each precision (`nlbench quality`).

    Tests/Benchmarks/quality.py --data DATA --json Tests/Benchmarks/results/quality.json

DATA holds wikipedia-en-2015/valid.jsonl.xz; its first documents are read, each from a fresh state.
"""
import argparse
import json
import lzma
import os
import subprocess
import tempfile

import machine
from bench import build


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="deploy/model")
    parser.add_argument("--tokens", type=int, default=32768)
    parser.add_argument("--nlbench", help="a built nlbench (default: built now)")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    nlbench = options.nlbench or build(
        ["--package-path", "Tests/Benchmarks", "--scratch-path", ".build/benchmarks"], "nlbench")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as text:
        with lzma.open(os.path.join(options.data, "wikipedia-en-2015", "valid.jsonl.xz"), "rt", encoding="utf-8") as lines:
            for _, line in zip(range(1000), lines):
                text.write(line)
        text.flush()
        command = [nlbench, "quality", options.model, text.name, "--tokens", str(options.tokens)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=machine.clean_environment())
    if ran.returncode != 0:
        raise SystemExit(ran.stderr)
    found = {"machine": machine.facts(), **json.loads(ran.stdout)}
    print(machine.describe(found["machine"]) + "\n\n| weights | bits per byte | against f32 | bytes | held in |\n|---|---|---|---|---|")
    for name, figures in found["precisions"].items():
        held = ", ".join(f"{form} {count:,}" for form, count in sorted(figures["held"].items()))
        print(f"| {name} | {figures['bits_per_byte']:.6f} | {100 * figures['rise']:+.4f} % | {figures['weight_bytes']:,} | {held} |")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
