"""Speed of llama.cpp on a GGUF file through llama-cpp-python's low-level interface: the other side of `llama.py`.

Everything as `nlbench imported` does it: the same numbers of given tokens, logits of every decoded token.
"""
import argparse
import json
import random
import statistics
import time

import llama_cpp
import numpy


def spread(values):
    return {"median": statistics.median(values), "minimum": min(values), "maximum": max(values),
            "repetitions": len(values)}


class Model:
    def __init__(self, options):
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(options.gguf.encode(), parameters)
        if not self.model:
            raise SystemExit(f"{options.gguf} cannot be loaded")
        context = llama_cpp.llama_context_default_params()
        context.n_ctx = 8 * 640  # a cache of its own for each of eight sequences
        context.n_batch = context.n_ubatch = 512
        context.n_seq_max = 8
        context.n_threads = context.n_threads_batch = options.threads
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def decode(self, entries):
        """Entries: token, position, sequence, whether its logits are wanted."""
        batch = self.batch
        batch.n_tokens = len(entries)
        for index, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[index], batch.pos[index] = token, position
            batch.n_seq_id[index], batch.seq_id[index][0], batch.logits[index] = 1, sequence, wanted
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise SystemExit("llama_decode failed")

    def logits(self, index=-1):
        pointer = llama_cpp.llama_get_logits_ith(self.context, index)
        return numpy.ctypeslib.as_array(pointer, shape=(self.vocabulary,)).copy()


def given(model, count, seed):
    source = random.Random(seed)
    return [source.randrange(model.vocabulary) for _ in range(count)]


def timed(tokens, repetitions, prepare, run):
    rates = []
    for repetition in range(repetitions + 1):
        prepare()
        start = time.perf_counter()
        run()
        if repetition > 0:
            rates.append(tokens / (time.perf_counter() - start))
    return spread(rates)


def decoding(model, streams, options):
    def prepare():
        model.clear()
        for stream in range(streams):
            prompt = given(model, options.context, stream)
            model.decode([(t, p, stream, p == options.context - 1) for p, t in enumerate(prompt)])

    feed = given(model, options.tokens * streams, 99)

    def run():
        for step in range(options.tokens):
            model.decode([(feed[step * streams + s], options.context + step, s, True) for s in range(streams)])
            llama_cpp.llama_get_logits(model.context)

    return timed(options.tokens * streams, options.repetitions, prepare, run)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gguf")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--logits-of")
    options = parser.parse_args()
    start = time.perf_counter()
    model = Model(options)
    loaded = time.perf_counter() - start
    if options.logits_of:
        ids = [int(x) for x in options.logits_of.split(",")]
        model.decode([(t, p, 0, p == len(ids) - 1) for p, t in enumerate(ids)])
        print(json.dumps([float(x) for x in model.logits()]))
        return
    model.decode([(1, 0, 0, True)])
    model.logits()
    found = {"version": llama_cpp.__version__, "system": llama_cpp.llama_print_system_info().decode(),
             "threads": options.threads, "load_seconds": loaded, "first_token_seconds": time.perf_counter() - start}
    found["decode_tokens_per_second"] = {str(n): decoding(model, n, options) for n in options.streams}
    prompt = given(model, options.length, 5)
    found["prefill_tokens_per_second"] = timed(
        options.length, options.repetitions, model.clear,
        lambda: (model.decode([(t, p, 0, p == options.length - 1) for p, t in enumerate(prompt)]), model.logits()))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
