"""Writes the golden files of the Hope model from hope.py, in float64.

    python hope_golden.py            writes ../Hope/*.safetensors and ../Hope/manifest.json (optimizer_golden.py's file included)
    python hope_golden.py --check    computes everything again and compares it with the files that are there

Every case is checked before it is written: the chunked form against the recurrent one, the loss's gradient against central
differences, the set of parameters without gradient against what the equations say, a continued stream against one pass,
and an ablation against the full form on the same parameters (a switch that changes nothing would test nothing).
"""
from __future__ import annotations
import argparse
import json
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
import torch
import torch.nn.functional as F
import golden_files as files
import optimizer_golden
from hope import Config, Hope, MEMORIES

HERE = Path(__file__).resolve().parent
SMALL = dict(vocabulary=11, width=12, layers=1, heads=2, chunk=2, projection_chunk=4, cms_hidden_multiples=(2,))
TWO = SMALL | dict(layers=2, cms_hidden_multiples=(2, 1))


@dataclass
class Case:
    shows: str                           # what this case would catch
    config: Config
    batch: int
    length: int                          # T
    prefix: int = 0                      # tokens read before, in a call of their own; a multiple of C_p
    spread: float = 0.1                  # of the normal noise that moves parameters off the symmetric starting point
    retention_shift: float = 0.0         # added to retention_bias
    without_gradient: list = field(default_factory=list)

# What only a write uses. A token is read before it is written, so a call of one token has a gradient of exactly 0 here.
WRITE_ONLY = ["key_projection", "value_projection", "step_size_readout", "step_size_bias", "retention_readout", "retention_bias"] + [
    f"{w}.{memory}" for w in ("w1", "w2") for memory in MEMORIES if memory != "main"]


# Step sizes near 0.5 and retention near 0.7, where the defaults have 0.03 and 0.993.
STRONG = dict(spread=0.4, retention_shift=-4.0)


def ablation(shows, **switch):
    """Strong rates: with the defaults, a retention memory that does not adapt moves the logits by 5e-7, which Float cannot see."""
    return Case(shows, Config(**SMALL | dict(step_size_max=1.0) | switch), batch=2, length=11, **STRONG)


CASES = {
    # T against C and C_p
    "h1_c4_p4_t1": Case("a single token; T below the convolution's window", Config(**TWO | dict(heads=1, chunk=4, projection_chunk=4)), 1, 1),
    "h1_c4_p4_t3": Case("T below C", Config(**TWO | dict(heads=1, chunk=4, projection_chunk=4)), 1, 3),
    "h2_c4_p4_t4": Case("T equal to C and to C_p", Config(**TWO | dict(chunk=4, projection_chunk=4)), 2, 4),
    "h3_c4_p4_t7": Case("T above C, no multiple of it; three heads, three streams", Config(**TWO | dict(heads=3, chunk=4, projection_chunk=4)), 3, 7),
    "h2_c2_p8_t15": Case("C below C_p; both last chunks cut short", Config(**TWO | dict(projection_chunk=8)), 2, 15),
    "h3_c4_p8_t16": Case("T a multiple of C_p", Config(**TWO | dict(heads=3, chunk=4, projection_chunk=8)), 1, 16),
    "h2_c1_p3_t8": Case("C = 1: every token is a chunk; C_p no power of two", Config(**SMALL | dict(chunk=1, projection_chunk=3)), 2, 8),
    # shapes and ranges
    "ball_c4_p8_t15": Case("radius 0.05: every Delta is projected onto the ball at every chunk's end", Config(**TWO | dict(chunk=4, projection_chunk=8, radius=0.05)), 2, 15),
    "strong_rates": Case("the decays inside a chunk are far from 1",
                         Config(**SMALL | dict(chunk=4, projection_chunk=8, step_size_max=1.0)), 2, 13, **STRONG),
    "memory_multiple_2": Case("memories twice as wide as a head; window of 3", Config(**SMALL | dict(memory_multiple=2, conv_window=3)), 2, 9),
    "cms_222": Case("three CMS levels", Config(**SMALL | dict(cms_hidden_multiples=(2, 2, 2))), 2, 7),
    "wide_head": Case("a head of 28, chunk sizes of the shipped model", Config(**SMALL | dict(width=28, heads=1, chunk=16, projection_chunk=64, cms_hidden_multiples=(1,))), 1, 70),
    # each ablation switch once
    "ablation_cms": ablation("no CMS", cms_hidden_multiples=()),
    "ablation_delta": ablation("plain gradient descent: no -eta W kappa kappa^T", delta=False),
    "ablation_retain": replace(ablation("alpha = 1", retain=False),
                               without_gradient=["retention_bias", "retention_readout", "w1.retention", "w2.retention"]),
    "ablation_key": ablation("the key memory does not adapt", adaptive=("value", "step_size", "retention")),
    "ablation_value": ablation("the value memory does not adapt", adaptive=("key", "step_size", "retention")),
    "ablation_step_size": ablation("the step-size memory does not adapt", adaptive=("key", "value", "retention")),
    "ablation_retention": ablation("the retention memory does not adapt", adaptive=("key", "value", "step_size")),
    "ablation_adaptive": ablation("only the main memory adapts: Titans with an MLP memory", adaptive=()),
    # a stream that goes on: the states after `prefix` tokens are the input
    "continued_c4_p8": Case("continues a state; T no multiple of C", Config(**TWO | dict(chunk=4, projection_chunk=8)), 2, 11, prefix=16),
    "continued_c2_p8_t1": Case("one more token: the convolution's tail mixes old rows and new", Config(**SMALL | dict(projection_chunk=8)), 1, 1, prefix=8),
    "continued_ball": Case("continues a state that lies on the ball", Config(**SMALL | dict(chunk=4, projection_chunk=8, radius=0.05)), 3, 10, prefix=8),
    "continued_ablated": Case("continues a state of which two memories never left zero; window of 3, wider memories",
                              Config(**SMALL | dict(memory_multiple=2, conv_window=3, adaptive=("key", "retention"))), 2, 6, prefix=4),
    # last: a case's seed is its place
    "cms_gated": Case("gated CMS links, one of them narrower than the model", Config(**SMALL | dict(cms_hidden_multiples=(2, 0.75), cms_gated=True)), 2, 7),
}


def build(case, seed):
    """(model in float64, prefix tokens, tokens, targets). Parameters are exact in float32, so that both precisions start from one point."""
    torch.manual_seed(seed)
    model = Hope(case.config).double()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.add_(torch.randn_like(p) * case.spread)
            if name.endswith("retention_bias"):
                p.add_(case.retention_shift)
            p.copy_(p.float())
    draw = lambda length: torch.randint(0, case.config.vocabulary, (case.batch, length))
    return model, draw(case.prefix), draw(case.length), draw(case.length)


def first_states(model, prefix):
    if prefix.shape[1] == 0:
        return None
    with torch.no_grad():
        return model(prefix)[1]


def cast(states, dtype):
    return states and [{"conv": s["conv"].to(dtype), "delta": {n: tuple(w.to(dtype) for w in pair) for n, pair in s["delta"].items()}} for s in states]


def named_states(prefix, states):
    out = {}
    for layer, state in enumerate(states or []):
        out[f"{prefix}.{layer}.conv"] = state["conv"]
        for memory in MEMORIES:
            for name, weight in zip(("w1", "w2"), state["delta"][memory]):
                out[f"{prefix}.{layer}.delta.{memory}.{name}"] = weight
    return out


def mean_loss(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def compute(model, tokens, targets, states, form="chunked"):
    """(outputs: loss, logits, gradient.* and state.*; the names of the parameters without gradient)"""
    logits, after = model(tokens, states, form)
    loss = mean_loss(logits, targets)
    names, parameters = zip(*model.named_parameters())
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    out = {"loss": loss, "logits": logits}
    out |= {f"gradient.{n}": torch.zeros_like(p) if g is None else g for n, p, g in zip(names, parameters, gradients)}
    out |= named_states("state", after)
    return {n: t.detach() for n, t in out.items()}, [n for n, g in zip(names, gradients) if g is None]


def worst(expected, actual, kind):
    """Largest relative error among the tensors of a kind."""
    return max(files.rms(expected[n] - actual[n]) / max(files.rms(expected[n]), 1e-12) for n in expected if n.split(".")[0] == kind)


def close(name, what, expected, actual, tolerance=1e-11):
    error = files.rms(expected - actual)
    assert error <= tolerance * max(files.rms(expected), 1e-3), f"{name}: {what}: rms of the difference {error:.3g}"


def check_slope(name, model, tokens, targets, states, out):
    """<gradient, u> against central differences along one random direction u of all parameters."""
    h, parameters = 1e-6, dict(model.named_parameters())
    direction = {n: torch.randn_like(p) for n, p in parameters.items()}
    slope = sum((out[f"gradient.{n}"] * u).sum() for n, u in direction.items())

    def loss_at(step):
        with torch.no_grad():
            moved = {n: p + step * direction[n] for n, p in parameters.items()}
            return mean_loss(torch.func.functional_call(model, moved, (tokens, states))[0], targets)

    close(name, "gradient against central differences", slope, (loss_at(h) - loss_at(-h)) / (2 * h), 1e-6)


def at_ball(config, out):
    """(how many Deltas, one head and layer of one memory each, lie on the ball; how many there are)"""
    lengths = torch.cat([t.square().sum((-2, -1)).sqrt().flatten() for n, t in out.items() if n.startswith("state.") and ".delta." in n])
    return int((lengths > 0.999 * config.radius).sum()), lengths.numel()


def verify(name, case, model, prefix, tokens, targets, states, out, unused):
    """Raises AssertionError when the reference disagrees with itself, or the case with what it claims to show."""
    slow, _ = compute(model, tokens, targets, states, "recurrent")
    for tensor in out:
        close(name, f"chunked against recurrent, {tensor}", out[tensor], slow[tensor])
    check_slope(name, model, tokens, targets, states, out)
    in_all_layers = lambda names: sorted(f"blocks.{l}.mixer.{n}" for l in range(case.config.layers) for n in names)
    assert sorted(unused) == in_all_layers(case.without_gradient), f"{name}: without gradient: {unused}"
    zero = sorted(n[9:] for n, t in out.items() if n.startswith("gradient.") and not t.abs().max() > 0)
    assert zero == in_all_layers(WRITE_ONLY if case.length == 1 else case.without_gradient), f"{name}: gradient is zero everywhere: {zero}"
    hits, total = at_ball(case.config, out)
    moved = sum(t.abs().max() > 0 for n, t in out.items() if ".delta." in n) * total // sum(".delta." in n for n in out)
    assert case.config.radius > 1 or hits == moved, f"{name}: {hits} of {moved} Deltas that moved lie on the ball"
    if case.prefix:
        with torch.no_grad():
            whole, _ = model(torch.cat([prefix, tokens], 1))
        close(name, "continued against one pass", whole[:, case.prefix:], out["logits"])


def effect_of_ablation(case, model, tokens, out):
    """Relative change of the logits when the switches are put back; None for the full form."""
    full = replace(case.config, delta=True, retain=True, adaptive=Config.adaptive)
    if full == case.config:
        return None
    other = Hope(full).double()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        return files.rms(other(tokens)[0] - out["logits"]) / files.rms(out["logits"])


def write(name, case, seed):
    """(bytes of the golden file, its entry in the manifest, a line of summary)"""
    model, prefix, tokens, targets = build(case, seed)
    states = first_states(model, prefix)
    out, unused = compute(model, tokens, targets, states)
    verify(name, case, model, prefix, tokens, targets, states, out, unused)
    effect = effect_of_ablation(case, model, tokens, out) if states is None else None
    assert effect is None or effect > 1e-3, f"{name}: the switch changes the logits by {effect:.3g} only"

    tensors = {"tokens": tokens, "targets": targets} | out | {f"parameter.{n}": p for n, p in model.state_dict().items()}
    if states is not None:
        tensors |= {"prefix_tokens": prefix} | named_states("initial", states)
    config = asdict(case.config)
    data = files.encode(tensors, {"case": name, "config": json.dumps(config, sort_keys=True), "seed": str(seed), "torch": torch.__version__})

    single, _ = compute(model.float(), tokens, targets, cast(states, torch.float32))
    errors = {kind: float(f"{worst(out, single, kind):.1e}") for kind in ("loss", "logits", "gradient", "state")}
    share = max(files.share_of_tolerance(n, out[n], single[n], "Float") for n in out)
    assert share <= 0.25, f"{name}: in float32 the reference itself uses {share:.2f} of Float's tolerance: no room for another order of summation"

    entry = {"script": "hope_golden.py", "script_sha256": files.sha256(HERE / "hope_golden.py"), "reference_sha256": files.sha256(HERE / "hope.py"),
             "torch": torch.__version__, "seed": seed, "config": config, "shows": case.shows, "batch": case.batch, "length": case.length,
             "prefix": case.prefix, "without_gradient": unused, "tolerance": files.TOLERANCE, "reference_float32_relative_error": errors}
    hits, total = at_ball(case.config, out)
    line = (f"{name:20} B={case.batch} T={case.length:<2} prefix={case.prefix:<2} {len(data) / 1024:4.0f} KiB  loss {out['loss'].item():.6f}  "
            f"at ball {hits}/{total}  float32 error of logits {errors['logits']:.0e}, gradients {errors['gradient']:.0e}, states {errors['state']:.0e} ({share:.0%} of tolerance)"
            + (f"  switch changes logits by {effect:.1e}" if effect else "") + (f"  without gradient: {len(unused)}" if unused else ""))
    return data, entry, line


def main():
    options = argparse.ArgumentParser(description="Golden files of the Hope model and of the optimizers.")
    options.add_argument("--check", action="store_true", help="compare with the files that are there instead of writing")
    check = options.parse_args().check
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data, entries = {}, {}
    for seed, (name, case) in enumerate(CASES.items(), 1):
        data[f"{name}.safetensors"], entries[f"{name}.safetensors"], line = write(name, case, seed)
        print(line)
    data["adamw.safetensors"], entries["adamw.safetensors"] = optimizer_golden.write()
    if check:
        bad = [f"{name}: {line}" for name, new in data.items() for line in files.differences((files.FOLDER / name).read_bytes(), new)]
        print("\n".join(bad) or f"{len(data)} files agree")
        sys.exit(bool(bad))
    files.write_all(data, entries)
    print(f"{len(data)} files, {sum(map(len, data.values())) / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
