#!/usr/bin/env python3
"""The benchmark behind `deploy/bench`, which says how to use it."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import engine
import machine
import serving
import tables
import targets

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def say(what):
    print(what, file=sys.stderr, flush=True)


def build(arguments, product):
    """Builds a product for release; returns its path."""
    command = ["swift", "build", "-c", "release", *arguments]
    if subprocess.run([*command, "--product", product], stdout=sys.stderr, check=False).returncode != 0:
        raise SystemExit(f"{product} does not build")
    shown = subprocess.run([*command, "--show-bin-path"], capture_output=True, text=True, check=True)
    return os.path.join(shown.stdout.strip(), product)


def parse():
    parser = argparse.ArgumentParser(prog="deploy/bench", description="Measures engine, PyTorch reference and daemon.")
    parser.add_argument("--parts", default="engine,daemon", help="engine, daemon, or both (default)")
    parser.add_argument("--shape", action="append", metavar="DIR",
                        help="a directory with a config.json; may be repeated (default: shapes/default, shapes/larger, "
                             "and the model)")
    parser.add_argument("--workload", action="append", dest="workloads", choices=list(engine.WORKLOADS),
                        help="only these of the engine's; may be repeated")
    parser.add_argument("--long", action="store_true",
                        help="also a session that reads a million tokens (two minutes on the default shape, the better "
                             "part of an hour on the larger)")
    parser.add_argument("--model", default="deploy/model", help="the model directory that is served")
    parser.add_argument("--rounds", type=int, default=2, help="turns of nlbench and reference (default 2)")
    parser.add_argument("--repetitions", type=int, default=5, help="timed repetitions in a turn (default 5)")
    parser.add_argument("--threads", type=int, help="compute threads of both sides (default: one for each processor)")
    parser.add_argument("--python", help="the Python that has PyTorch (default: found)")
    parser.add_argument("--no-reference", action="store_true", help="the engine alone")
    parser.add_argument("--nlbench", help="a built nlbench (default: built now)")
    parser.add_argument("--binary", help="a built nlserver (default: built now)")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that it runs, not how fast")
    parser.add_argument("--json", metavar="FILE", help="where every figure is written, as it is measured")
    options = parser.parse_args()
    options.parts = options.parts.split(",")
    if unknown := set(options.parts) - {"engine", "daemon"}:
        parser.error(f"--parts knows engine and daemon, not {', '.join(sorted(unknown))}")
    if min(options.rounds, options.repetitions, options.threads or 1) < 1:
        parser.error("--rounds, --repetitions and --threads count from 1")
    if options.quick:
        options.rounds, options.repetitions = 1, 1
    return options


def has_model(directory):
    return os.path.exists(os.path.join(directory, "config.json"))


def measure_engine(options, result, save):
    shapes = options.shape or (
        ["Tests/Benchmarks/shapes/default", "Tests/Benchmarks/shapes/larger"] + [options.model] * has_model(options.model))
    for shape in shapes:
        if not has_model(shape):
            raise SystemExit(f"{shape} has no config.json")
    python = None if options.no_reference else engine.find_torch(options.python)
    if python is None:
        say("The PyTorch reference is skipped: no Python with PyTorch. Give one with --python.")
    nlbench = options.nlbench or build(
        ["--package-path", "Tests/Benchmarks", "--scratch-path", ".build/benchmarks"], "nlbench")
    result["engine"] = []
    for shape in shapes:
        result["engine"].append(engine.compare(nlbench, python, shape, options, say))
        save()


def measure_daemon(options):
    if not has_model(options.model):
        say(f"The daemon is skipped: {options.model} has no model. Give one with --model.")
        return None
    binary = options.binary or build([], "nlserver")
    with tempfile.TemporaryDirectory() as directory:
        return serving.measure(binary, options.model, directory, say, quick=options.quick)


def main():
    options = parse()
    os.chdir(ROOT)
    result = {"command": ["deploy/bench", *sys.argv[1:]], "machine": machine.facts()}
    parts = [machine.describe(result["machine"])]

    def save():
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(result, file, indent=1)
                file.write("\n")

    if "engine" in options.parts:
        measure_engine(options, result, save)
        result["targets"] = targets.rows(result["engine"])
        parts += [tables.targets(result["targets"]), *(tables.engine(compared) for compared in result["engine"])]
    if "daemon" in options.parts:
        result["daemon"] = measure_daemon(options)
        if result["daemon"]:
            parts.append(tables.daemon(result["daemon"]))
    result["load_average_after"] = os.getloadavg()
    save()
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
