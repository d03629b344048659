"""Tokenizers of the forms that imported models bring, trained small, and what Hugging Face's `tokenizers` makes of hard
texts with them (written with 0.23.3): python tokenizer_families_golden.py

Writes to ../Tokenizer/Families, one file each and golden.json:
  llama3    byte-level, Llama 3's expression, ignore_merges, a template with its begin-of-text
  qwen2     byte-level, NFC, Qwen 2's expression
  smollm    byte-level, GPT-2's expression, digits alone
  llama2    characters with byte fallback, the space made visible by the normaliser
  mistral   the same by the pre-tokenizer, at the first piece alone
  tinychat  the same, at every piece
"""
from __future__ import annotations
import json
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizer_golden import CORPUS, FOLDER, TEXT

OUTPUT = FOLDER / "Families"
SIGN = "\u2581"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<|bos|>", "<|eos|>"]
MORE = [
    "'\u017f x'\u017fy 'S 'Re 'VE 'lL", "\n\n\nx", " \n \n  x", "a \r\n\r\n b", "!\n\n x", " !\n\t!", "\u00a0word \u3000word",
    "1234567890", "a1b22c333 4444", "\u0661\u0662\u0663\u0664\u0665", "x\u00b2\u00b3\u00b9\u2074", "   12   345 ", "\t\tx\t y",
    SIGN, SIGN + SIGN + "a", "a" + SIGN + "b c", "<0x0A>", "<0xZZ> <0x41>", "\u0000\u0001", "the" * 30, "e" * 200,
    "  leading", "the lighthouse", " the lighthouse",
]


def byte_level(split, digits, normalizer=None, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    if split:
        steps.append(pre_tokenizers.Split(Regex(split), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=420, min_frequency=2, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def characters(prepending):
    """prepending: None for the normaliser of Llama 2, else a scheme of Metaspace."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SIGN, prepend_scheme=prepending or "always")
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=460, min_frequency=2, special_tokens=names, show_progress=False)
    # Letters of other scripts stay out of the alphabet, so that they fall back to bytes.
    tokenizer.train_from_iterator([TEXT.split("Die Leuchtturm")[0]], trainer)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [entry for entry in document["added_tokens"] if entry["id"] < 3]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    if prepending is None:
        tokenizer.pre_tokenizer = None
        tokenizer = without_pre_tokenizer(tokenizer)
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SIGN), normalizers.Replace(" ", SIGN)])
        tokenizer.decoder = decoders.Sequence([decoders.Replace(SIGN, " "), decoders.ByteFallback(), decoders.Fuse(),
                                               decoders.Strip(" ", 1, 0)])
    else:
        tokenizer.decoder = decoders.Sequence([decoders.Replace(SIGN, " "), decoders.ByteFallback(), decoders.Fuse(),
                                               decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def without_pre_tokenizer(tokenizer):
    document = json.loads(tokenizer.to_str())
    document["pre_tokenizer"] = None
    return Tokenizer.from_str(json.dumps(document))


def llama3():
    tokenizer = byte_level(CONTRACTIONS + r"\p{N}{1,3}" + REST, digits=False, ignore_merges=True)
    # A token that no merges make: only a piece that is it as a whole becomes it.
    document = json.loads(tokenizer.to_str())
    document["model"]["vocab"]["\u0120lighter"] = len(document["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.add_special_tokens([AddedToken("<|eot|>", normalized=False)])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", 0)])])
    return tokenizer


def case(tokenizer, text):
    tokenizer.encode_special_tokens = False
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    framed = tokenizer.encode(text, add_special_tokens=True).ids
    tokenizer.encode_special_tokens = True
    return {"text": text, "ids": ids, "framedIDs": framed,
            "unparsedIDs": tokenizer.encode(text, add_special_tokens=False).ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False)}


def main():
    OUTPUT.mkdir(exist_ok=True)
    tokenizers = {
        "llama3": llama3(),
        "qwen2": byte_level(CONTRACTIONS + r"\p{N}" + REST, digits=False, normalizer=normalizers.NFC()),
        "smollm": byte_level(None, digits=True),
        "llama2": characters(None), "mistral": characters("first"), "tinychat": characters("always")}
    golden = {}
    for name, tokenizer in tokenizers.items():
        document = json.loads(tokenizer.to_str())
        (OUTPUT / f"{name}.json").write_text(json.dumps(document, ensure_ascii=True, separators=(",", ":")) + "\n")
        golden[name] = [case(tokenizer, text) for text in CORPUS + MORE + ["</s> x<s>y", "a</s>", "<s>", "<|eot|>x"]]
    lines = json.dumps(golden, ensure_ascii=True, separators=(",", ":")).replace('{"text"', '\n{"text"')
    (OUTPUT / "golden.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
