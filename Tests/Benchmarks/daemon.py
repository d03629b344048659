"""A daemon to measure: starts it, kills it, talks to it. Standard library only, loopback only."""
import http.client
import json
import os
import signal
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """`nlserver serve` on a database of its own."""

    def __init__(self, binary, database, model=None, options=()):
        self.command = [binary, "serve", "--database", database, *options]
        if model:
            self.command += ["--model", model]
        self.port = free_port()
        self.process = None

    def start(self, log=subprocess.DEVNULL):
        """Starts it and waits until it is ready; returns the seconds that took."""
        # A test machine may pin OpenBLAS to kernels that are not this processor's.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        began = time.monotonic()
        self.process = subprocess.Popen(
            [*self.command, "--port", str(self.port)], stdout=log, stderr=log, env=environment
        )
        while time.monotonic() - began < 60:
            if self.process.poll() is not None:
                raise SystemExit(f"the daemon ended with {self.process.returncode}: {' '.join(self.command)}")
            try:
                if self.request("GET", "/health/ready")[0] == 200:
                    return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.02)
        raise SystemExit("the daemon was not ready after a minute")

    def kill(self):
        """kill -9, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=60)

    def peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

    def request(self, method, path, body=None, kind="application/json", timeout=600):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Content-Type": kind} if body is not None else {}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection.request(method, path, body.encode() if isinstance(body, str) else body, headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, data

    def call(self, method, path, body=None, kind="application/json"):
        """The decoded answer; anything but 2xx ends the run."""
        status, data = self.request(method, path, body, kind)
        if not 200 <= status < 300:
            raise SystemExit(f"{method} {path}: {status} {data.decode(errors='replace')[:500]}")
        return json.loads(data)

    def learn(self, documents, show=None):
        """Streams documents as NDJSON, waits until all are learned; returns seconds and the jobs."""
        began = time.monotonic()
        body = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents)
        status, data = self.request("POST", "/v1/documents", body, "application/x-ndjson")
        if status >= 300:
            raise SystemExit(f"POST /v1/documents: {status} {data.decode(errors='replace')[:500]}")
        answers = [json.loads(line) for line in data.decode().splitlines()]
        jobs = []
        for answer in answers:
            jobs.append(self.wait(answer["job"]["id"]))
            if show:
                show(jobs[-1])
        return time.monotonic() - began, jobs

    def wait(self, job):
        """Polls a job until it has ended."""
        while True:
            record = self.call("GET", f"/v1/jobs/{job}")
            if record["status"] not in ("queued", "running"):
                return record
            time.sleep(0.05)

    def score(self, text):
        """Mean loss of a text in nats a token, and every log-probability."""
        answer = self.call("POST", "/v1/score", {"text": text})
        return -answer["mean_logprob"], answer["logprobs"]

    def levels(self, session=None):
        return self.call("GET", "/v1/memory/levels" + (f"?session={session}" if session else ""))["levels"]
