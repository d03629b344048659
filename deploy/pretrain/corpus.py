#!/usr/bin/env python3
"""Prepares what `nlserver pretrain` can't read as it stands, and cuts out the texts that no training may see.

    deploy/pretrain/corpus.py DATA OUTPUT

DATA holds `wikipedia-en-2015/valid.jsonl.xz` and `train-7.jsonl.xz`, `english-novels/train-2.jsonl.xz` and
`tinystories/train-head-2MiB.txt.gz`. Written are
OUTPUT/tinystories.jsonl  one story a line
OUTPUT/anchors.txt   a paragraph each of Wikipedia articles of shard 7 and some of novels of shard 2, two to one
OUTPUT/held-out.jsonl  articles 100-149 of `valid`, 4,000 characters each
Articles 0-99 of `valid` are left to the evaluations. Shard 7 of Wikipedia and shard 2 of the novels must not be
trained on.
"""
import gzip
import json
import lzma
import pathlib
import sys

LEAST, MOST = 300, 1000  # characters of a paragraph
NOVELS = 450  # paragraphs of novels; twice as many of Wikipedia


def records(path):
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def paragraphs(texts, separator, each):
    """The first `each` paragraphs of a fitting length of every text."""
    for text in texts:
        found = 0
        for paragraph in text.split(separator):
            paragraph = " ".join(paragraph.split())
            if LEAST <= len(paragraph) <= MOST and paragraph[-1] in '.!?"':
                yield paragraph
                found += 1
                if found == each:
                    break


def main(data, output):
    data, output = pathlib.Path(data), pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    articles = [r["text"] for r in records(data / "wikipedia-en-2015/valid.jsonl.xz")]
    novels = [r["text"][100_000:300_000] for r in records(data / "english-novels/train-2.jsonl.xz")]
    others = (r["text"] for r in records(data / "wikipedia-en-2015/train-7.jsonl.xz"))
    wiki = list(paragraphs(others, "\n", 1))[: 2 * NOVELS]
    prose = list(paragraphs(novels, "\n\n", 40))
    prose = prose[:: max(len(prose) // NOVELS, 1)][:NOVELS]
    anchors = [p for triple in zip(wiki[::2], wiki[1::2], prose) for p in triple]
    (output / "anchors.txt").write_text("\n\n".join(anchors) + "\n", encoding="utf-8")
    with open(output / "held-out.jsonl", "w", encoding="utf-8") as file:
        for text in articles[100:150]:
            file.write(json.dumps({"text": text[:4000]}, ensure_ascii=False) + "\n")
    with gzip.open(data / "tinystories/train-head-2MiB.txt.gz", "rt", encoding="utf-8", errors="ignore") as file:
        stories = [s.strip() for s in file.read().split("<|endoftext|>")][:-1]  # the last one is cut
    with open(output / "tinystories.jsonl", "w", encoding="utf-8") as file:
        for story in filter(None, stories):
            file.write(json.dumps({"text": story}, ensure_ascii=False) + "\n")
    print(f"{len(stories)} stories, {len(anchors)} anchors ({len(wiki)} from Wikipedia, {len(prose)} from novels)")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
