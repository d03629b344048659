"""Turns llama2.c's tok512.bin into a tokenizer.json as Hugging Face writes it for Llama 2, and packs the model directory
of the tests: python stories_tokenizer.py FOLDER, where FOLDER holds tok512.bin and hf/ of stories260K.

The vocabulary is SentencePiece's: <unk>, <s>, </s>, 256 bytes, then pieces with scores; the merges are all cuts of a piece
in two that are pieces, the best score first, as transformers converts such a model.
"""
import json
import shutil
import struct
import sys
from pathlib import Path

OUTPUT = Path(__file__).resolve().parent.parent / "stories260K"
SIGN = "\u2581"


def pieces(data):
    at, found = 4, []
    while at < len(data):
        score, length = struct.unpack_from("<fi", data, at)
        found.append((data[at + 8:at + 8 + length].decode(), score))
        at += 8 + length
    return found


def main():
    source = Path(sys.argv[1])
    found = pieces((source / "tok512.bin").read_bytes())
    names = [text.replace(" ", SIGN) for text, _ in found]
    names[:3] = ["<unk>", "<s>", "</s>"]
    names[3:259] = [f"<0x{byte:02X}>" for byte in range(256)]
    ids = {name: index for index, name in enumerate(names)}
    assert len(ids) == len(names) == 512
    merges = []
    for index, name in enumerate(names):
        if index < 259:
            continue
        cuts = [(name[:cut], name[cut:]) for cut in range(1, len(name)) if name[:cut] in ids and name[cut:] in ids]
        merges += [(found[index][1], pair) for pair in sorted(cuts, key=lambda pair: (ids[pair[0]], ids[pair[1]]))]
    merges.sort(key=lambda merge: -merge[0])
    added = [{"id": index, "content": names[index], "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for index in range(3)]
    document = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SIGN},
            {"type": "Replace", "pattern": {"String": " "}, "content": SIGN}]},
        "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SIGN}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": ids, "merges": [list(pair) for _, pair in merges]}}
    OUTPUT.mkdir(exist_ok=True)
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
    (OUTPUT / "tokenizer.json").write_text(text + "\n")
    for name in ["config.json", "model.safetensors"]:
        shutil.copyfile(source / "hf" / name, OUTPUT / name)
    shutil.copyfile(source / "expected-greedy-200.txt", OUTPUT / "expected-greedy-200.txt")


if __name__ == "__main__":
    main()
