"""Learning speed of LoRA in PyTorch on a Hugging Face directory: the other side of `lora.py`.

The model is Llama's or Qwen2's, in bfloat16, frozen but for adapters of rank r on the gate, up and down projections of
some layers; documents are read one at a time, gradients gathered over a chunk of tokens, then AdamW takes a step. The
graph begins at the first adapted layer, as PyTorch itself sees to.
"""
import argparse
import json
import os
import statistics
import struct
import time

import torch
import torch.nn.functional as F


def load(directory):
    tensors = {}
    with open(os.path.join(directory, "model.safetensors"), "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8)
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        assert entry["dtype"] == "BF16", f"{name} is {entry['dtype']}"
        tensors[name] = data[start:end].view(torch.bfloat16).reshape(entry["shape"])
    return tensors


class Adapter:
    """W x + B A x: A random, B zero, so that nothing is changed before the first step."""

    def __init__(self, weight, rank):
        self.weight = weight
        self.a = (torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5).to(torch.bfloat16).requires_grad_()
        self.b = torch.zeros(weight.shape[0], rank, dtype=torch.bfloat16, requires_grad=True)

    def __call__(self, x):
        return F.linear(x, self.weight) + F.linear(F.linear(x, self.a), self.b)


class Model:
    def __init__(self, directory, layers, rank, longest):
        with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        c, self.w = self.config, load(directory)
        self.heads, self.shared = c["num_attention_heads"], c["num_key_value_heads"]
        self.head = c["hidden_size"] // self.heads
        half = torch.arange(0, self.head, 2) / self.head
        angles = torch.outer(torch.arange(longest).float(), c["rope_theta"] ** -half)
        angles = torch.cat([angles, angles], -1)
        self.cos, self.sin = angles.cos().to(torch.bfloat16), angles.sin().to(torch.bfloat16)
        self.adapters = {}
        for layer in layers:
            for part in ("gate", "up", "down"):
                name = f"model.layers.{layer}.mlp.{part}_proj"
                self.adapters[name] = Adapter(self.w[name + ".weight"], rank)
        self.trained = [t for adapter in self.adapters.values() for t in (adapter.a, adapter.b)]

    def linear(self, name, x):
        if name in self.adapters:
            return self.adapters[name](x)
        return F.linear(x, self.w[name + ".weight"], self.w.get(name + ".bias"))

    def norm(self, name, x):
        return F.rms_norm(x, x.shape[-1:], self.w[name + ".weight"], self.config["rms_norm_eps"])

    def rotate(self, x):
        count, half = x.shape[1], self.head // 2
        turned = torch.cat([-x[..., half:], x[..., :half]], -1)
        return x * self.cos[:count] + turned * self.sin[:count]

    def loss(self, tokens):
        x = F.embedding(tokens[:-1], self.w["model.embed_tokens.weight"])
        count = x.shape[0]
        for layer in range(self.config["num_hidden_layers"]):
            block = f"model.layers.{layer}"
            u = self.norm(block + ".input_layernorm", x)
            q, k, v = (self.linear(f"{block}.self_attn.{p}_proj", u).view(count, -1, self.head).transpose(0, 1)
                       for p in "qkv")
            mixed = F.scaled_dot_product_attention(
                self.rotate(q)[None], self.rotate(k)[None], v[None], is_causal=True, enable_gqa=True)[0]
            x = x + self.linear(block + ".self_attn.o_proj", mixed.transpose(0, 1).reshape(count, -1))
            u = self.norm(block + ".post_attention_layernorm", x)
            opened = F.silu(self.linear(block + ".mlp.gate_proj", u)) * self.linear(block + ".mlp.up_proj", u)
            x = x + self.linear(block + ".mlp.down_proj", opened)
        logits = F.linear(self.norm("model.norm", x), self.w["model.embed_tokens.weight"])
        return F.cross_entropy(logits.float(), tokens[1:])


def spread(values):
    return {"median": statistics.median(values), "minimum": min(values), "maximum": max(values),
            "repetitions": len(values)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--layers", required=True, help="the adapted layers, by commas")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--documents", type=int, default=4)
    parser.add_argument("--chunk", type=int, default=512, help="tokens between two steps")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = Model(options.directory, [int(x) for x in options.layers.split(",")], options.rank, options.length)
    size = model.config["vocab_size"]
    texts = [torch.tensor([(7919 * (i + 1) + 104729 * (d + 1)) % size for i in range(options.length + 1)])
             for d in range(options.documents)]
    optimizer = torch.optim.AdamW(model.trained, lr=1e-4, weight_decay=0.0)
    with torch.no_grad():
        first = model.loss(texts[0]).item()

    def learn():
        pending = 0
        for text in texts:
            model.loss(text).backward()
            pending += options.length
            if pending >= options.chunk:
                optimizer.step()
                optimizer.zero_grad()
                pending = 0

    def read():
        with torch.no_grad():
            for text in texts:
                model.loss(text)

    def timed(work):
        rates = []
        for repetition in range(options.repetitions + 1):
            start = time.perf_counter()
            work()
            if repetition > 0:
                rates.append(options.length * options.documents / (time.perf_counter() - start))
        return spread(rates)

    learned = timed(learn)
    print(json.dumps({"version": torch.__version__, "threads": options.threads, "rank": options.rank, "loss": first,
                      "scalars": sum(t.numel() for t in model.trained), "tokens_per_second": learned,
                      "read_tokens_per_second": timed(read)}))


if __name__ == "__main__":
    main()
