"""Figures as Markdown, to be read and to be pasted into LOG.md."""
MIB = 2**20


def spread(figures, digits=0):
    return f"{figures['median']:,.{digits}f} ({figures['minimum']:,.{digits}f} to {figures['maximum']:,.{digits}f})"


def table(head, rows):
    """`head` and `rows` of cells; every cell but the first is a figure."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def targets(rows):
    """What is asked for beside what was measured."""
    lines = [[row["what"], f"{'at most' if row.get('at_most') else 'at least'} {row['asked']:g}",
              f"{row['measured']:,.2f}", "yes" if row["met"] else "**no**"] for row in rows]
    return "### Targets\n\n" + (table(["what", "asked for", "measured", "met"], lines) if lines else "None was measured.")


def engine(compared):
    """Ours beside the reference on one shape."""
    first = compared["rounds"][0]
    head = next(iter(first["ours"].values()))
    theirs = first.get("reference")
    about = "No reference was run."
    if theirs:
        one = next(iter(theirs.values()))
        about = (f"Reference: torch {one['torch']}, {one['mode']}, {one['threads']} threads; training in "
                 f"{' and in '.join(theirs)}, decode in float32.")
    rows = []
    for row in compared["summary"]:
        mine = spread(row["ours"])
        for other in row["references"]:
            way = f", {other['way']}" if other["way"] else ""
            by_round = ", ".join(f"{ratio:.2f}" for ratio in other["ratios"])
            rows.append([row["name"], mine, f"{spread(other, 1)}{way}", f"**{other['ratio']:.2f}** ({by_round})"])
        if not row["references"]:
            rows.append([row["name"], mine, "", ""])
    return "\n\n".join([
        f"### Engine, `{compared['shape']}`: {head['parameters']:,} parameters",
        f"Tokens/s, median (least to most) of {len(compared['rounds'])} rounds in turns; {head['backend']}. {about}",
        table(["work", "nlserver", "reference", "ratio (by round)"], rows),
        facts(first, theirs),
    ])


def facts(first, theirs):
    """What the workloads found beside speeds, each once."""
    peaks, others = [], {}
    for workload, result in first["ours"].items():
        for fact in result["facts"]:
            if fact["name"] == "peak memory":
                peaks.append(f"{workload} {fact['value'] / MIB:,.0f}")
            else:
                digits = 1 if fact["unit"] == "%" else 0
                others[fact["name"]] = f"{fact['value']:,.{digits}f} {fact['unit']}".rstrip()
    for mode, found in (theirs or {}).items():
        peaks.append(f"reference in {mode} {found['peak_memory_bytes'] / MIB:,.0f}")
    said = ["peak memory in MiB: " + ", ".join(peaks), *(f"{name}: {value}" for name, value in others.items())]
    return "\n".join(f"- {line[0].upper()}{line[1:]}" for line in said)


def daemon(found):
    """What a client saw."""
    rows = [[f"time to first token, {prompt}", f"{spread(figures, 1)} ms"]
            for prompt, figures in found["first_token_ms"].items()]
    for figures in found["decode"]:
        who = f"{figures['clients']} client{'s' if figures['clients'] > 1 else ''}"
        rows.append([f"decode, {who}", f"{figures['tokens_per_second']:,.0f} tokens/s"])
        rows.append([f"between tokens, {who}, nothing learned meanwhile", gaps(figures)])
        rows.append([f"share of one processor that the {who} took", f"{figures['client_processor_share']:.0%}"])
    while_learning = found["while_learning"]
    if "between_tokens_ms" in while_learning:
        rate = while_learning["tokens_per_second"]
        rows.append(["decode, 1 client while a document is learned", f"{rate:,.0f} tokens/s"])
        rows.append(["between tokens, 1 client while a document is learned", gaps(while_learning)])
    rows += [[f"ingestion, document {number}", ingestion(one)] for number, one in enumerate(found["ingestion"], 1)]
    rows.append(["ingestion while one client decodes", ingestion(while_learning["learning"])])
    commits = found["commits"]
    rows.append(["generation: last window to published", f"{spread(commits['milliseconds'], 1)} ms"])
    sizes = ", ".join(f"{name} {size / MIB:,.2f}" for name, size in commits["level_bytes"].items())
    rows.append(["generation: a level's size", f"{sizes} MiB"])
    rows.append(["database after the short documents", f"{commits['database_bytes'] / MIB:,.1f} MiB"])
    rows.append(["a session after 1,000 tokens, on disk", f"{found['session_bytes'] / MIB:,.2f} MiB"])
    peaks = ", ".join(f"{when} {size / MIB:,.0f}" for when, size in found["memory_peak_bytes"].items())
    rows.append(["peak memory", f"{peaks} MiB"])
    rows.append(["start on a new database", f"{found['start_seconds']:.2f} s"])
    rows.append(["restart after kill -9", f"{found['restart_seconds']:.2f} s"])
    return "\n\n".join([
        f"### Daemon, `{found['model']}`",
        "Through HTTP on loopback; the client shares the processors. Generations: times from the client's side of the "
        "job's events, bytes from `GET /v1/memory/levels` and `/metrics`.",
        table(["what", "figure"], rows),
    ])


def gaps(figures):
    found = figures["between_tokens_ms"]
    if found is None:
        return "too few tokens"
    return ", ".join(f"{name} {found[name]:.2f}" for name in ("p50", "p95", "p99")) + " ms"


def ingestion(one):
    if "ended" not in one:
        return f"{one['status']} ({one['seconds']} s)"
    target = "target reached" if one["target_reached"] else "ended on its budget"
    learned_from = one["tokens_learned_from"] / one["seconds"]
    return (f"{one['document_tokens']:,} tokens in {one['seconds']:.1f} s: {one['tokens_per_second']:,.0f} tokens/s "
            f"({one['passes']} passes, {learned_from:,.0f} tokens/s learned from; {target})")
