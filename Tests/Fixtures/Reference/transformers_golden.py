"""Tiny random models of every supported family, as Hugging Face `transformers` writes them, and the logits it computes.

    python Tests/Fixtures/Reference/transformers_golden.py       (torch, transformers; any recent version)

Writes Tests/Fixtures/Imported/<case>/{config.json, model*.safetensors, golden.safetensors}. Equal versions give equal
bytes. Half of the cases have their config.json in the older spelling (torch_dtype, rope_theta, rope_scaling).
"""
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

HERE = pathlib.Path(__file__).resolve().parent.parent / "Imported"
VOCABULARY, LENGTH = 64, 40
SIZES = dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=1)


def rope(kind, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **more}}


STRETCHED = dict(factor=4.0, original_max_position_embeddings=16)
LLAMA, MISTRAL = (LlamaConfig, LlamaForCausalLM), (MistralConfig, MistralForCausalLM)
QWEN2, QWEN3 = (Qwen2Config, Qwen2ForCausalLM), (Qwen3Config, Qwen3ForCausalLM)
# name: family, what differs from SIZES, how it is written
CASES = {
    "llama": (LLAMA, dict(**rope("default")), dict(older=True, shards=True)),
    "llama-linear": (LLAMA, dict(**rope("linear", factor=2.0)), dict(older=True)),
    "llama-dynamic": (LLAMA, dict(max_position_embeddings=16, **rope("dynamic", factor=2.0)), dict(steps=True)),
    "llama-llama3": (LLAMA, dict(**rope("llama3", low_freq_factor=1.0, high_freq_factor=4.0, **STRETCHED)),
                     dict(older=True)),
    "llama-yarn": (LLAMA, dict(**rope("yarn", **STRETCHED)), dict()),
    "llama-bias-mqa": (LLAMA, dict(attention_bias=True, num_key_value_heads=1, **rope("default")),
                       dict(dtype=torch.float16)),
    "mistral-window": (MISTRAL, dict(sliding_window=6, head_dim=8, **rope("default")), dict()),
    "qwen2": (QWEN2, dict(tie_word_embeddings=True, **rope("default")), dict(older=True)),
    "qwen3": (QWEN3, dict(head_dim=12, rope_parameters={"rope_type": "default", "rope_theta": 1e6}), dict()),
    "smollm2": (LLAMA, dict(tie_word_embeddings=True, **rope("default")), dict(dtype=torch.bfloat16)),
}


def older_spelling(path):
    config = json.loads(path.read_text())
    if "dtype" in config:
        config["torch_dtype"] = config.pop("dtype")
    rope = dict(config.pop("rope_parameters"))
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main():
    for seed, (name, ((configuration, architecture), own, form)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        model = architecture(configuration(**{**SIZES, **own}, attn_implementation="eager")).eval()
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                spread = 0.3 if "norm" in key or "bias" in key else parameter.shape[-1] ** -0.5
                parameter.copy_(torch.randn_like(parameter) * spread + (1.0 if "norm" in key else 0.0))
        dtype = form.get("dtype", torch.float32)
        model = model.to(dtype)
        directory = HERE / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        model.save_pretrained(directory, **({"max_shard_size": "60KB"} if form.get("shards") else {}))
        (directory / "generation_config.json").unlink(missing_ok=True)
        if form.get("older"):
            older_spelling(directory / "config.json")
        # Read back rather than widened: the rotary frequencies were narrowed with the weights.
        model = architecture.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
        # Ours keeps as many positions as the stretched context has.
        tokens = torch.randint(0, VOCABULARY, (1, 32 if form.get("steps") else LENGTH))
        with torch.no_grad():
            if form.get("steps"):
                rows, cache = [], None
                for position in range(tokens.shape[1]):
                    out = model(tokens[:, position:position + 1], past_key_values=cache, use_cache=True)
                    rows.append(out.logits[0, 0])
                    cache = out.past_key_values
                logits = torch.stack(rows)
            else:
                logits = model(tokens).logits[0]
        save_file({"tokens": tokens[0].to(torch.int64), "logits": logits.contiguous()},
                  str(directory / "golden.safetensors"))
        print(name, sum(p.numel() for p in model.parameters()), logits.std().item())


if __name__ == "__main__":
    main()
