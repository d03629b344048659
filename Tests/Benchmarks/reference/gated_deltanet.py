"""Gated DeltaNet (Yang, Kautz, Hatamizadeh 2024, "Gated Delta Networks"), to stand beside Hope at equal parameters.

    python gated_deltanet.py --check                                  chunked against recurrent form, gradients too
    python gated_deltanet.py train WORK --output DIR --tokens N …     on the corpus that `nlserver pretrain` prepared in WORK
    python gated_deltanet.py evaluate DIR --text name=FILE …          the figures of `nlbench evaluate`

Blocks of a gated delta rule mixer and a SwiGLU MLP, pre-norm, embedding tied with the head. Per head
    S_t = α_t S_{t−1} (I − β_t k_t k_tᵀ) + β_t v_t k_tᵀ        o_t = S_t q_t
q, k, v through a causal convolution of 4 taps and silu, q and k brought to length 1, β = sigmoid(W_β x),
α = exp(−A softplus(W_α x + b)), output W_o (rms_head(o) ⊙ silu(W_g x)).
"""
import argparse
import json
import math
import os
import pathlib
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read as torch is loaded: threads that spin starve each other beside any other load
import numpy  # noqa: E402
import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

EPS, CHUNK = 1e-6, 64


def rms(x, gain):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * gain


def unit(x):
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + EPS)


def recurrent(q, k, v, beta, log_alpha, state):
    """The rule token by token: the oracle. q, k, v [B,H,T,d], beta and log_alpha [B,H,T], state [B,H,d,d]."""
    rows = []
    for t in range(q.shape[2]):
        kt, vt, bt = k[:, :, t, :, None], v[:, :, t, :, None], beta[:, :, t, None, None]
        state = log_alpha[:, :, t, None, None].exp() * (state - bt * (state @ kt) @ kt.mT) + bt * vt @ kt.mT
        rows.append((state @ q[:, :, t, :, None])[..., 0])
    return torch.stack(rows, 2), state


def chunked(q, k, v, beta, log_alpha, state):
    """The same, a chunk at a time: S_t = γ_t S_0 + Σ_{s ≤ t} (γ_t/γ_s) u_s k_sᵀ, one triangular solve for u."""
    rows = []
    for start in range(0, q.shape[2], CHUNK):
        at = slice(start, start + CHUNK)
        qc, kc, vc, bc = q[:, :, at], k[:, :, at], v[:, :, at], beta[:, :, at]
        log_gamma = log_alpha[:, :, at].cumsum(-1)
        gamma = log_gamma.exp()[..., None]
        decay = torch.exp((log_gamma[..., :, None] - log_gamma[..., None, :]).clamp(max=0))
        lower = torch.tril(bc[..., None] * decay * (kc @ kc.mT), -1)
        right = bc[..., None] * (vc - gamma * (kc @ state.mT))
        u = torch.linalg.solve_triangular(lower + torch.eye(kc.shape[2], dtype=q.dtype), right, upper=False, unitriangular=True)
        rows.append(gamma * (qc @ state.mT) + torch.tril(decay * (qc @ kc.mT)) @ u)
        last = log_gamma[..., -1:]
        state = last.exp()[..., None] * state + (u * (last - log_gamma).exp()[..., None]).mT @ kc
    return torch.cat(rows, 2), state


class Mixer(nn.Module):
    def __init__(self, width, heads, layers):
        super().__init__()
        self.heads, head = heads, width // heads
        self.conv = nn.Parameter(torch.randn(3, width, 4) * 0.2)
        with torch.no_grad():
            self.conv[:, :, -1] += 1
        for name, share in (("query", 0.25), ("key", 0.25), ("value", 0.25), ("gate", 1)):  # as nlserver's attention, see LOG.md
            self.register_parameter(name, nn.Parameter(share * torch.randn(width, width) / math.sqrt(width)))
        self.output = nn.Parameter(torch.randn(width, width) / math.sqrt(2 * layers * width))
        self.beta, self.alpha = (nn.Parameter(torch.randn(heads, width) / math.sqrt(width)) for _ in range(2))
        step = torch.exp(torch.rand(heads) * (math.log(0.1) - math.log(0.001)) + math.log(0.001))
        self.step_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus of it is the step
        self.log_a = nn.Parameter(torch.log(torch.empty(heads).uniform_(1, 16)))
        self.head_gain = nn.Parameter(torch.ones(head))

    def forward(self, x, state=None, form=chunked):
        batch, length, width = x.shape
        head = width // self.heads
        tails, memory = state or ([x.new_zeros(batch, 3, width)] * 3, x.new_zeros(batch, self.heads, head, head))
        parts, after = [], []
        for tap, tail, weight in zip(self.conv, tails, (self.query, self.key, self.value)):
            padded = torch.cat([tail, x @ weight.mT], 1)
            after.append(padded[:, -3:])
            mixed = F.silu(F.conv1d(padded.mT, tap[:, None], groups=width).mT)
            parts.append(mixed.view(batch, length, self.heads, head).transpose(1, 2))
        q, k, v = unit(parts[0]), unit(parts[1]), parts[2]
        beta = torch.sigmoid(x @ self.beta.mT).transpose(1, 2)
        log_alpha = -self.log_a.exp()[:, None] * F.softplus(x @ self.alpha.mT + self.step_bias).transpose(1, 2)
        y, memory = form(q, k, v, beta, log_alpha, memory)
        y = rms(y, self.head_gain).transpose(1, 2).reshape(batch, length, width)
        return (y * F.silu(x @ self.gate.mT)) @ self.output.mT, (after, memory)


class Block(nn.Module):
    def __init__(self, width, heads, hidden, layers):
        super().__init__()
        self.mixer = Mixer(width, heads, layers)
        self.gain_mixer, self.gain_mlp = (nn.Parameter(torch.ones(width)) for _ in range(2))
        self.up, self.open = (nn.Parameter(0.5 * torch.randn(hidden, width) / math.sqrt(width)) for _ in range(2))
        self.down = nn.Parameter(0.3 * torch.randn(width, hidden) / math.sqrt(2 * layers * hidden))

    def forward(self, x, state=None, form=chunked):
        mixed, state = self.mixer(rms(x, self.gain_mixer), state, form)
        x = x + mixed
        u = rms(x, self.gain_mlp)
        return x + (F.silu(u @ self.open.mT) * (u @ self.up.mT)) @ self.down.mT, state


class GatedDeltaNet(nn.Module):
    def __init__(self, vocabulary, width, layers, heads, hidden):
        super().__init__()
        self.shape = {"vocabulary": vocabulary, "width": width, "layers": layers, "heads": heads, "hidden": hidden}
        self.embedding = nn.Parameter(torch.randn(vocabulary, width) * 0.06)
        self.blocks = nn.ModuleList(Block(width, heads, hidden, layers) for _ in range(layers))
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, tokens, states=None, form=chunked):
        x, after = self.embedding[tokens], []
        for block, state in zip(self.blocks, states or [None] * len(self.blocks)):
            x, state = block(x, state, form)
            after.append(state)
        return rms(x, self.gain) @ self.embedding.mT, after


def check():
    torch.manual_seed(3)
    model = GatedDeltaNet(11, 12, 2, 2, 16).double()
    tokens = torch.randint(0, 11, (2, 2 * CHUNK + 9))
    loss = lambda form: F.cross_entropy(model(tokens, form=form)[0].flatten(0, 1), tokens.flatten())
    gradients = lambda form: torch.autograd.grad(loss(form), list(model.parameters()))
    apart = lambda a, b: (a - b).abs().max().item()
    fast, slow = model(tokens)[0], model(tokens, form=recurrent)[0]
    first, states = model(tokens[:, :CHUNK + 5])
    second, _ = model(tokens[:, CHUNK + 5:], states)
    found = {"logits": apart(fast, slow), "gradients": max(map(apart, gradients(chunked), gradients(recurrent))),
             "two calls against one": apart(torch.cat([first, second], 1), fast)}
    print("chunked against recurrent:", found)
    assert max(found.values()) < 1e-9, found


def train(chosen):
    """The schedule, the optimizer and the batches' windows are those of `nlserver pretrain`; their order is its own."""
    work, output = pathlib.Path(chosen.work), pathlib.Path(chosen.output)
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(chosen.seed)
    model = GatedDeltaNet(*chosen.shape)
    matrices = [p for p in model.parameters() if p.dim() == 2]  # not the taps of the convolution, as in AdamW.swift
    others = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], betas=(0.9, 0.95))
    tokens = numpy.memmap(work / "corpus/tokens.bin", dtype=numpy.uint16, mode="r")
    batch, length, warmup = 16, 256, 100
    windows, steps = (len(tokens) - 1) // length, -(-chosen.tokens // (batch * length))
    began, seconds, mean, order, epoch = time.time(), [], None, None, None
    with open(output / "log.jsonl", "w", encoding="utf-8", buffering=1) as log:
        for step in range(steps):
            progress = min(1.0, (step - warmup) / max(1, steps - 1 - warmup))
            peak = chosen.learning_rate
            rate = peak * (step + 1) / warmup if step < warmup else peak / 10 + 0.9 * peak * 0.5 * (1 + math.cos(math.pi * progress))
            for group in optimizer.param_groups:
                group["lr"] = rate
            rows = []
            for index in range(step * batch, (step + 1) * batch):
                if index // windows != epoch:
                    epoch = index // windows
                    order = numpy.random.default_rng([chosen.seed, epoch]).permutation(windows)
                start = int(order[index % windows]) * length
                rows.append(torch.from_numpy(tokens[start:start + length + 1].astype(numpy.int64)))
            rows = torch.stack(rows)
            moment = time.time()
            loss = F.cross_entropy(model(rows[:, :-1])[0].flatten(0, 1), rows[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            seconds.append(time.time() - moment)
            log.write(json.dumps({"step": step + 1, "tokens": (step + 1) * batch * length, "loss": loss.item(), "seconds": seconds[-1]}) + "\n")
            mean = loss.item() if mean is None else mean + 0.05 * (loss.item() - mean)
            if (step + 1) % 100 == 0:
                print(f"step {step + 1}/{steps} loss {mean:.3f} {(step + 1) * batch * length / (time.time() - began):,.0f} tokens/s", flush=True)
    torch.save({"shape": model.shape, "model": model.state_dict()}, output / "model.tmp")
    os.replace(output / "model.tmp", output / "model.pt")


def evaluate(chosen):
    from tokenizers import Tokenizer

    saved = torch.load(pathlib.Path(chosen.model) / "model.pt", weights_only=True)
    model = GatedDeltaNet(**saved["shape"])
    model.load_state_dict(saved["model"])
    tokenizer = Tokenizer.from_file(chosen.tokenizer)
    # Bytes of each token: byte-level BPE writes each as one character.
    size = {i: len(t) for t, i in tokenizer.get_vocab().items()}
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    documents = lambda path: [json.loads(line)["text"] for line in open(path, encoding="utf-8")]

    @torch.no_grad()
    def read(ids):
        """−log p of every token, and whether it was the likeliest."""
        inputs, losses, best, states = torch.tensor([[0] + ids[:-1]]), [], [], None
        for start in range(0, len(ids), 512):
            logits, states = model(inputs[:, start:start + 512], states)
            own = torch.tensor(ids[start:start + 512])
            losses.append(F.cross_entropy(logits[0], own, reduction="none"))
            best.append(logits[0].argmax(-1) == own)
        return torch.cat(losses).double(), torch.cat(best)

    found = {"parameters": sum(p.numel() for p in model.parameters()), "bits_per_byte": {}, "by_position": []}
    for pair in chosen.text:
        name, path = pair.split("=", 1)
        nats, size_read, count = 0.0, 0, 0
        for text in documents(path):
            if count >= chosen.tokens:
                break
            ids = encode(text)[:min(1024, chosen.tokens - count)]
            if not ids:  # of a novel that ends before the piece that is read
                continue
            nats += read(ids)[0].sum().item()
            size_read += sum(size[i] for i in ids)
            count += len(ids)
        if size_read == 0:
            sys.exit(f"{path} has no text to measure")
        found["bits_per_byte"][name] = nats / math.log(2) / size_read
    if chosen.long:
        bounds = [0] + [256 << i for i in range(8)]
        sums = [[0.0, 0] for _ in bounds[1:]]
        used = 0
        for text in documents(chosen.long):
            ids = encode(text)[:bounds[-1]]
            if used == chosen.streams or len(ids) < bounds[-1]:
                continue
            used += 1
            losses, _ = read(ids)
            for part, (low, high) in enumerate(zip(bounds, bounds[1:])):
                sums[part][0] += losses[low:high].sum().item()
                sums[part][1] += sum(size[i] for i in ids[low:high])
        if used == 0:
            sys.exit(f"no text of {chosen.long} has {bounds[-1]} tokens")
        found["by_position"] = [{"from": low, "to": high, "bits_per_byte": n / math.log(2) / b} for low, high, (n, b) in zip(bounds, bounds[1:], sums)]
    if chosen.last_words:
        right, nats, passages = 0, 0.0, documents(chosen.last_words)[:chosen.passages]
        for text in passages:
            space = text.rindex(" ")
            given, word = encode(text[:space]), encode(text[space:])
            losses, best = read(given + word)
            right += bool(best[len(given):].all())
            nats += losses[len(given):].sum().item()
        found["last_words"] = {"passages": len(passages), "accuracy": right / len(passages), "perplexity": math.exp(nats / len(passages))}
    print(json.dumps(found, indent=1))


def main():
    if sys.argv[1:] == ["--check"]:
        return check()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("train")
    one.add_argument("work")
    one.add_argument("--output", required=True)
    one.add_argument("--shape", type=int, nargs=5, metavar=("V", "D", "L", "H", "HIDDEN"), required=True)
    one.add_argument("--tokens", type=int, required=True)
    one.add_argument("--learning-rate", type=float, required=True)
    one.add_argument("--seed", type=int, default=1)
    one.set_defaults(run=train)
    two = commands.add_parser("evaluate")
    two.add_argument("model")
    two.add_argument("--tokenizer", required=True)
    two.add_argument("--text", nargs="*", default=[])
    two.add_argument("--tokens", type=int, default=65536)
    two.add_argument("--long")
    two.add_argument("--streams", type=int, default=4)
    two.add_argument("--last-words")
    two.add_argument("--passages", type=int)
    two.set_defaults(run=evaluate)
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    chosen.run(chosen)


if __name__ == "__main__":
    main()
