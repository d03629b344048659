"""TinyStories from its two files: 2 MiB as they were written, and 4 MiB in lower case that begin with the same stories.

The capital letters of the rest are put back: of sentences, of `I`, of words that the first file mostly writes with one,
and of what a story calls somebody."""
import collections
import gzip
import re

WORD = re.compile(r"(?<!['’a-z])[a-z]+")
BEGINS = re.compile(r"once|one |there |it was|long ago|a |an |in (a|the) |[a-z]+ (and|was|were|loved|liked|had|is) ")
SENTENCE = re.compile(r"""((?:^|[.!?]["']?\s+|\n\s*|(?:^|[\s,])")["']?)([a-z])""")
CALLED = re.compile(r"\b(?:named|called|name was|name is) ([a-z]+)\b")


# Punctuation that was decoded wrongly before the file was published, and its typographic forms.
PLAIN = {"â€™": "'", "â€˜": "'", "â€œ": '"', "â€\x9d": '"', "â€": '"', "’": "'", "‘": "'", "“": '"', "”": '"'}


def stories(folder, held_out):
    """All stories but `held_out` ones, and those."""
    with gzip.open(folder / "train-head-2MiB.txt.gz", "rt", encoding="utf-8", errors="ignore") as file:
        written = [s.strip() for s in plain(file.read()).split("<|endoftext|>")][:-1]  # the last one is cut
    written = list(filter(None, written))
    with gzip.open(folder / "train-head-4MiB-lowercase.txt.gz", "rt", encoding="utf-8", errors="ignore") as file:
        lower = whole(re.split(r"(?<!\n)\n(?!\n)", plain(file.read()))[:-1])
    known = {beginning(s.lower()) for s in written}
    capitals = names(written)
    others = [recased(re.sub(r"\s*\n\s*", "\n", s.strip()), capitals) for s in lower if beginning(s) not in known]
    return written[:-held_out] + [s for s in others if len(s) > 200], written[-held_out:]


def plain(text):
    for written, meant in PLAIN.items():
        text = text.replace(written, meant)
    return text


def whole(parts):
    """The stories of the second file, where some paragraphs stand as far apart as stories do."""
    joined = []
    for part in parts:
        if joined and not BEGINS.match(part):
            joined[-1] += "\n" + part
        else:
            joined.append(part)
    return joined


def beginning(story):
    return re.sub(r"[^a-z]", "", story)[:80]


def names(texts):
    """Words that stand with a capital letter inside sentences more often than without."""
    seen, capital = collections.Counter(), collections.Counter()
    for text in texts:
        for match in re.finditer(r"(?<=[a-z,] )[A-Za-z]+", text):
            seen[match[0].lower()] += 1
            capital[match[0].lower()] += match[0][0].isupper()
    return {word for word in seen if 2 * capital[word] > seen[word]}


def recased(story, capitals):
    own = capitals | {name for name in CALLED.findall(story) if len(name) > 2}
    story = WORD.sub(lambda m: m[0].capitalize() if m[0] in own else m[0], story)
    return SENTENCE.sub(lambda m: m[1] + m[2].upper(), story)
