"""What whole processes cost: wall time, processor time and the peak of memory, each as a ratio.

Commands are run in turn, round after round, and each round is compared with its own idle Python:
machines are noisy, and what disturbs one disturbs its neighbours as well.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ratios import kept, spread

ROUNDS = int(os.environ.get("STAYFAST_BENCH_ROUNDS", "15"))
KEPT = Path(__file__).resolve().parents[2] / "build" / "bench"
"""Where environments are made."""
# a child inherits the peak of memory of who starts it, so a small process starts those
_SMALL = """\
import os, posix, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss)
sys.exit(status != 0)
"""


@dataclass
class Run:
    """One command that is measured.

    Attributes:
        name: What is said of it.
        words: The command.
        stdin: What it reads.
        goal: The ratio that is wanted, if one is.
        environ: What its environment has besides the common one.
    """

    name: str
    words: Sequence[str]
    stdin: str = ""
    goal: float | None = None
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    seen: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])


def measure(baseline: Run, runs: Sequence[Run], environ: Mapping[str, str]) -> None:
    """Run all in turn, and print the ratio of each to ``baseline``."""
    for one in (baseline, *runs):
        _once(one, environ)  # what the disk and the caches of the interpreter keep
    for _ in range(ROUNDS):
        for one in (baseline, *runs):
            one.seen.append(_once(one, environ))
    base = statistics.median(wall for wall, _ in baseline.seen)
    print(f"{baseline.name}: {base * 1e3:.1f} ms", flush=True)
    for one in runs:
        pairs = list(zip(baseline.seen, one.seen, strict=True))
        wall = spread([(before[0], after[0]) for before, after in pairs])
        cpu = spread([(before[1], after[1]) for before, after in pairs])
        goal = f"goal {one.goal:g}" if one.goal else ""
        own = statistics.median(wall for wall, _ in one.seen)
        print(f"{one.name:<46} {own * 1e3:8.1f} ms  wall {wall}  cpu {cpu}  {goal}", flush=True)
        kept(name=one.name, ms=own * 1e3, wall=wall, cpu=cpu, goal=one.goal)


def memory(runs: Sequence[Run], environ: Mapping[str, str]) -> None:
    """Print the peak of memory of each command, with its goal in MB."""
    for one in runs:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _SMALL, *one.words],
            env={**environ, **one.environ}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        peak = int(done.stdout) / 1024
        goal = "" if one.goal is None else f"  goal {one.goal:g}"
        print(f"{one.name:<46} {peak:8.1f} MB{goal}", flush=True)
        kept(name=one.name, mb=peak, goal=one.goal)


def _once(one: Run, environ: Mapping[str, str]) -> tuple[float, float]:
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        one.words, env={**environ, **one.environ}, input=one.stdin.encode(), capture_output=True,
        check=False,
    )  # fmt: skip
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{one.name}: {done.stderr.decode()[-500:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def environment(place: Path, *packages: str) -> str | None:
    """The Python of an environment with ``packages`` alone; ``None`` if they do not install."""
    python = place / "bin" / "python"
    stamp = place / "packages.json"
    if not (stamp.exists() and json.loads(stamp.read_text()) == list(packages)):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        for wanted in (["--upgrade", "pip"], list(packages)):  # an older pip writes slower scripts
            if subprocess.run([*pip, *wanted], check=False, capture_output=True).returncode:
                return None
        stamp.write_text(json.dumps(list(packages)))
    return str(python)


def installed() -> str:
    """The Python of an environment with the wheel of this tree and what it needs; made anew.

    Raises:
        SystemExit: The wheel does not install.
    """
    for former in ("wheel", "ours"):
        shutil.rmtree(KEPT / former, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(KEPT / "wheel"), "."],
        cwd=KEPT.parents[1], check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = (KEPT / "wheel").glob("*.whl")
    python = environment(KEPT / "ours", str(wheel))
    if python is None:
        raise SystemExit("the wheel does not install: is the package index at hand?")
    return python
