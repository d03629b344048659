"""Speed of the PyTorch reference (Tests/Fixtures/Reference/hope.py), to stand beside the daemon's own figures.

    python bench_reference.py --json                          the default shape, float32, eager, 2 threads
    python bench_reference.py --model deploy/model            the shape of a model directory's config.json; weights are random
    python bench_reference.py --autocast-bf16 | --compile     the same in bfloat16 autocast, or compiled

Training: one step is forward, backward and AdamW on 8 streams (or --batch) of 256 tokens, no gradient clipping.
Decode: one stream, greedy, token by token. The reference closes its open chunks at the end of every call, so it cannot stop
inside a chunk and go on as if it had not. It offers two ways, and both are measured:
  closing_each_token   one token a call, its state carried: cheapest, but every token is a chunk, so not the model's function
  exact                the state at the last multiple of C_p carried, and the open chunk read again for each token
The reference is written for clarity and not for speed; the figures say what a reader of the spec gets, not what PyTorch can do.
"""
from __future__ import annotations
import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Fixtures" / "Reference"))
from hope import Config, Hope  # noqa: E402
from model_config import config_of  # noqa: E402

LENGTH = 256
DEFAULT = Config(vocabulary=4096, width=256, layers=6, heads=4, memory_multiple=1, chunk=16, projection_chunk=64, conv_window=4, cms_hidden_multiples=(2, 2, 4))


def measured(directory):
    """The reference's Config from a model directory's config.json. ValueError where the reference has no such model."""
    settings = json.loads((Path(directory) / "config.json").read_text())
    try:
        if settings.get("ablations"):
            raise ValueError(f"ablations is {settings['ablations']!r}; this benchmark measures the whole model only")
        return config_of(settings)
    except ValueError as error:
        raise ValueError(f"{directory}/config.json: {error}") from error


def spread(rates):
    return {"median": statistics.median(rates), "minimum": min(rates), "maximum": max(rates), "repetitions": len(rates)}


def timed(action, repetitions, tokens):
    """Tokens per second of each repetition, after one that is not counted."""
    action()
    rates = []
    for _ in range(repetitions):
        start = time.perf_counter()
        action()
        rates.append(tokens / (time.perf_counter() - start))
    return spread(rates)


def training(model, autocast, steps, batch):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1)
    tokens = torch.randint(0, model.c.vocabulary, (batch, LENGTH + 1))

    def step():
        with autocast():
            logits, _ = model(tokens[:, :-1])
            loss = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss), "the loss is not finite: what was timed is not training"

    return timed(step, steps, batch * LENGTH)


def decoding(model, autocast, repetitions):
    """One repetition is C_p tokens, so that the exact way is met at every length of its open chunk."""
    count, prompt = model.c.projection_chunk, torch.randint(0, model.c.vocabulary, (1, model.c.projection_chunk))
    with torch.no_grad():
        logits, after_prompt = model(prompt)
        first = logits[:, -1:].argmax(-1)

        def closing_each_token():
            token, states = first, after_prompt
            for _ in range(count):
                with autocast():
                    logits, states = model(token, states)
                token = logits[:, -1:].argmax(-1)

        def exact():
            open_chunk = first
            for _ in range(count):
                with autocast():
                    logits, _ = model(open_chunk, after_prompt)
                open_chunk = torch.cat([open_chunk, logits[:, -1:].argmax(-1)], 1)

        return {"closing_each_token": timed(closing_each_token, repetitions, count), "exact": timed(exact, repetitions, count)}


def processor():
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    options = argparse.ArgumentParser(description="Training and decode speed of the PyTorch reference.")
    options.add_argument("--model", help="a model directory, for the shape in its config.json (default: V 4096, D 256, L 6, H 4, C 16, C_p 64, CMS 2/2/4)")
    options.add_argument("--batch", type=int, default=8, help="sequences in a training step (default 8)")
    options.add_argument("--steps", type=int, default=5, help="timed training steps (default 5)")
    options.add_argument("--decodes", type=int, default=3, help="timed decodes of C_p tokens (default 3)")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--autocast-bf16", action="store_true", help="bfloat16 autocast; parameters and optimizer stay float32")
    options.add_argument("--compile", action="store_true", help="torch.compile every block for training; compiling is not timed (two minutes for 4 chunks a call; the default shape, 16, was not done after five). Decode stays eager")
    options.add_argument("--json", action="store_true", help="JSON on standard output instead of lines")
    chosen = options.parse_args()
    if min(chosen.steps, chosen.decodes, chosen.threads, chosen.batch) < 1:
        options.error("--steps, --decodes, --threads and --batch count from 1")

    torch.manual_seed(7)
    torch.set_num_threads(chosen.threads)
    try:
        config = measured(chosen.model) if chosen.model else DEFAULT
    except (OSError, ValueError) as problem:
        options.error(str(problem))
    except KeyError as missing:
        options.error(f"{chosen.model}/config.json has no key {missing}")
    model = Hope(config)
    autocast = (lambda: torch.autocast("cpu", torch.bfloat16)) if chosen.autocast_bf16 else nullcontext
    decoder = Hope(config)                         # its own model: decode stays eager, for the lengths of its calls change
    decoder.load_state_dict(model.state_dict())
    if chosen.compile:
        for block in model.blocks:                 # one graph serves all blocks; the whole model at once would be L times as large
            block.compile()
    result = {
        "config": asdict(config), "parameters": sum(p.numel() for p in model.parameters()), "torch": torch.__version__, "processor": processor(),
        "threads": chosen.threads, "precision": "bf16 autocast" if chosen.autocast_bf16 else "float32", "mode": "compiled" if chosen.compile else "eager",
        "load_average_before": os.getloadavg()[0],
        "training_tokens_per_second": {"batch": chosen.batch, "length": LENGTH} | training(model, autocast, chosen.steps, chosen.batch),
        "decode_tokens_per_second": decoding(decoder, autocast, chosen.decodes),
    }
    result["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if chosen.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{result['parameters']:,} parameters, {result['precision']}, {result['mode']}, {chosen.threads} threads, torch {result['torch']}, {result['processor']}")
    rows = {"training": result["training_tokens_per_second"]} | {f"decode, {way}": figures for way, figures in result["decode_tokens_per_second"].items()}
    for name, figures in rows.items():
        print(f"{name:28} {figures['median']:8.1f} tokens/s  ({figures['minimum']:.1f} to {figures['maximum']:.1f}, {figures['repetitions']} repetitions)")
    print(f"peak memory                  {result['peak_memory_bytes'] / 2**20:8.0f} MiB")


if __name__ == "__main__":
    main()
