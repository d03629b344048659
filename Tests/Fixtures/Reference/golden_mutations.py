"""Do the golden files notice? Breaks hope.py on purpose, one line at a time, and counts the cases that go red.

    python golden_mutations.py        exit status 1 if a mutation passes every case in Double, or the unbroken reference fails one

Each mutation is a slip that an implementation of the spec could make. The files are read, not written.
"""
from __future__ import annotations
import importlib
import sys
import types
from pathlib import Path
import torch
from safetensors.torch import load as load_safetensors
import golden_files as files

HERE = Path(__file__).resolve().parent
MUTATIONS = (                            # what is wrong, the text in hope.py, what stands there instead
    ("nothing", "", ""),
    ("epsilon 1e-5", "EPS = 1e-6", "EPS = 1e-5"),
    ("no projection onto the ball", "return delta * (radius / length).clamp(max=1)", "return delta"),
    ("the ball's length without epsilon", "delta.square().sum((-2, -1), keepdim=True) + EPS", "delta.square().sum((-2, -1), keepdim=True)"),
    ("read with gamma_t, not gamma_{t-1}", "before = exclusive(log_gamma)\n    decay = torch.tril", "before = log_gamma\n    decay = torch.tril"),
    ("write with gamma_t, not gamma_{t-1}", "before = exclusive(log_gamma)\n    w = u", "before = log_gamma\n    w = u"),
    ("DGD without W_0", "(keys @ w0.mT + before", "(0 * keys @ w0.mT + before"),
    ("outer gradient stops at the target", "target = unit(retrieve(w1, w2, v))", "target = unit(retrieve(w1, w2, v)).detach()"),
    ("target not normalised", "target = unit(retrieve(w1, w2, v))", "target = retrieve(w1, w2, v)"),
    ("values not normalised", 'v = unit(retrieve(*now["value"], zv[:, :, at]))', 'v = retrieve(*now["value"], zv[:, :, at])'),
    ("silu' with a wrong sign", "return s * (1 + a * (1 - s))", "return s * (1 + a * (1 + s))"),
    ("key of W1 without epsilon", "length = s.norm(dim=-1, keepdim=True) + EPS", "length = s.norm(dim=-1, keepdim=True)"),
    ("main memory written every C_p", "c.chunk", "c.projection_chunk"),
    ("memories other than main store keys as values", "self.write(w0[n], delta[n], k, v,", "self.write(w0[n], delta[n], k, k,"),
    ("no gradient to the initial W1", "(self.w1[n].expand(", "(self.w1[n].detach().expand("),
    ("the convolution forgets between calls", '"conv": padded[:, T:]', '"conv": 0 * padded[:, T:]'),
    ("gate and hidden layer exchanged", "F.silu(u @ self.gate.mT) * (u @ self.up.mT)", "F.silu(u @ self.up.mT) * (u @ self.gate.mT)"),
    ("slowest CMS level first", "for level in self.levels:", "for level in list(self.levels)[::-1]:"),
)


def golden_script(source):
    """hope_golden, importing a hope made of this source."""
    hope = types.ModuleType("hope")
    sys.modules["hope"] = hope               # before it runs: its dataclass looks its own module up
    exec(compile(source, "hope.py", "exec"), hope.__dict__)
    sys.modules.pop("hope_golden", None)
    return importlib.import_module("hope_golden")


def initial_states(golden, case, stored):
    weight = lambda layer, memory, name: stored[f"initial.{layer}.delta.{memory}.{name}"]
    return case.prefix and [{"conv": stored[f"initial.{layer}.conv"],
                             "delta": {n: (weight(layer, n, "w1"), weight(layer, n, "w2")) for n in golden.MEMORIES}} for layer in range(case.config.layers)]


def red_cases(source, precision):
    """(names of the cases in which this source leaves the tolerance, number of cases)"""
    golden, red = golden_script(source), []
    for seed, (name, case) in enumerate(golden.CASES.items(), 1):
        stored = load_safetensors((files.FOLDER / f"{name}.safetensors").read_bytes())
        model, _, tokens, targets = golden.build(case, seed)
        out, _ = golden.compute(model, tokens, targets, initial_states(golden, case, stored))
        if not all(files.share_of_tolerance(n, stored[n], out[n], precision) <= 1 for n in out):
            red.append(name)
    return red, len(golden.CASES)


def main():
    torch.set_num_threads(1)
    source, unnoticed = (HERE / "hope.py").read_text(), []
    for what, old, new in MUTATIONS:
        assert old in source, f"{what}: hope.py has no line {old!r}; mend the mutation"
        broken = source.replace(old, new) if old else source
        double, total = red_cases(broken, "Double")
        single, _ = red_cases(broken, "Float")
        print(f"{what:46} red: {len(double):2} of {total} to Double's tolerance, {len(single):2} to Float's")
        if bool(double) != bool(old):
            unnoticed.append(what)
    sys.exit(f"not as it should be: {', '.join(unnoticed)}" if unnoticed else 0)


if __name__ == "__main__":
    main()
