#!/usr/bin/env python3
"""Trains a Hope model with PyTorch, on a GPU where there is one, and writes the model directory that the daemon serves.

    nlserver pretrain … --output work --steps 1       prepares work/tokenizer.json and work/corpus (and takes one step)
    deploy/pretrain/train.py work --config CONFIG --output model --tokens 500000000
    deploy/pretrain/train.py work --from MODEL --output model --tokens 100000000

The model is Tests/Fixtures/Reference/hope.py, the oracle of the Swift implementation: same equations, same tensor names.
Products are TF32 on a GPU that has it (--precision highest for float32). --fast-level-sequences N reads N sequences of
each step as a session does, the fast level learning on the way (plain steps of Adam, first-order, as in `nlserver
pretrain`). A run that was stopped goes on from OUTPUT/checkpoint.pt. Needs PyTorch and safetensors.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import sys
import time

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/Fixtures/Reference"))
from hope import Hope  # noqa: E402
from model_config import config_of  # noqa: E402

FAST_RATE, BETA1, BETA2, EPSILON, LONGEST = 1e-3, 0.9, 0.99, 1e-8, 1.0  # as LevelDefinition and LevelOptimizer have them

DECAYED = {"embedding", "query_projection", "key_projection", "value_projection", "gate_projection", "output_projection", "up", "down", "gate"}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", help="the output directory of an `nlserver pretrain`: its tokenizer and corpus are used")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--config", help="a config.json: begin with random parameters")
    start.add_argument("--from", dest="origin", help="a model directory to begin with")
    parser.add_argument("--output", required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--fast-level-sequences", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--min-learning-rate", type=float, help="a tenth of the highest unless said")
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--precision", choices=["high", "highest"], default="high")
    parser.add_argument("--compile", action="store_true", help="compile each block")
    parser.add_argument("--checkpoint-every", type=float, default=5, metavar="MINUTES")
    chosen = parser.parse_args()
    if not 0 <= chosen.fast_level_sequences <= chosen.batch_size:
        parser.error("--fast-level-sequences must lie between 0 and --batch-size")
    return chosen


def model_of(settings):
    """The reference's model of a config.json. SystemExit where it has no such model."""
    if any("slots" in level for level in settings["cms_levels"]):
        sys.exit("the model has slots, which are laid out over a trained model; begin with the one before add-slots")
    try:
        return Hope(config_of(settings))
    except ValueError as error:
        sys.exit(f"{error}; it can't be trained here")


class Batches:
    """Windows of T + 1 tokens of the corpus; each epoch visits all of them in an order of its own."""

    def __init__(self, folder, length, batch, seed):
        manifest = json.loads((folder / "corpus.json").read_text())
        kind = numpy.uint16 if manifest["bytesPerToken"] == 2 else numpy.uint32
        self.tokens = numpy.memmap(folder / "tokens.bin", dtype=kind, mode="r")
        self.length, self.batch, self.seed = length, batch, seed
        self.windows = (len(self.tokens) - 1) // length
        self.epoch, self.order = None, None
        if self.windows < batch:
            sys.exit(f"{folder}: {len(self.tokens)} tokens are less than one batch")

    def at(self, step, device):
        rows = []
        for index in range(step * self.batch, (step + 1) * self.batch):
            epoch, place = divmod(index, self.windows)
            if epoch != self.epoch:
                self.epoch, self.order = epoch, numpy.random.default_rng([self.seed, epoch]).permutation(self.windows)
            start = int(self.order[place]) * self.length
            rows.append(torch.from_numpy(self.tokens[start:start + self.length + 1].astype(numpy.int64)))
        return torch.stack(rows).to(device)


def fast_level_loss(model, tokens):
    """Mean loss of sequences while a fast level of each learns from them; gradients arrive in `.grad`, first-order.

    The reference has one set of weights for a batch, so sequences are read one after another."""
    names = [n for n, _ in model.named_parameters() if ".levels.0." in n and n.endswith(("up", "down", "gate"))]
    weights, size = dict(model.named_parameters()), model.c.projection_chunk
    count, total = tokens[:, 1:].numel(), 0.0
    for row in tokens:
        delta = {n: torch.zeros_like(weights[n]) for n in names}
        first, second = ({n: torch.zeros_like(weights[n]) for n in names} for _ in range(2))
        states, step = None, 0
        for start in range(0, len(row) - 1, size):
            part = row[start:start + size + 1]
            before = {n: weights[n].grad.clone() if weights[n].grad is not None else None for n in names}
            with torch.no_grad():
                for n in names:
                    weights[n].add_(delta[n])
            logits, states = model(part[None, :-1], states)
            loss = F.cross_entropy(logits[0].float(), part[1:], reduction="sum") / count
            loss.backward()
            total += loss.item()
            states = [{"conv": s["conv"].detach(), "delta": {k: (a.detach(), b.detach()) for k, (a, b) in s["delta"].items()}} for s in states]
            with torch.no_grad():
                gradients = {}
                for n in names:
                    weights[n].sub_(delta[n])
                    own = weights[n].grad if before[n] is None else weights[n].grad - before[n]
                    gradients[n] = own * (count / (len(part) - 1))  # the mean of the window
                norm = torch.sqrt(sum(g.square().sum() for g in gradients.values()))
                scale, step = torch.clamp(LONGEST / (norm + 1e-12), max=1), step + 1
                for n, gradient in gradients.items():
                    gradient = gradient * scale
                    first[n].lerp_(gradient, 1 - BETA1)
                    second[n].lerp_(gradient.square(), 1 - BETA2)
                    root = (second[n] / (1 - BETA2 ** step)).sqrt() + EPSILON
                    delta[n].sub_(FAST_RATE * first[n] / (1 - BETA1 ** step) / root)
    return total


def rate(step, steps, chosen):
    floor = chosen.learning_rate / 10 if chosen.min_learning_rate is None else chosen.min_learning_rate
    if step < chosen.warmup:
        return chosen.learning_rate * (step + 1) / chosen.warmup
    progress = min(1.0, (step - chosen.warmup) / max(1, steps - 1 - chosen.warmup))
    return floor + (chosen.learning_rate - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def write(model, settings, work, output, facts):
    tensors = {n: p.detach().to("cpu", torch.bfloat16).contiguous() for n, p in model.state_dict().items()}
    save_file(tensors, output / "model.tmp", metadata={"format": "pt", **{k: str(v) for k, v in facts.items()}})
    os.replace(output / "model.tmp", output / "model.safetensors")
    (output / "config.json").write_text(json.dumps({**settings, "torch_dtype": "bfloat16"}, indent=2) + "\n")
    shutil.copy(work / "tokenizer.json", output)


def main():
    chosen = options()
    work, output = pathlib.Path(chosen.work), pathlib.Path(chosen.output)
    output.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    torch.set_float32_matmul_precision(chosen.precision)
    torch.manual_seed(chosen.seed)
    source = pathlib.Path(chosen.origin) / "config.json" if chosen.origin else pathlib.Path(chosen.config)
    settings = json.loads(source.read_text())
    model = model_of(settings)
    if chosen.origin:
        model.load_state_dict({n: t.to(device, torch.float32) for n, t in load_file(pathlib.Path(chosen.origin) / "model.safetensors").items()})
    decayed = [p for n, p in model.named_parameters() if n.split(".")[-1] in DECAYED]
    others = [p for n, p in model.named_parameters() if n.split(".")[-1] not in DECAYED]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": chosen.weight_decay}, {"params": others, "weight_decay": 0.0}], betas=(0.9, 0.95))
    batches = Batches(work / "corpus", chosen.sequence_length, chosen.batch_size, chosen.seed)
    per_step = chosen.batch_size * chosen.sequence_length
    steps, step = -(-chosen.tokens // per_step), 0
    run = {k: v for k, v in vars(chosen).items() if k not in ("output", "checkpoint_every", "compile")}
    checkpoint = output / "checkpoint.pt"
    if checkpoint.exists():
        found = torch.load(checkpoint, map_location=device, weights_only=True)
        if found["run"] != run:
            sys.exit(f"{output} holds another run, with {found['run']}; repeat its options, or choose another --output")
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
        step = found["step"]
        print(f"resuming after step {step}")
    if chosen.compile:
        for block in model.blocks:
            block.compile()

    def save(loss):
        torch.save({"run": run, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, output / "checkpoint.tmp")
        os.replace(output / "checkpoint.tmp", checkpoint)
        write(model, settings, work, output, {"step": step, "tokens": step * per_step, "training_loss": loss})

    saved, began, first, mean, skipped = time.time(), time.time(), step, None, 0
    while step < steps:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps, chosen)
        tokens = batches.at(step, device)
        optimizer.zero_grad()
        still, learning = chosen.batch_size - chosen.fast_level_sequences, chosen.fast_level_sequences
        loss = 0.0
        if still:
            logits, _ = model(tokens[:still, :-1])
            plain = F.cross_entropy(logits.float().flatten(0, 1), tokens[:still, 1:].flatten()) * (still / chosen.batch_size)
            plain.backward()
            loss += plain.item()
        if learning:
            scaled = {n: None if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}
            optimizer.zero_grad()
            loss += fast_level_loss(model, tokens[still:]) * learning / chosen.batch_size
            for n, p in model.named_parameters():
                p.grad.mul_(learning / chosen.batch_size)
                if scaled[n] is not None:
                    p.grad.add_(scaled[n])
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), chosen.clip)
        if math.isfinite(loss) and torch.isfinite(norm):
            optimizer.step()
            mean, skipped = loss if mean is None else mean + 0.05 * (loss - mean), 0
        else:
            skipped += 1
            print(f"step {step + 1} skipped: loss {loss}, gradient norm {norm.item()}")
            if skipped == 10:
                sys.exit("stopped: 10 steps in a row were not finite; try a smaller --learning-rate")
        step += 1
        if step % 50 == 0 or step == steps:
            print(f"step {step}/{steps}  {step * per_step / 1e6:.1f}M tokens  loss {mean:.3f}  {(step - first) * per_step / (time.time() - began):,.0f} tokens/s", flush=True)
        if time.time() - saved > 60 * chosen.checkpoint_every or step == steps:
            save(mean)
            saved = time.time()


if __name__ == "__main__":
    main()
