"""Golden files of the tokenizer, from Hugging Face's `tokenizers` (written with 0.23.3): python tokenizer_golden.py

Writes to ../Tokenizer:
  text.txt         what the vocabulary is trained on, a story written for this file
  plain.json       byte-level BPE, nothing around it: the form that BPETrainer writes. Asked for 600 tokens, the text
                   gives 458
  added.json       the same vocabulary with NFC, a prefix space, a template and added tokens with every flag
  golden.json      for both, texts that are hard to split, and their ids and decoded texts
"""
from __future__ import annotations
import json
from pathlib import Path
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).resolve().parent.parent / "Tokenizer"

TEXT = """\
The lighthouse keeper counted the waves. One, two, three, and at the seventh she stopped, because the seventh was
always the largest. "It's never late," she said to the cat. "We've been late, they've been late, but the seventh
wave isn't." The cat, who'd heard it before, didn't answer; it wasn't a talking cat.

In winter the boat came every 14 days with bread, oil, letters and 2 newspapers. In summer it came every 7 days, and
then there were visitors too: painters, who wanted the light; children, who wanted the stairs (all 199 of them); and
once a man who wanted to know how a lighthouse remembers the ships. "It doesn't," said the keeper. "I do. I'll show
you." She showed him the book: names, dates, the weather, the number of the wave.

    def remember(ship, book):
        if ship not in book:
            book[ship] = []
        book[ship].append(today())
        return book

"That's not how I'd write it," he said, "but I'm glad somebody's writing." They drank their tea. The waves went on:
five, six, seven. The night was clear, the light went round, and the ships that were far away saw it and weren't lost.
In the morning the man was gone and the book had a new line in another hand: "1 lighthouse, 1 keeper, 1 cat. Late: no."

Die Leuchtturmwärterin zählte die Wellen. La gardienne comptait les vagues, même l'été. Хранительница считала волны.
灯台の番人は波を数えた。灯台の番人は波を数えた。حارسة المنارة تعد الأمواج. 🌊🌊🌊
"""

CORPUS = [
    "", " ", "  ", "   ", "\n", "\t\t\t", "\r\n\r\n", " \n ", "a", " a", "a ", "  a", "a  b", "a   b   ", "\n\n  x",
    "The keeper didn't count the waves.", "the the the lighthouse", "THE LIGHTHOUSE KEEPER'S CAT",
    "it's It'S IT'S we're we'Re they've I'm he'll she'd 'tis ''s'' 'sx 'llama 've'd", "don't\u2019t can\u2019t", "' ' 's 't", "'", "x'", "'r 'l 'v",
    "1 12 123 1234567 3.14 1,000 0x1F \u00b2\u00b3 \u2163 \u0663\u0664 \u4e94",
    "tabs\tand\nlines\r\nand\x0bform\x0cfeeds\x1c\x1d\x1e\x1f\x7f\x00end", "trailing   \n\n\t ", " " * 70 + "wide", "x" + "\n" * 40,
    "nbsp\u00a0em\u2003line\u2028para\u2029nel\u0085ideo\u3000zwsp\u200bbom\ufeffogham\u1680mmsp\u205f",
    "def f(x: int) -> str:\n    return f\"{x!r:>8}\"  # \\n\n", "a=b+c;if(a!=b){c[0]++;}/*...*/ // @#$%^&*~`|\\",
    "https://example.org/a/b?q=1&r=%20#z", "<div class=\"x\">&amp;</div>",
    "\U0001f30a\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1fa\U0001f1f8\U0001f44b\U0001f3fd\u2764\ufe0f", "x\u200dy \u200d \u200c",
    "cafe\u0301 caf\u00e9 a\u0323\u0302 \u1ead q\u0323\u0307 \u212b \ufb01 \u1e9b\u0323", "\u0301\u0301 \u0301x", "\uac00 \u1100\u1161 \u1100\u1161\u11a8",
    "\u706f\u53f0\u306e\u756a\u4eba\u306f\u6ce2\u3092\u6570\u3048\u305f\u3002\u4e2d\u6587\uff0c\u6ca1\u6709\u7a7a\u683c\u3002 \ud55c\uad6d\uc5b4 \u306e",
    "\u062d\u0627\u0631\u0633\u0629 \u0627\u0644\u0645\u0646\u0627\u0631\u0629 \u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\u0378\u0379 \U000e0001\ufdd0\uffff\U0010ffff\ue000\U000f0000", "\U0002b73a later letters \U000323b0\U0002cea2", "a\U0002b73ab \u706f\U000323b0!\U0002cea2",
    "\ufffd\ufffd", "\u01c5\u02b0\u00aa\u00ba\u00b5\u2170\u3007\u309b", "Stra\u00dfe \u0130\u0131 \u03a3\u03c3\u03c2", "\u2211\u222b\u221a \u2264 \u00b1 \u00bd",
    "<|bos|>", "<|eos|>", "a<|bos|>b", " <|eos|> ", "<|bos|><|eos|><|bos|>", "<|bos|", "<|<|eos|>|>", "x <|eos|>'s <|bos|>\n",
    "<mask>", "a  <mask>  b", "\n<mask>\t\u00a0x", "<sep> x", "x<sep>  \n y", "<sep>  <mask>  <sep>", "<sep>    z",
    "wave", "waves wave. _wave wave9 \u00e9wave wave\u0301 (wave) wave", "wavewave wave",
    "light", "lights lightslight", "lighthouse lighter", "light house", "lightlighthouse", "sel\u1eb9e", "sele\u0323e x sele\u0323", "    four     five",
]


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, min_frequency=2, special_tokens=["<|bos|>", "<|eos|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def with_added_tokens(plain):
    tokenizer = Tokenizer.from_str(plain.to_str())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single="<|bos|> $A <|eos|>", special_tokens=[("<|bos|>", 0), ("<|eos|>", 1)])])
    tokenizer.add_special_tokens([
        AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("<sep>", rstrip=True, normalized=False)])
    tokenizer.add_tokens([
        AddedToken("wave", single_word=True, normalized=False), AddedToken("light", normalized=False),
        AddedToken("lighthouse", normalized=True), AddedToken("sele\u0323e", normalized=True),
        AddedToken("    ", lstrip=True, normalized=False), AddedToken("lights", normalized=False)])
    return tokenizer


def case(tokenizer, text):
    tokenizer.encode_special_tokens = False
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    framed = tokenizer.encode(text, add_special_tokens=True).ids
    tokenizer.encode_special_tokens = True
    plain_ids = tokenizer.encode(text, add_special_tokens=False).ids
    return {
        "text": text, "pieceLengths": piece_lengths(text), "ids": ids, "framedIDs": framed, "unparsedIDs": plain_ids,
        "decoded": tokenizer.decode(ids, skip_special_tokens=False),
        "decodedWithoutSpecial": tokenizer.decode(ids, skip_special_tokens=True)}


def piece_lengths(text):
    """Bytes of each piece that GPT-2's pattern cuts, before any byte is renamed."""
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    return [len(text[start:end].encode()) for _, (start, end) in pieces]


def broken_ids(tokenizer):
    """Ids whose bytes are cut characters: what a model may generate."""
    def split(text):
        return tokenizer.encode(text, add_special_tokens=False).ids
    wave, world = split("\U0001f469"), split("\u4e16\u754c")
    return [wave[:1], wave[:2], wave[1:], world[:1] + wave, wave + wave[:3] + [0] + wave, world[::-1], [5000, wave[0], -1]]


def main():
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "text.txt").write_bytes(TEXT.encode())
    tokenizers = {"plain": train()}
    tokenizers["added"] = with_added_tokens(tokenizers["plain"])
    golden = {}
    for name, tokenizer in tokenizers.items():
        document = json.loads(tokenizer.to_str())
        (FOLDER / f"{name}.json").write_text(json.dumps(document, ensure_ascii=True, separators=(",", ":")) + "\n")
        golden[name] = {"cases": [case(tokenizer, text) for text in CORPUS], "broken": [
            {"ids": ids, "decoded": tokenizer.decode([i for i in ids if i >= 0], skip_special_tokens=False)}
            for ids in broken_ids(tokenizer)]}
    lines = json.dumps(golden, ensure_ascii=True, separators=(",", ":")).replace('{"text"', '\n{"text"')
    (FOLDER / "golden.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
