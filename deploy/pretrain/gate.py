#!/usr/bin/env python3
"""Gives the links of a trained model gates, and its memories room for bolder writes, for `nlserver pretrain --from`.

    deploy/pretrain/gate.py MODEL OUTPUT --text DATA/wikipedia-en-2015/train-3.jsonl.xz [--step-size-max 1]

A link x + W_down silu(W_up u) becomes x + W_down (silu(W_gate u) * W_up' u) with W_gate = W_up and every row of W_up' the
c that makes c·u nearest to 1 over the text (least squares): u keeps away from 0 far enough that this explains 98 to 99 %
of a 1. So the model computes almost what it did, and W_up' learns from there. Step sizes are eta_max sigmoid(a): readout
and bias are fitted so that the new eta_max gives what the old one gave. The loss on the text is printed before and after.
Slots are left out; `nlserver add-slots` lays out new ones. Needs PyTorch, safetensors and tokenizers.
"""
import argparse
import json
import lzma
import pathlib
import shutil
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/Fixtures/Reference"))
from hope import Hope, heads_first, retrieve, rms  # noqa: E402
from model_config import config_of  # noqa: E402

LENGTH, SEQUENCES = 256, 64


def sequences(path, tokenizer):
    """[SEQUENCES, LENGTH]: how the first texts that are long enough begin."""
    found = []
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            tokens = tokenizer.encode(json.loads(line)["text"][: 16 * LENGTH]).ids[:LENGTH]
            if len(tokens) == LENGTH:
                found.append(tokens)
            if len(found) == SEQUENCES:
                return torch.tensor(found)
    sys.exit(f"{path}: fewer than {SEQUENCES} texts of {LENGTH} tokens")


def loss(settings, parameters, tokens):
    model = Hope(config_of(settings))
    model.load_state_dict(parameters)
    with torch.no_grad():
        logits = model(tokens)[0]
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).item()


def inputs(settings, parameters, tokens):
    """What each link's matrices and each mixer read: {(block, level or "mixer"): [tokens, D] or [B, T, D]}."""
    model, seen = Hope(config_of(settings)), {}
    model.load_state_dict(parameters)
    for b, block in enumerate(model.blocks):
        block.mixer.register_forward_pre_hook(lambda _, given, at=(b, "mixer"): seen.__setitem__(at, given[0]))
        for i, level in enumerate(block.levels):
            level.register_forward_pre_hook(
                lambda link, given, at=(b, i): seen.__setitem__(at, rms(given[0], link.gain).flatten(0, 1)))
    with torch.no_grad():
        model(tokens)
    return model, seen


def nearest_to_one(u):
    """c [D] with the least mean (c·u - 1)^2, and how much of the 1 is explained."""
    second = u.T @ u / len(u) + 1e-4 * u.square().mean() * torch.eye(u.shape[1])
    c = torch.linalg.solve(second, u.mean(0))
    return c, 1 - (u @ c - 1).square().mean().item()


def step_size_fit(mixer, u, ratio):
    """(scale, offset) [H] with sigmoid(scale a + offset) nearest to ratio sigmoid(a); a without what the memory learns."""
    with torch.no_grad():
        padded = F.pad(u.mT, (mixer.conv.shape[1] - 1, 0))
        x = F.silu(F.conv1d(padded, mixer.conv.unsqueeze(1), groups=u.shape[-1]).mT)
        heads = mixer.step_size_bias.shape[0]
        value = retrieve(mixer.w1["step_size"], mixer.w2["step_size"], heads_first(x, heads))
        a = (value * mixer.step_size_readout[:, None]).sum(-1) + mixer.step_size_bias[:, None]  # [B, H, T]
    a = a.transpose(0, 1).flatten(1)
    wanted = torch.logit(ratio * torch.sigmoid(a))
    scale = ((a - a.mean(1, keepdim=True)) * wanted).sum(1) / (a - a.mean(1, keepdim=True)).square().sum(1).clamp(min=1e-6)
    return scale, wanted.mean(1) - scale * a.mean(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--text", required=True, help="a .jsonl.xz of training text, one {\"text\": …} a line")
    parser.add_argument("--step-size-max", type=float, help="the new eta_max; the model's own unless said")
    chosen = parser.parse_args()
    settings = json.loads((chosen.model / "config.json").read_text())
    for level in settings["cms_levels"]:
        level.pop("slots", None)
        level.pop("adapts", None)
        if level.get("gated"):
            parser.error(f"level {level['name']} has a gate already")
    if chosen.step_size_max is not None and not settings["step_size_max"] <= chosen.step_size_max <= 1:
        parser.error(f"--step-size-max must lie between the model's own, {settings['step_size_max']:g}, and 1")
    tokens = sequences(chosen.text, Tokenizer.from_file(str(chosen.model / "tokenizer.json")))
    parameters = {n: t.float() for n, t in load_file(chosen.model / "model.safetensors").items() if ".slots." not in n}
    print(f"loss before: {loss(settings, parameters, tokens):.4f} nats a token")
    model, seen = inputs(settings, parameters, tokens)
    explained = []
    for (b, i), u in seen.items():
        if i == "mixer":
            continue
        c, share = nearest_to_one(u)
        explained.append(share)
        name = f"blocks.{b}.levels.{i}"
        parameters[f"{name}.gate"] = parameters[f"{name}.up"]
        parameters[f"{name}.up"] = c.repeat(len(parameters[f"{name}.up"]), 1)
    for level in settings["cms_levels"]:
        level["gated"] = True
    print(f"explained: {min(explained):.3f} to {max(explained):.3f}; loss with gates: {loss(settings, parameters, tokens):.4f}")
    if chosen.step_size_max is not None:
        ratio = settings["step_size_max"] / chosen.step_size_max
        for b, block in enumerate(model.blocks):
            scale, offset = step_size_fit(block.mixer, seen[b, "mixer"], ratio)
            name = f"blocks.{b}.mixer.step_size"
            parameters[f"{name}_readout"] = parameters[f"{name}_readout"] * scale[:, None]
            parameters[f"{name}_bias"] = parameters[f"{name}_bias"] * scale + offset
        settings["step_size_max"] = chosen.step_size_max
        print(f"loss with eta_max {chosen.step_size_max:g}: {loss(settings, parameters, tokens):.4f}")
    chosen.output.mkdir(parents=True)
    (chosen.output / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    shutil.copy(chosen.model / "tokenizer.json", chosen.output)
    save_file({n: t.contiguous().clone() for n, t in parameters.items()}, chosen.output / "model.safetensors", metadata={"format": "pt"})
    print(sum(t.numel() for t in parameters.values()), "parameters")


if __name__ == "__main__":
    main()
