#!/usr/bin/env python3
"""What a session gains from reading: the fast level learning against frozen, and a million tokens in one stream.

    Tests/Benchmarks/reading.py --data DATA --json Tests/Benchmarks/results/reading.json

DATA holds `wikipedia-en-2015/valid.jsonl.xz` and `english-novels/train-2.jsonl.xz`. Everything goes through the public
HTTP interface.
dynamic    articles of at least 4,000 tokens (24,000 characters at most), each read in two sessions: with `learn: session`
           and without. Half a (every second article) is for tuning, half b for reporting.
stability  one session reads novels one after another, up to --tokens of them, with learning off: only the working memory
           moves. Every piece of some 10,000 tokens is also read by a fresh session; what is reported is the loss in the
           stream against the loss without it, the text being the same.
"""
import argparse
import json
import lzma
import os
import statistics
import tempfile

from daemon import Daemon

PIECE = 40_000  # characters, some 10,000 tokens


def records(data, path):
    with lzma.open(os.path.join(data, path), "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def read(daemon, text, session, learn):
    """Losses of a text's tokens, in nats, as a session reads it."""
    body = {"prompt": text, "session": session, "learn": learn, "max_tokens": 0, "echo": True, "logprobs": 0}
    choice = daemon.call("POST", "/v1/completions", body)["choices"][0]
    return [-p for p in choice["logprobs"]["token_logprobs"] if p is not None]


def fresh(daemon, text, learn, name):
    daemon.call("POST", "/v1/sessions", {"id": name})
    losses = read(daemon, text, name, learn)
    daemon.request("DELETE", f"/v1/sessions/{name}")
    return losses


def dynamic(daemon, texts, count, least=4000):
    rows = []
    for index, text in enumerate(texts):
        frozen = fresh(daemon, text, "none", f"frozen-{index}")
        if len(frozen) < least:
            continue
        learning = fresh(daemon, text, "session", f"learning-{index}")
        byte_count = len(text.encode())
        rows.append({
            "tokens": len(frozen), "bytes": byte_count, "frozen": sum(frozen) / len(frozen),
            "learning": sum(learning) / len(learning),
            "by_thousand": [sum(learning[i:i + 1000]) / sum(frozen[i:i + 1000]) for i in range(0, least, 1000)]})
        if len(rows) == count:
            break
    ratios = [row["learning"] / row["frozen"] for row in rows]
    result = {
        "articles": len(rows), "ratio_mean": statistics.fmean(ratios), "ratio_least": min(ratios),
        "ratio_most": max(ratios), "loss_frozen": statistics.fmean(r["frozen"] for r in rows),
        "loss_learning": statistics.fmean(r["learning"] for r in rows),
        "ratio_by_thousand_tokens": [statistics.fmean(r["by_thousand"][i] for r in rows) for i in range(least // 1000)]}
    print(json.dumps(result, indent=1))
    return {**result, "rows": rows}


def stability(daemon, novels, tokens):
    daemon.call("POST", "/v1/sessions", {"id": "stream"})
    pieces, done = [], 0
    for novel in novels:
        for start in range(0, len(novel) - PIECE + 1, PIECE):
            text = novel[start:start + PIECE]
            streamed, alone = read(daemon, text, "stream", "none"), fresh(daemon, text, "none", "alone")
            done += len(streamed)
            pieces.append({"tokens": done, "streamed": statistics.fmean(streamed), "fresh": statistics.fmean(alone)})
            if len(pieces) % 10 == 0:
                print(f"{done:,} tokens: {pieces[-1]['streamed']:.4f} nats in the stream, {pieces[-1]['fresh']:.4f} alone", flush=True)
            if done >= tokens:
                break
        if done >= tokens:
            break
    tenth = max(len(pieces) // 10, 1)
    share = lambda part: statistics.fmean(p["streamed"] / p["fresh"] for p in part)
    result = {"tokens": done, "pieces": len(pieces), "first_tenth": share(pieces[:tenth]),
              "last_tenth": share(pieces[-tenth:]), "most": max(p["streamed"] / p["fresh"] for p in pieces),
              "session": daemon.call("GET", "/v1/sessions/stream")}
    print(json.dumps(result, indent=1))
    return {**result, "rows": pieces}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--binary", default=".build/release/nlserver")
    parser.add_argument("--model", default="deploy/model")
    parser.add_argument("--parts", default="dynamic,stability")
    parser.add_argument("--half", choices=["a", "b"], default="b")
    parser.add_argument("--articles", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    found = {"model": options.model, "half": options.half}
    with tempfile.TemporaryDirectory() as directory:
        daemon = Daemon(options.binary, os.path.join(directory, "reading.sqlite"), options.model)
        daemon.start()
        if "dynamic" in options.parts:
            long = [t for t in records(options.data, "wikipedia-en-2015/valid.jsonl.xz") if len(t) >= 14_000]
            chosen = long[::2] if options.half == "a" else long[1::2]
            found["dynamic"] = dynamic(daemon, [t[:24_000] for t in chosen], options.articles)
        if "stability" in options.parts:
            found["stability"] = stability(daemon, records(options.data, "english-novels/train-2.jsonl.xz"), options.tokens)
        daemon.stop()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
