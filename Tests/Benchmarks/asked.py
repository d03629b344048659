#!/usr/bin/env python3
"""Teaches a daemon short texts and asks it about them in a conversation: are they found, and is it silent elsewhere?

    Tests/Benchmarks/asked.py [--binary nlserver] [--model deploy/model] [--json FILE]

The texts and questions are those of asked.json beside it: written by someone who knew nothing of how answers are found,
and never tuned on. A question counts as answered where the reply, at temperature 0, holds the answer letter for letter;
an unanswerable one as quiet where the reply is the untouched model's, word for word. The daemon is killed with SIGKILL
and started again before anything is asked.
"""

import argparse
import atexit
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent


class Daemon:
    def __init__(self, binary, model, database):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [binary, "serve", "--model", model, "--database", database, "--port", str(self.port), "--log-level", "error"])
        atexit.register(self.process.kill)
        for _ in range(600):
            try:
                return self.call("/health/ready") and None
            except (urllib.error.URLError, ConnectionError):
                if self.process.poll() is not None:
                    sys.exit("asked.py: the daemon ended; what it said stands above")
                time.sleep(0.1)
        sys.exit("asked.py: the daemon was not ready after a minute")

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"})
        return json.loads(urllib.request.urlopen(request, timeout=120).read() or "null")

    def learn(self, number, text):
        job = self.call("/v1/documents", {"id": f"asked-{number}", "text": text})["job"]["id"]
        while (status := self.call(f"/v1/jobs/{job}")["status"]) in ("queued", "running"):
            time.sleep(0.02)
        if status not in ("learned", "done"):
            sys.exit(f"asked.py: job {job} ended as {status}")

    def ask(self, question):
        reply = self.call("/v1/chat/completions", {
            "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 96})
        return reply["choices"][0]["message"]["content"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


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
        database = f"{directory}/asked.db"
        daemon = Daemon(options.binary, options.model, database)
        before = [daemon.ask(question) for question, _ in questions]
        quiet = [daemon.ask(question) for question in data["unanswerable"]]
        start = time.monotonic()
        for number, text in enumerate(data["taught"]):
            daemon.learn(number, text["text"])
        seconds = (time.monotonic() - start) / len(data["taught"])
        daemon.kill()
        daemon = Daemon(options.binary, options.model, database)
        replies = [daemon.ask(question) for question, _ in questions]
        disturbed = [daemon.ask(question) for question in data["unanswerable"]]
        daemon.kill()
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
