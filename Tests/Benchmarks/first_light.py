#!/usr/bin/env python3
"""Does the daemon know what it read, and does it still after kill -9?

    Tests/Benchmarks/first_light.py --data DIR [--binary .build/release/nlserver] [--model DIR] [--json FILE]

DIR holds `wikipedia-en-2015/valid.jsonl.xz` and `tofu/forget10.jsonl.gz`. Four parts, each on a fresh database:
documents (20 articles learned, 20 others watched, kill -9 between), consolidation of what was learned, 50 question and
answer pairs by free greedy completion, and reading with the fast level learning against frozen. Everything goes
through the public HTTP interface.
"""
import argparse
import gzip
import json
import lzma
import os
import statistics
import tempfile

from daemon import Daemon


def articles(data):
    with lzma.open(os.path.join(data, "wikipedia-en-2015/valid.jsonl.xz"), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def quiet(_):
    return None


def mean(values):
    return statistics.fmean(values) if values else None


def show_levels(before, after):
    for old, new in zip(before, after):
        print(
            f"  {new['name']:8} updates {old['updates']} -> {new['updates']}, drift {old['relative_drift']:.5f} -> "
            f"{new['relative_drift']:.5f}, tokens {old['tokens_read']} -> {new['tokens_read']}, surprise "
            f"{new['surprise']['last']}"
        )


def documents(daemon, texts):
    """20 articles learned, 20 watched; the scores after kill -9 must be the same bits."""
    learned, others = texts[:20], texts[20:40]
    before = {t["id"]: daemon.score(t["text"]) for t in learned + others}
    levels = daemon.levels()
    seconds, jobs = daemon.learn([{"id": t["id"], "title": t["title"], "text": t["text"]} for t in learned], quiet)
    after = {t["id"]: daemon.score(t["text"]) for t in learned + others}
    show_levels(levels, daemon.levels())
    daemon.kill()
    restart = daemon.start()
    again = {t["id"]: daemon.score(t["text"]) for t in learned + others}
    fall = mean([after[t["id"]][0] / before[t["id"]][0] - 1 for t in learned])
    rise = mean([after[t["id"]][0] / before[t["id"]][0] - 1 for t in others])
    tokens = sum(len(before[t["id"]][1]) for t in learned)
    result = {
        "articles": len(learned),
        "tokens": tokens,
        "seconds": seconds,
        "learned": sum(j["status"] == "learned" for j in jobs),
        "targets_reached": sum(bool(j.get("target_reached")) for j in jobs),
        "loss_before": mean([before[t["id"]][0] for t in learned]),
        "loss_after": mean([after[t["id"]][0] for t in learned]),
        "change_on_learned": fall,
        "others_before": mean([before[t["id"]][0] for t in others]),
        "others_after": mean([after[t["id"]][0] for t in others]),
        "change_on_others": rise,
        "same_bits_after_kill": all(after[k] == again[k] for k in after),
        "restart_seconds": restart,
    }
    print(json.dumps(result, indent=1))
    return result


def consolidation(daemon, texts):
    """Moves what was learned into the slow level; kill -9 again."""
    learned, others = texts[:20], texts[20:40]
    before = {t["id"]: daemon.score(t["text"])[0] for t in learned + others}
    levels = daemon.levels()
    job = daemon.wait(daemon.call("POST", "/v1/memory/consolidations", {})["job"]["id"])
    show_levels(levels, daemon.levels())
    after = {t["id"]: daemon.score(t["text"]) for t in learned + others}
    daemon.kill()
    daemon.start()
    result = {
        "verdict": job["status"],
        "record": daemon.call("GET", "/v1/memory/consolidations"),
        "loss_before": mean([before[t["id"]] for t in learned]),
        "loss_after": mean([after[t["id"]][0] for t in learned]),
        "others_before": mean([before[t["id"]] for t in others]),
        "others_after": mean([after[t["id"]][0] for t in others]),
        "same_bits_after_kill": all(after[t["id"]] == daemon.score(t["text"]) for t in learned + others),
    }
    print(json.dumps(result, indent=1))
    return result


def answers(daemon, pairs):
    """The share of answers that greedy completion of the question gives back word for word."""
    exact = 0
    for pair in pairs:
        answer = daemon.call(
            "POST",
            "/v1/completions",
            {"prompt": f"Question: {pair['question']}\nAnswer:", "temperature": 0, "max_tokens": 160},
        )["choices"][0]["text"]
        exact += answer.strip() == pair["answer"].strip()
    return exact / len(pairs)


def questions(daemon, pairs):
    before = answers(daemon, pairs)
    seconds, jobs = daemon.learn(
        [{"text": f"Question: {p['question']}\nAnswer: {p['answer']}"} for p in pairs], quiet)
    after = answers(daemon, pairs)
    job = daemon.wait(daemon.call("POST", "/v1/memory/consolidations", {})["job"]["id"])
    consolidated = answers(daemon, pairs)
    daemon.kill()
    daemon.start()
    result = {
        "pairs": len(pairs),
        "exact_before": before,
        "exact_after": after,
        "verdict": job["status"],
        "exact_after_consolidation": consolidated,
        "consolidation": daemon.call("GET", "/v1/memory/consolidations")["data"],
        "exact_after_restart": answers(daemon, pairs),
        "targets_reached": sum(bool(j.get("target_reached")) for j in jobs),
        "seconds": seconds,
    }
    print(json.dumps(result, indent=1))
    return result


def reading(daemon, texts):
    """Loss of a prompt while the fast level learns from it, against frozen (dynamic evaluation)."""
    ratios, losses = [], {"session": [], "none": []}
    for index, text in enumerate(texts):
        loss = {}
        for learn in ("session", "none"):
            session = f"{learn}-{index}"
            daemon.call("POST", "/v1/sessions", {"id": session})
            choice = daemon.call(
                "POST",
                "/v1/completions",
                {"prompt": text, "session": session, "learn": learn, "max_tokens": 0, "echo": True, "logprobs": 0},
            )["choices"][0]
            known = [p for p in choice["logprobs"]["token_logprobs"] if p is not None]
            loss[learn] = -mean(known)
            losses[learn].append(loss[learn])
            daemon.call("GET", f"/v1/sessions/{session}")
            daemon.request("DELETE", f"/v1/sessions/{session}")
        ratios.append(loss["session"] / loss["none"])
    result = {
        "articles": len(texts),
        "loss_learning": mean(losses["session"]),
        "loss_frozen": mean(losses["none"]),
        "ratio_mean": mean(ratios),
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
    }
    print(json.dumps(result, indent=1))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--binary", default=".build/release/nlserver")
    parser.add_argument("--model", default="deploy/model")
    parser.add_argument("--json")
    parser.add_argument("--parts", default="documents,questions,reading")
    options = parser.parse_args()
    every = articles(options.data)
    long = [a for a in every if len(a["text"]) >= 4000]
    texts = [{**a, "id": f"wiki-{a['id']}", "text": a["text"][:4000]} for a in long[:40]]
    with gzip.open(os.path.join(options.data, "tofu/forget10.jsonl.gz"), "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines][:50]
    results = {}
    with tempfile.TemporaryDirectory() as directory:
        def daemon(name):
            started = Daemon(options.binary, os.path.join(directory, name), options.model)
            started.start()
            return started

        parts = options.parts.split(",")
        if "documents" in parts:
            served = daemon("documents.sqlite")
            answer = served.call("POST", "/v1/completions", {"prompt": "The city of", "max_tokens": 40, "seed": 1})
            print("The city of" + answer["choices"][0]["text"])
            results["documents"] = documents(served, texts)
            results["consolidation"] = consolidation(served, texts)
            results["exit_status"] = served.stop()
        if "questions" in parts:
            served = daemon("questions.sqlite")
            results["questions"] = questions(served, pairs)
            served.stop()
        if "reading" in parts:
            served = daemon("reading.sqlite")
            # 12,000 characters are between 2,500 and 4,500 tokens.
            longest = [a["text"][:12000] for a in long[40:] if len(a["text"]) >= 12000][:20]
            results["reading"] = reading(served, longest)
            served.stop()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
