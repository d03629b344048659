#!/usr/bin/env python3
"""Teaches a daemon short texts and asks it about them in a conversation: are they found, and is it silent elsewhere?

    Tests/Benchmarks/asked.py [--binary nlserver] [--model deploy/model] [--json FILE]

The texts and questions are those of asked.json beside it: written by someone who knew nothing of how answers are found,
and never tuned on. A question counts as answered where the reply, at temperature 0, holds the answer letter for letter;
an unanswerable one as quiet where the reply is the untouched model's, word for word. The daemon is killed with SIGKILL
and started again before anything is asked.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

from daemon import Daemon

HERE = pathlib.Path(__file__).resolve().parent


def ask(daemon, question):
    reply = daemon.call("POST", "/v1/chat/completions", {
        "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 96})
    return reply["choices"][0]["message"]["content"]


def measure(daemon, data, questions):
    """Replies before and after the texts were taught, and the seconds each took."""
    probes = questions + data["unanswerable"]
    daemon.start()
    before = [ask(daemon, question) for question in probes]
    seconds, jobs = daemon.learn(
        [{"id": f"asked-{number}", "text": text["text"]} for number, text in enumerate(data["taught"])])
    failed = [job for job in jobs if job["status"] != "learned"]
    if failed:
        sys.exit(f"asked.py: job {failed[0]['id']} ended as {failed[0]['status']}")
    daemon.kill()
    daemon.start()
    return before, [ask(daemon, question) for question in probes], seconds / len(jobs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/nlserver")
    parser.add_argument("--model", default="deploy/model")
    parser.add_argument("--data", default=str(HERE / "asked.json"))
    parser.add_argument("--json", help="where to write the figures and every reply")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"asked.py: {options.binary} is no program; build it, or name it with --binary")
    data = json.loads(pathlib.Path(options.data).read_text())
    questions = [(q["question"], q["answer"]) for text in data["taught"] for q in text["questions"]]
    with tempfile.TemporaryDirectory() as directory:
        daemon = Daemon(options.binary, f"{directory}/asked.db", options.model)
        try:
            before, after, seconds = measure(daemon, data, [question for question, _ in questions])
        finally:
            daemon.kill()
    count = len(questions)
    (before, quiet), (replies, disturbed) = (before[:count], before[count:]), (after[:count], after[count:])
    figures = {
        "texts": len(data["taught"]),
        "questions": len(questions),
        "answered_before": sum(answer in reply for (_, answer), reply in zip(questions, before)),
        "answered": sum(answer in reply for (_, answer), reply in zip(questions, replies)),
        "silent": sum(reply == untouched for reply, untouched in zip(replies, before)),
        "unanswerable": len(quiet),
        "unanswerable_untouched": sum(reply == untouched for reply, untouched in zip(disturbed, quiet)),
        "seconds_a_text": round(seconds, 3),
    }
    print(json.dumps(figures, indent=1))
    if options.json:
        figures["replies"] = [
            {"question": q, "answer": a, "reply": r} for (q, a), r in zip(questions, replies)]
        figures["unanswerable_replies"] = [
            {"question": q, "reply": r, "untouched": r == u}
            for q, r, u in zip(data["unanswerable"], disturbed, quiet)]
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
