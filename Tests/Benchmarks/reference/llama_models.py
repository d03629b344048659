"""Random-weight models of a published shape, in both formats: a Hugging Face directory and a GGUF file, in bfloat16.

The values are random; speed does not depend on them, and both sides get the same ones, so that their logits can be
held against each other. Needs the Python packages `numpy` and `gguf`.
"""
import json
import os
import struct

import numpy

SHAPES = {
    "smollm2-135m": {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 49152, "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "max_position_embeddings": 8192, "hidden_act": "silu",
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
        "attention_bias": False,
    },
    "qwen2.5-0.5b": {
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": 151936, "hidden_size": 896,
        "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "max_position_embeddings": 32768, "hidden_act": "silu",
        "tie_word_embeddings": True, "bos_token_id": 151643, "eos_token_id": 151643, "torch_dtype": "bfloat16",
        "use_sliding_window": False,
    },
}


def bfloat16(values):
    """The upper halves of floats, rounded to nearest, ties to even."""
    bits = values.view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def tensors(config, seed):
    """Every tensor under its Hugging Face name, as bfloat16 bits, in the order of a file."""
    random = numpy.random.default_rng(seed)
    width, hidden = config["hidden_size"], config["intermediate_size"]
    head = width // config["num_attention_heads"]
    keys = head * config["num_key_value_heads"]

    def matrix(name, rows, columns):
        values = random.standard_normal((rows, columns), dtype=numpy.float32) / numpy.float32(columns) ** 0.5
        return name, bfloat16(values)

    def vector(name, count, mean, deviation):
        values = mean + deviation * random.standard_normal(count, dtype=numpy.float32)
        return name, bfloat16(values.astype(numpy.float32))

    yield matrix("model.embed_tokens.weight", config["vocab_size"], width)
    for layer in range(config["num_hidden_layers"]):
        block = f"model.layers.{layer}"
        yield vector(f"{block}.input_layernorm.weight", width, 1, 0.1)
        for part, rows in (("q", width), ("k", keys), ("v", keys)):
            yield matrix(f"{block}.self_attn.{part}_proj.weight", rows, width)
            if config["model_type"] == "qwen2":
                yield vector(f"{block}.self_attn.{part}_proj.bias", rows, 0, 0.1)
        yield matrix(f"{block}.self_attn.o_proj.weight", width, width)
        yield vector(f"{block}.post_attention_layernorm.weight", width, 1, 0.1)
        yield matrix(f"{block}.mlp.gate_proj.weight", hidden, width)
        yield matrix(f"{block}.mlp.up_proj.weight", hidden, width)
        yield matrix(f"{block}.mlp.down_proj.weight", width, hidden)
    yield vector("model.norm.weight", width, 1, 0.1)


def write_safetensors(config, everything, directory):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, bits in everything:
        header[name] = {"dtype": "BF16", "shape": list(bits.shape), "data_offsets": [offset, offset + bits.nbytes]}
        offset += bits.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(directory, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, bits in everything:
            bits.tofile(file)
    with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)


PARTS = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    layer, part = name.removeprefix("model.layers.").split(".", 1)
    part, kind = part.rsplit(".", 1)
    return f"blk.{layer}.{PARTS[part]}.{kind}"


def interleaved(bits, heads):
    """Rows in the order that llama.cpp wants of a Llama's queries and keys: the halves of each head interleaved."""
    return bits.reshape(heads, 2, bits.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(bits.shape)


def write_gguf(config, everything, path):
    import gguf

    arch = config["model_type"]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("no_vocab")
    for name, bits in everything:
        if bits.ndim == 1:
            writer.add_tensor(gguf_name(name), (bits.astype(numpy.uint32) << 16).view(numpy.float32))
            continue
        if arch == "llama" and ".q_proj." in name:
            bits = interleaved(bits, config["num_attention_heads"])
        elif arch == "llama" and ".k_proj." in name:
            bits = interleaved(bits, config["num_key_value_heads"])
        data = numpy.ascontiguousarray(bits).view(numpy.uint8).reshape(bits.shape[0], -1)
        writer.add_tensor(gguf_name(name), data, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write(shape, directory, seed=7):
    """Both files of a shape; kept if they are there. Returns the directory and the GGUF file."""
    own = os.path.join(directory, shape)
    path = os.path.join(directory, f"{shape}.gguf")
    done = os.path.join(own, "written")
    if not os.path.exists(done):
        os.makedirs(own, exist_ok=True)
        config = SHAPES[shape]
        everything = list(tensors(config, seed))
        write_safetensors(config, everything, own)
        write_gguf(config, everything, path)
        open(done, "w", encoding="utf-8").close()
    return own, path


if __name__ == "__main__":
    import sys

    for wanted in sys.argv[2:]:
        print(*write(wanted, sys.argv[1]))
