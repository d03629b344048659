"""Golden file of the optimizers: torch.optim.AdamW and torch.nn.utils.clip_grad_norm_ in float64. Run by hope_golden.py.

AdamW, five steps with a learning rate that changes, on a matrix with weight decay and a gain without. Gradients hold exact
zeros, values near epsilon (1e-8, where its place under the root would show) and large ones.
Clipping: torch multiplies by min(1, max_norm / (norm + 1e-6)); the 1e-6 is part of the golden numbers.
"""
from __future__ import annotations
import json
from pathlib import Path
import torch
import golden_files as files

SEED = 101
STEPS = 5
HYPERPARAMETERS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weight_decay": {"matrix": 0.1, "gain": 0.0}}
CLIPPED_TO = {"above": 0.5, "below": 1e3}      # global norm above the limit, and below: the gradients stay as they are


def adamw():
    """parameter.<p>, learning_rates [5]; per step k = 0...4: step.<k>.{gradient,parameter,first_moment,second_moment}.<p>"""
    h = HYPERPARAMETERS
    parameters = {"matrix": torch.randn(3, 5, dtype=torch.float64).requires_grad_(), "gain": torch.randn(7, dtype=torch.float64).requires_grad_()}
    rates = torch.tensor([1e-3, 3e-3, 1e-2, 3e-3, 1e-4], dtype=torch.float64)
    out = {f"parameter.{n}": p.detach().clone() for n, p in parameters.items()} | {"learning_rates": rates}
    optimizer = torch.optim.AdamW([{"params": [p], "weight_decay": h["weight_decay"][n]} for n, p in parameters.items()],
                                  betas=(h["beta1"], h["beta2"]), eps=h["epsilon"], foreach=False)
    for step in range(STEPS):
        for name, p in parameters.items():
            p.grad = torch.randn_like(p)
            p.grad.view(-1)[0] = 0.0
            p.grad.view(-1)[1] *= 1e-8
            p.grad.view(-1)[2] *= 1e4
            out[f"step.{step}.gradient.{name}"] = p.grad.clone()
        for group in optimizer.param_groups:
            group["lr"] = rates[step].item()
        optimizer.step()
        for name, p in parameters.items():
            out[f"step.{step}.parameter.{name}"] = p.detach().clone()
            out[f"step.{step}.first_moment.{name}"] = optimizer.state[p]["exp_avg"].clone()
            out[f"step.{step}.second_moment.{name}"] = optimizer.state[p]["exp_avg_sq"].clone()
    return out


def clipping():
    """clip.<case>.{max_norm, norm (before), gradient.<p>, clipped.<p>}"""
    out = {}
    for case, limit in CLIPPED_TO.items():
        parameters = {"matrix": torch.zeros(4, 3, dtype=torch.float64), "gain": torch.zeros(5, dtype=torch.float64)}
        for name, p in parameters.items():
            p.grad = torch.randn_like(p)
            out[f"clip.{case}.gradient.{name}"] = p.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_(list(parameters.values()), limit)
        assert (norm > limit) == (case == "above")
        out |= {f"clip.{case}.norm": norm, f"clip.{case}.max_norm": torch.tensor(limit, dtype=torch.float64)}
        out |= {f"clip.{case}.clipped.{n}": p.grad for n, p in parameters.items()}
    return out


def write():
    """(bytes of adamw.safetensors, its entry in the manifest)"""
    torch.manual_seed(SEED)
    tensors = adamw() | clipping()
    data = files.encode(tensors, {"case": "adamw", "config": json.dumps(HYPERPARAMETERS, sort_keys=True), "seed": str(SEED), "torch": torch.__version__})
    return data, {"script": "optimizer_golden.py", "script_sha256": files.sha256(Path(__file__)), "torch": torch.__version__, "seed": SEED,
                  "config": HYPERPARAMETERS, "shows": "AdamW over five steps; clipping by global norm", "tolerance": files.TOLERANCE}
