#!/usr/bin/env python3
"""Makes a deeper model of a trained one that computes the same, for `nlserver pretrain --from`.

    deploy/pretrain/grow.py MODEL OUTPUT

Behind every block stands a copy of it that adds nothing yet: its output projections (`mixer.output_projection` and the
`down` of every level) are zero, everything else is taken over, so that they are the first to learn. Slots are left out;
`nlserver add-slots` lays out new ones. Needs PyTorch and safetensors.
"""
import json
import pathlib
import re
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file

SILENT = re.compile(r"(mixer\.output_projection|levels\.\d+\.down)$")


def main(model, output):
    model, output = pathlib.Path(model), pathlib.Path(output)
    output.mkdir(parents=True)
    configuration = json.loads((model / "config.json").read_text())
    configuration["num_hidden_layers"] *= 2
    for level in configuration["cms_levels"]:
        level.pop("slots", None)
        level.pop("adapts", None)
    (output / "config.json").write_text(json.dumps(configuration, indent=2) + "\n")
    shutil.copy(model / "tokenizer.json", output)
    grown = {}
    for name, tensor in load_file(model / "model.safetensors").items():
        block = re.match(r"blocks\.(\d+)\.(.*)", name)
        if ".slots." in name:
            continue
        if not block:
            grown[name] = tensor
            continue
        index, rest = int(block[1]), block[2]
        grown[f"blocks.{2 * index}.{rest}"] = tensor
        grown[f"blocks.{2 * index + 1}.{rest}"] = torch.zeros_like(tensor) if SILENT.search(rest) else tensor.clone()
    save_file(grown, output / "model.safetensors", metadata={"format": "pt"})
    print(sum(t.numel() for t in grown.values()), "parameters")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
