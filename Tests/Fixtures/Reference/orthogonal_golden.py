"""Golden files of the optimizers that take whole matrices: Newton-Schulz, Muon and M3, in float64, written from their
equations with torch's matrix operations and nothing of the Swift. Writes ../Optimizers/orthogonal.safetensors.

torch.optim.Muon is the same rule but iterates in bfloat16 and keeps its momentum scaled by 1 - beta; `check_torch` holds
the update here against it, as near as bfloat16 lets it be.
"""
from __future__ import annotations
import json
import torch
import golden_files as files

SEED = 103
A, B, C = 3.4445, -4.7750, 2.0315
MUON = {"momentum": 0.95, "weight_decay": 0.1, "iterations": 5}
M3 = {"beta1": 0.95, "beta2": 0.95, "beta3": 0.9, "slow_share": 0.3, "interval": 3, "epsilon": 1e-3, "iterations": 5}
SHAPES = {"wide": (3, 8), "tall": (7, 4), "square": (5, 5)}
RATES = [0.02, 0.01, 0.005, 0.02, 0.01, 0.005, 0.02]


def newton_schulz(m, steps=5):
    x = m / (m.norm() + 1e-7)
    if x.shape[0] > x.shape[1]:
        return newton_schulz_wide(x.T, steps).T
    return newton_schulz_wide(x, steps)


def newton_schulz_wide(x, steps):
    for _ in range(steps):
        a = x @ x.T
        x = A * x + (B * a + C * a @ a) @ x
    return x


def muon(w, m, g, rate):
    m = MUON["momentum"] * m + g
    s = max(1.0, w.shape[0] / w.shape[1]) ** 0.5
    return w - rate * (s * newton_schulz(m) + MUON["weight_decay"] * w), m


def m3(w, state, g, rate, number, exponential):
    def mix(old, beta, new):
        return beta * old + (1 - beta) * new if exponential else old + beta * new
    fast, slow, recent, squares = state
    fast, squares, recent = mix(fast, M3["beta1"], g), mix(squares, M3["beta2"], g * g), recent + g
    if number % M3["interval"] == 0:
        slow = mix(slow, M3["beta3"], recent / M3["interval"] if exponential else recent)
        recent = torch.zeros_like(recent)
    direction = newton_schulz(fast) + M3["slow_share"] * newton_schulz(slow)
    return w - rate * direction / (squares.sqrt() + M3["epsilon"]), (fast, slow, recent, squares)


def check_torch():
    w = torch.nn.Parameter(torch.randn(6, 4))
    before, g = w.detach().clone(), torch.randn(6, 4)
    w.grad = g.clone()
    torch.optim.Muon([w], lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=False, adjust_lr_fn="original").step()
    ours, _ = muon(before.double(), torch.zeros(6, 4, dtype=torch.float64), g.double(), 0.02)
    error, step = (w.detach() - ours).abs().max(), (ours - before).abs().max()
    assert error < 0.1 * step, "torch.optim.Muon goes another way"


def write():
    torch.manual_seed(SEED)
    check_torch()
    out = {"learning_rates": torch.tensor(RATES, dtype=torch.float64)}
    for name, shape in SHAPES.items():
        w0 = torch.randn(*shape, dtype=torch.float64)
        gradients = [torch.randn(*shape, dtype=torch.float64) * 10.0 ** (k % 3 - 1) for k in range(len(RATES))]
        gradients[2][0, 0] = 0.0
        out[f"{name}.parameter"] = w0
        out[f"{name}.orthogonalized"] = newton_schulz(gradients[0])
        rules = {"muon": None, "m3": False, "m3_exponential": True}
        for rule, exponential in rules.items():
            w, m, state = w0.clone(), torch.zeros_like(w0), tuple(torch.zeros_like(w0) for _ in range(4))
            for step, (g, rate) in enumerate(zip(gradients, RATES)):
                out[f"{name}.gradient.{step}"] = g
                if rule == "muon":
                    w, m = muon(w, m, g, rate)
                else:
                    w, state = m3(w, state, g, rate, step + 1, exponential)
                out[f"{name}.{rule}.{step}"] = w.clone()
    metadata = {"muon": json.dumps(MUON, sort_keys=True), "m3": json.dumps(M3, sort_keys=True), "seed": str(SEED), "torch": torch.__version__}
    folder = files.FOLDER.parent / "Optimizers"
    folder.mkdir(exist_ok=True)
    (folder / "orthogonal.safetensors").write_bytes(files.encode(out, metadata))


if __name__ == "__main__":
    write()
