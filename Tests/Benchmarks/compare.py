#!/usr/bin/env python3
"""Does Hope beat a plain Transformer, and does each part pay? Models of equal size, trained on the same tokens.

    Tests/Benchmarks/compare.py --data DATA --work DIR --python VENV/bin/python            small, three seeds, and ablations
    Tests/Benchmarks/compare.py --data DATA --work DIR --python VENV/bin/python --size medium --seeds 1
    Tests/Benchmarks/compare.py --data DATA --work DIR --python VENV/bin/python --tune     learning rates, on other text
    Tests/Benchmarks/compare.py --data DATA --work DIR --python VENV/bin/python --speed    tokens/s of training, in turns

DATA is the folder of `wikipedia-en-2015`, `english-novels`, `tinystories` and `lambada`. Models are those of
shapes/compare/SIZE, trained by `nlserver pretrain`, and gated DeltaNet (reference/gated_deltanet.py, PyTorch); one
tokenizer, one corpus, AdamW, 16 sequences of 256 a step, the same schedule, each with the best of the learning rates that
--tune tried (three, and more where the best was the lowest or the highest). A run that has its result in DIR is not repeated, one that was cut goes on (gated DeltaNet begins anew), so
the command may be stopped at any time. Speed is measured apart, on a machine that does nothing else meanwhile.
Small: 1.15 M parameters, 5 M tokens, 2 to 7 minutes a run on two cores; medium: 2.8 M, 10 M tokens, 7 to 25. VENV has
PyTorch and tokenizers. Rates are tuned for each size; one that was not takes the small size's. `comparison_plots.py` draws what --json wrote.
"""
import argparse
import gzip
import hashlib
import json
import lzma
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

import machine
from bench import build, say

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {"small": (5_000_000, (2048, 128, 3, 2, 550)), "medium": (10_000_000, (2048, 192, 4, 3, 715))}
DELTANET = "gated-deltanet"
MODELS = ["transformer", DELTANET, "titans", "hope-attention", "hope"]
ABLATIONS = ["hope-no-delta", "hope-no-retain", "hope-no-cms", "hope-no-key", "hope-no-value"]
GRID, TUNED_ON, UNTUNED = [0.006, 0.012, 0.024], 2_000_000, "0.012"
SPEED_STEPS, SPEED_TURNS = 40, 3


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--python", required=True, help="a Python with PyTorch and tokenizers")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--models", nargs="+", help="default: all, and the ablations at the small size")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--tokens", type=int, help="to train on, instead of the size's own")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--report", action="store_true", help="train nothing: only what is done already")
    parser.add_argument("--passages", type=int, default=1000, help="of LAMBADA")
    parser.add_argument("--binary", default=".build/release/nlserver")
    parser.add_argument("--nlbench", help="a built nlbench (default: built now)")
    parser.add_argument("--json", type=pathlib.Path, help="write all results of the size to this file")
    return parser.parse_args()


def shape(model, size):
    """Stands for what is trained: results and rates of another shape are not taken for its."""
    text = repr(SIZES[size][1]) if model == DELTANET else (HERE / f"shapes/compare/{size}/{model}.json").read_text()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run(command, log=None):
    with open(log, "a", encoding="utf-8") if log else open(os.devnull, "w", encoding="utf-8") as errors:
        ran = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=errors, text=True, check=False, env=machine.clean_environment())
    if ran.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed{f': see {log}' if log else ''}\n{ran.stdout[-2000:]}")
    return ran.stdout


class Harness:
    def __init__(self, options):
        self.options, self.work = options, options.work
        self.work.mkdir(parents=True, exist_ok=True)
        self.texts = self.prepare_texts()
        wiki, novels = options.data / "wikipedia-en-2015", options.data / "english-novels"
        self.corpus = [wiki / "train-0.jsonl.xz", wiki / "train-1.jsonl.xz", novels / "train-0.jsonl.xz", self.texts / "stories.jsonl"]
        self.nlbench = options.nlbench or build(["--package-path", "Tests/Benchmarks", "--scratch-path", ".build/benchmarks"], "nlbench")
        prepared = self.work / "prepared"
        if not (prepared / "model.safetensors").exists():
            say("training the tokenizer and preparing the corpus")
            run([options.binary, "pretrain", "--data", *self.corpus, "--train-tokenizer", 2048, "--output", prepared, "--steps", 1,
                 "--hidden-size", 64, "--layers", 1, "--heads", 1], self.work / "prepare.log")
        self.prepared = prepared

    def prepare_texts(self):
        """Texts to measure on, none of which is trained on, and those that rates are tuned on, which are others."""
        texts = self.work / "texts"
        if (texts / "done").exists():
            return texts
        run([sys.executable, HERE.parents[1] / "deploy/pretrain/corpus.py", self.options.data, texts])

        def write(name, documents):
            with open(texts / name, "w", encoding="utf-8") as file:
                for text in documents:
                    file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")

        def read(path):
            with lzma.open(self.options.data / path, "rt", encoding="utf-8") as lines:
                return [json.loads(line)["text"] for line in lines]

        write("tune.jsonl", [t[:4000] for t in read("wikipedia-en-2015/valid.jsonl.xz")[150:200]])
        write("long.jsonl", [t[100_000:300_000] for t in read("english-novels/train-2.jsonl.xz")])
        with gzip.open(self.options.data / "lambada/lambada_test.jsonl.gz", "rt", encoding="utf-8") as lines:
            write("lambada.jsonl", [json.loads(line)["text"] for line in lines])
        (texts / "done").touch()
        return texts

    def train(self, model, size, seed, rate, tokens, output):
        """Trains a model unless it is there. Returns its learning curve and speed."""
        output.mkdir(parents=True, exist_ok=True)
        log = output / "log.jsonl"
        if model == DELTANET:
            if not (output / "model.pt").exists():
                run([self.options.python, HERE / "reference/gated_deltanet.py", "train", self.prepared, "--output", output, "--shape",
                     *SIZES[size][1], "--tokens", tokens, "--learning-rate", rate, "--seed", seed], output / "stderr.log")
        else:
            if not (output / "corpus").exists():
                (output / "corpus").symlink_to((self.prepared / "corpus").resolve())
            run([self.options.binary, "pretrain", "--data", *self.corpus, "--tokenizer", self.prepared / "tokenizer.json", "--config",
                 HERE / f"shapes/compare/{size}/{model}.json", "--output", output, "--tokens", tokens, "--batch-size", 16, "--sequence-length", 256,
                 "--warmup", 100, "--learning-rate", rate, "--seed", seed, "--log", log], output / "stderr.log")
        steps = {s["step"]: s for s in map(json.loads, log.read_text().splitlines())}
        seconds = self.step_seconds(model, [steps[k] for k in sorted(steps)])
        curve = [statistics.fmean(steps[s]["loss"] for s in range(end - 49, end + 1)) for end in range(50, max(steps) + 1, 50)]
        return {"curve_every_50_steps": curve}, 16 * 256 / statistics.median(seconds)

    @staticmethod
    def step_seconds(model, steps):
        """`nlserver pretrain` logs the time since it began, gated DeltaNet's trainer that of the step."""
        if model == DELTANET:
            return [s["seconds"] for s in steps]
        return [b["seconds"] - a["seconds"] for a, b in zip(steps, steps[1:]) if b["seconds"] > a["seconds"]]

    def evaluate(self, model, output, arguments):
        if model == DELTANET:
            command = [self.options.python, HERE / "reference/gated_deltanet.py", "evaluate", output, "--tokenizer", self.prepared / "tokenizer.json"]
        else:
            command = [self.nlbench, "evaluate", output]
        return json.loads(run([*command, *arguments], output / "stderr.log"))

    def rates(self, size):
        """What --tune found for the shapes as they are: {model: {rate: bits per byte}}."""
        path = self.work / f"tuned-{size}.json"
        tuned = json.loads(path.read_text()) if path.exists() else {}
        return {model: own["rates"] for model, own in tuned.items() if own.get("shape") == shape(model, size)}

    @staticmethod
    def next_rate(tried):
        """What to try next: the grid, then beyond it for as long as the best lies at its edge. None: that is all."""
        for rate in GRID:
            if str(rate) not in tried:
                return rate
        rates, best = sorted(map(float, tried)), float(min(tried, key=tried.get))
        return {rates[0]: best / 2, rates[-1]: best * 2}.get(best)

    def rate(self, model):
        """The best that was tried, at the small size where this one wasn't tuned; ablations take Hope's."""
        name = "hope" if model.startswith("hope-no") else model
        for size in (self.options.size, "small"):
            tried = self.rates(size).get(name, {})
            if self.next_rate(tried) is None:
                return min(tried, key=tried.get)
        say(f"{name} was not tuned: its learning rate is {UNTUNED}")
        return UNTUNED

    def tune(self, models):
        tuned = self.work / f"tuned-{self.options.size}.json"
        rates = self.rates(self.options.size)
        for model in models:
            while (rate := self.next_rate(rates.setdefault(model, {}))) is not None:
                output = self.work / "tune" / f"{model}-{rate}"
                self.train(model, self.options.size, 100, rate, TUNED_ON, output)
                rates[model][str(rate)] = self.evaluate(model, output, ["--text", f"tune={self.texts}/tune.jsonl"])["bits_per_byte"]["tune"]
                say(f"{model} at {rate}: {rates[model][str(rate)]:.4f} bits per byte")
                tuned.write_text(json.dumps({m: {"shape": shape(m, self.options.size), "rates": r} for m, r in rates.items()}, indent=1))
                shutil.rmtree(output)

    def speed(self, models):
        """Trains each model for some steps, in turns: {model: [tokens/s of each turn]}."""
        measured = {model: [] for model in models}
        for _ in range(SPEED_TURNS):
            for model in models:
                output = self.work / "speed" / model
                shutil.rmtree(output, ignore_errors=True)
                _, rate = self.train(model, self.options.size, 100, self.rate(model), SPEED_STEPS * 16 * 256, output)
                measured[model].append(rate)
                say(f"{model}: {rate:,.0f} tokens/s")
                shutil.rmtree(output)
        (self.work / f"speed-{self.options.size}.json").write_text(json.dumps(measured, indent=1))

    def result(self, model, seed):
        size = self.options.size
        tokens = self.options.tokens or SIZES[size][0]
        output = self.work / size / f"{model}-{seed}"
        path = output / "result.json"
        rate = self.rate(model)
        if path.exists():
            found = json.loads(path.read_text())
            if found["tokens"] != tokens:
                raise SystemExit(f"{path} is of {found['tokens']} tokens, not {tokens}: choose another --work")
            if found.get("shape") != shape(model, size):
                raise SystemExit(f"{path} is of another shape than the model has now: choose another --work, or remove its folder")
            if found["learning_rate"] != float(rate):
                raise SystemExit(f"{path} was trained at {found['learning_rate']}, the best rate is {rate}: choose another --work, or remove its folder")
            return found
        trained, _ = self.train(model, size, seed, rate, tokens, output)
        texts = [f"{name}={self.texts}/{file}" for name, file in (("wikipedia", "held-out.jsonl"), ("novels", "held-out-novels.jsonl"), ("stories", "held-out-stories.jsonl"))]
        found = self.evaluate(model, output, ["--text", *texts, "--long", self.texts / "long.jsonl", "--last-words",
                                              self.texts / "lambada.jsonl", "--passages", self.options.passages])
        found = {"model": model, "size": size, "seed": seed, "shape": shape(model, size), "tokens": tokens, "learning_rate": float(rate), **found, **trained}
        path.write_text(json.dumps(found, indent=1))
        say(f"{model}, seed {seed}: " + ", ".join(f"{k} {v:.4f}" for k, v in found["bits_per_byte"].items()))
        return found


def table(results, speeds):
    """Means over the seeds, and from the least to the most; of the speed, medians."""
    lines = ["| model | parameters | seeds | Wikipedia | novels | stories | to 256 tokens, from 16,384 | LAMBADA | tokens/s |", "|---|---|---|---|---|---|---|---|---|"]
    for model in dict.fromkeys(r["model"] for r in results):
        own = [r for r in results if r["model"] == model]

        def spread(values, form=".4f"):
            mean = format(statistics.fmean(values), form)
            return mean if len(values) == 1 else f"{mean} ({format(min(values), form)}–{format(max(values), form)})"

        def speed(model):
            turns = speeds.get(model)
            return f"{statistics.median(turns):,.0f} ({min(turns):,.0f}–{max(turns):,.0f})" if turns else "not measured"

        domains = [spread([r["bits_per_byte"][d] for r in own]) for d in ("wikipedia", "novels", "stories")]
        ends = [spread([r["by_position"][i]["bits_per_byte"] for r in own], ".3f") for i in (0, -1)]
        words = f"{spread([100 * r['last_words']['accuracy'] for r in own], '.2f')} %, {statistics.fmean(r['last_words']['perplexity'] for r in own):,.0f}"
        lines.append(f"| {model} | {own[0]['parameters']:,} | {len(own)} | {' | '.join(domains)} | {', '.join(ends)} | {words} | {speed(model)} |")
    return "\n".join(lines)


def check_sizes(results):
    """What is compared must be of one size, or the table says nothing."""
    sizes = {r["model"]: r["parameters"] for r in results}
    least, most = min(sizes, key=sizes.get), max(sizes, key=sizes.get)
    if sizes[most] > 1.02 * sizes[least]:
        raise SystemExit(f"{most} has {sizes[most]:,} parameters, {least} {sizes[least]:,}: more than 2 % apart")


def main():
    options = parse()
    harness = Harness(options)
    if options.tune:
        return harness.tune(options.models or MODELS)
    if options.speed:
        return harness.speed(options.models or MODELS)
    models = options.models or MODELS + (ABLATIONS if options.size == "small" else [])
    # Seed by seed, so that a run that is stopped has all models of the first ones.
    results = []
    for seed in options.seeds:
        for model in models:
            if options.report and not (harness.work / options.size / f"{model}-{seed}" / "result.json").exists():
                continue
            results.append(harness.result(model, seed))
            check_sizes(results)
    results.sort(key=lambda r: (models.index(r["model"]), r["seed"]))
    path = harness.work / f"speed-{options.size}.json"
    speeds = json.loads(path.read_text()) if path.exists() else {}
    print(table(results, speeds))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine.facts(), "tokens_per_second": speeds, "results": results}, indent=1))


if __name__ == "__main__":
    main()
