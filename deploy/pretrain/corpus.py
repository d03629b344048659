#!/usr/bin/env python3
"""Prepares what `nlserver pretrain` can't read as it stands, and cuts out the texts that no training may see.

    deploy/pretrain/corpus.py DATA OUTPUT

DATA holds `wikipedia-en-2015/valid.jsonl.xz` and `train-7.jsonl.xz`, `english-novels/train-2.jsonl.xz`, the two files of
`tinystories` and `babi/babi-v1-2-en-10k-train.tar.xz`. Written are
OUTPUT/stories.jsonl       TinyStories, one a line, less the last 60 of the smaller file
OUTPUT/conversations.jsonl the same stories as answers to requests, in the form of the daemon's chat template
OUTPUT/questions.jsonl     bAbI tasks 1, 5, 6 and 12 (training split), a passage and a question each, in the same form
OUTPUT/anchors.txt         a paragraph each of Wikipedia articles of shard 7 and some of novels of shard 2, two to one
OUTPUT/held-out.jsonl      articles 100-149 of `valid`, 4,000 characters each
OUTPUT/held-out-stories.jsonl, held-out-novels.jsonl  60 stories; 4,000 characters of long novels of shard 2
Articles 0-99 of `valid` are left to the evaluations. Shard 7 of Wikipedia and shard 2 of the novels must not be
trained on.
"""
import json
import lzma
import pathlib
import sys

from conversations import conversations, questions
from stories import stories

LEAST, MOST = 300, 1000  # characters of a paragraph
NOVELS = 450  # paragraphs of novels; twice as many of Wikipedia
HELD_OUT_STORIES = 60


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


def write(path, texts):
    with open(path, "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")


def main(data, output):
    data, output = pathlib.Path(data), pathlib.Path(output)
    output.mkdir(parents=True, exist_ok=True)
    articles = [r["text"] for r in records(data / "wikipedia-en-2015/valid.jsonl.xz")]
    novels = [r["text"] for r in records(data / "english-novels/train-2.jsonl.xz")]
    others = (r["text"] for r in records(data / "wikipedia-en-2015/train-7.jsonl.xz"))
    wiki = list(paragraphs(others, "\n", 1))[: 2 * NOVELS]
    prose = list(paragraphs((n[100_000:300_000] for n in novels), "\n\n", 40))
    prose = prose[:: max(len(prose) // NOVELS, 1)][:NOVELS]
    anchors = [p for triple in zip(wiki[::2], wiki[1::2], prose) for p in triple]
    (output / "anchors.txt").write_text("\n\n".join(anchors) + "\n", encoding="utf-8")
    write(output / "held-out.jsonl", (text[:4000] for text in articles[100:150]))
    write(output / "held-out-novels.jsonl", (text[400_000:404_000] for text in novels if len(text) >= 404_000))
    told, held_out = stories(data / "tinystories", HELD_OUT_STORIES)
    write(output / "held-out-stories.jsonl", held_out)
    write(output / "stories.jsonl", told)
    write(output / "conversations.jsonl", conversations(told))
    asked = list(questions(data / "babi/babi-v1-2-en-10k-train.tar.xz"))
    write(output / "questions.jsonl", asked)
    print(f"{len(told)} stories, {len(asked)} questions, {len(anchors)} anchors ({len(wiki)} from Wikipedia, {len(prose)} from novels)")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
