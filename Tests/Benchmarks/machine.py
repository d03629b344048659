"""What a figure means nothing without: the machine, what else runs on it, and what was measured."""
import datetime
import os
import platform
import subprocess


def clean_environment():
    """The environment without `OPENBLAS_*`: a test machine may pin OpenBLAS to kernels that are not its processor's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}


def first_line(*command):
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(ran.stdout.splitlines()), "")


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def memory_bytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def source():
    """The commit measured; with `+` if the tree is not exactly that."""
    commit = first_line("git", "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return None
    return commit + ("+" if first_line("git", "status", "--porcelain") else "")


def facts():
    return {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes(),
        "kernel": platform.release(),
        "swift": first_line("swift", "--version"),
        "python": platform.python_version(),
        "source": source(),
        "load_average": os.getloadavg(),
    }


def describe(found):
    """The facts as lines of Markdown, and a warning where the figures can't be trusted."""
    load = ", ".join(f"{value:.2f}" for value in found["load_average"])
    lines = [
        f"{found['time']}, source {found['source'] or 'unknown'}; {found['processor']}, {found['cores']} cores, "
        f"{found['memory_bytes'] / 2**30:.0f} GiB; Linux {found['kernel']}; {found['swift'] or 'no swift'}; "
        f"`OPENBLAS_*` unset; load average at the start {load}.",
    ]
    if found["load_average"][0] > 0.5 * found["cores"]:
        lines.append("**The machine was busy with something else: these figures are not its own.**")
    return "\n".join(lines)
