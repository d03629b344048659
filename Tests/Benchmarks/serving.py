"""What a client of the daemon sees: first token, tokens a second, learning, restart. Through HTTP on loopback alone.

The client runs beside the daemon and takes part of the same processors; how much is among the figures.
The texts are the licence's, which is no part of the model's own data and always here.
"""
import http.client
import json
import os
import resource
import statistics
import threading
import time

from daemon import Daemon

LICENSE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "LICENSE")
SHORT_PROMPT = "The city of"
# Whatever goes wrong, no single part takes longer than this many seconds.
LIMIT = 300


def events(daemon, method, path, body=None, limit=LIMIT):
    """Server-sent events with the moment each arrived; ends early after `limit` seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=limit)
    headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"{method} {path}: {response.status} {response.read(500).decode(errors='replace')}")
    deadline, held = time.monotonic() + limit, b""
    try:
        while piece := response.read1(65536):
            now = time.monotonic()
            held += piece
            *whole, held = held.split(b"\n\n")
            for event in whole:
                yield now, event
            if now > deadline:
                return
    except TimeoutError:
        return
    finally:
        connection.close()


def fields(event):
    """The name of an event and its data, decoded."""
    lines = dict(line.split(b": ", 1) for line in event.split(b"\n"))
    data = lines[b"data"]
    return lines.get(b"event", b"").decode(), None if data == b"[DONE]" else json.loads(data)


def complete(daemon, prompt, tokens, seed, **more):
    """One streamed completion: when it was asked for, when each token arrived, and how many tokens there were."""
    body = {"prompt": prompt, "max_tokens": tokens, "seed": seed, "stream": True,
            "stream_options": {"include_usage": True}, **more}
    asked = time.monotonic()
    received = list(events(daemon, "POST", "/v1/completions", body))
    arrivals, count = [], 0
    for moment, event in received:
        _, data = fields(event)
        if data is None:
            continue
        if "error" in data:
            raise SystemExit(f"a completion failed: {data['error']['message']}")
        if data.get("usage"):
            count = data["usage"]["completion_tokens"]
        elif data["choices"] and (data["choices"][0]["finish_reason"] is None or not arrivals):
            arrivals.append(moment)
    return {"asked": asked, "arrivals": arrivals, "tokens": count}


def percentiles(values, scale=1000):
    """Of seconds, in milliseconds."""
    if len(values) < 2:
        return None
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49] * scale, "p95": cuts[94] * scale, "p99": cuts[98] * scale, "count": len(values)}


def first_token(daemon, prompt, repetitions):
    """Milliseconds from asking to the first token, one request at a time."""
    waits = []
    for seed in range(repetitions + 1):
        answer = complete(daemon, prompt, 1, seed)
        if seed > 0:
            waits.append(answer["arrivals"][0] - answer["asked"])
    return {"median": 1000 * statistics.median(waits), "minimum": 1000 * min(waits), "maximum": 1000 * max(waits),
            "repetitions": repetitions}


def decode(daemon, clients, until, tokens=200):
    """Each client asks for one completion after another until `until()`; the answers of all."""
    answers, failures = [], []

    def client(number):
        request = 0
        try:
            while not until():
                answers.append(complete(daemon, SHORT_PROMPT, tokens, 1000 * number + request))
                request += 1
        except (SystemExit, OSError) as problem:
            failures.append(problem)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"decoding with {clients} clients: {failures[0]}")
    return answers


def inside(answers, begin, end):
    """What arrived between two moments: tokens a second, and the gaps between the tokens of one stream."""
    # Half a character makes no event of its own; tokens per event makes up for it.
    per_event = sum(a["tokens"] for a in answers) / max(sum(len(a["arrivals"]) for a in answers), 1)
    arrived = sum(begin <= moment < end for a in answers for moment in a["arrivals"])
    gaps = [later - earlier for a in answers for earlier, later in zip(a["arrivals"], a["arrivals"][1:])
            if begin <= earlier and later < end]
    return {"tokens_per_second": arrived * per_event / (end - begin), "seconds": end - begin,
            "between_tokens_ms": percentiles(gaps)}


def steady(daemon, clients, seconds):
    """Decoding with nothing else going on, after a second to warm up."""
    begin = time.monotonic() + 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    answers = decode(daemon, clients, lambda: time.monotonic() >= begin + seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    client = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {"clients": clients, **inside(answers, begin, begin + seconds),
            "client_processor_share": client / (time.monotonic() - begin + 1)}


def learn(daemon, text, title, limit=LIMIT):
    """One document from its sending to `learned`; cancelled, and told, if that takes longer than the limit."""
    sent = time.monotonic()
    last_progress, job, ended = None, None, None
    for moment, event in events(daemon, "POST", "/v1/documents", {"text": text, "title": title}, limit):
        name, data = fields(event)
        if name == "accepted":
            document, job = data["document"], data["job"]
        elif name == "progress":
            last_progress = moment
        else:
            job, ended = data["job"], moment
    if ended is None:
        daemon.request("DELETE", f"/v1/jobs/{job['id']}")
        return {"status": "not learned in time", "seconds": limit}
    if job["status"] != "learned":
        raise SystemExit(f"{title} was not learned: {job['status']} {job['error']}")
    return {
        "status": job["status"], "target_reached": job["target_reached"], "passes": job.get("pass", 0),
        "document_tokens": document["tokens"], "tokens_learned_from": job.get("tokens", 0),
        "sent": sent, "ended": ended, "seconds": ended - sent, "tokens_per_second": document["tokens"] / (ended - sent),
        "from_last_window_ms": None if last_progress is None else 1000 * (ended - last_progress),
    }


def decode_while_learning(daemon, text):
    """Gaps between the tokens of one stream while a document is being learned."""
    learned = {}
    learner = threading.Thread(target=lambda: learned.update(learn(daemon, text, "while decoding")))
    learner.start()
    answers = decode(daemon, 1, lambda: not learner.is_alive())
    learner.join()
    if "ended" not in learned:
        return {"learning": learned}
    return {**inside(answers, learned["sent"], learned["ended"]), "learning": learned}


def commits(daemon, count=5):
    """What a generation costs: from the last window of a few words' learning to its publication.

    That is one pass over those few tokens, the hashing, the transaction with its fsync, and the new weights' layout.
    The bytes are those of the level that ingestion changes, as `GET /v1/memory/levels` has them; the other levels are
    inherited.
    """
    found = [learn(daemon, f"Lot {number} was sold in the morning.", f"lot {number}") for number in range(count + 1)]
    waits = [f["from_last_window_ms"] for f in found[1:] if f.get("from_last_window_ms") is not None]
    if not waits:
        raise SystemExit("no job told its progress before it ended, so no generation could be timed")
    return {
        "generations": len(waits),
        "milliseconds": {"median": statistics.median(waits), "minimum": min(waits), "maximum": max(waits)},
        "level_bytes": {level["name"]: level["bytes"] for level in daemon.levels() if level["owner"] == "space"},
        "database_bytes": metric(daemon, "nlserver_database_bytes"),
    }


def metric(daemon, name):
    """A series without labels of `GET /metrics`."""
    _, text = daemon.request("GET", "/metrics")
    for line in text.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise SystemExit(f"/metrics has no {name}")


def session_bytes(daemon, tokens):
    """What a session that has read those tokens takes on disk."""
    daemon.call("POST", "/v1/sessions", {"id": "bench"})
    daemon.call("POST", "/v1/completions", {"prompt": tokens, "session": "bench", "max_tokens": 1})
    return daemon.call("GET", "/v1/sessions/bench")["bytes"]


def measure(binary, model, directory, say, quick=False):
    """All figures of the daemon, on a new database; the daemon is killed at the end."""
    with open(LICENSE, encoding="utf-8") as file:
        text = file.read()
    daemon = Daemon(binary, os.path.join(directory, "bench.sqlite"), model)
    seconds, repetitions = (3, 3) if quick else (10, 10)
    found = {"model": model, "start_seconds": daemon.start()}
    try:
        tokens = daemon.call("POST", "/v1/score", {"text": text})["tokens"]
        found["memory_peak_bytes"] = {"ready": daemon.peak_bytes()}
        say("daemon: first token")
        prompt = tokens[1:1001]
        found["first_token_ms"] = {"short prompt": first_token(daemon, SHORT_PROMPT, repetitions),
                                   f"{len(prompt)} tokens": first_token(daemon, prompt, max(repetitions // 2, 1))}
        say("daemon: decoding")
        found["decode"] = [steady(daemon, clients, seconds) for clients in (1, 8)]
        found["memory_peak_bytes"]["decoding"] = daemon.peak_bytes()
        found["session_bytes"] = session_bytes(daemon, prompt)
        say("daemon: generations")
        found["commits"] = commits(daemon, 3 if quick else 5)
        say("daemon: learning")
        size = len(text) * 1000 // (len(tokens) - 1)
        parts = [text[start:start + size] for start in range(0, len(text) - size + 1, size)]
        found["ingestion"] = [learn(daemon, part, "a part of the licence") for part in parts[1:2 if quick else 3]]
        say("daemon: decoding while learning")
        found["while_learning"] = decode_while_learning(daemon, parts[0])
        found["memory_peak_bytes"]["learning"] = daemon.peak_bytes()
        say("daemon: restart after kill -9")
        daemon.kill()
        found["restart_seconds"] = daemon.start()
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
    return found
