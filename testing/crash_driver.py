"""Kills a program, or fails its disk, at every system call by which it changes something.

For any program, in any language, that claims to survive: it is run once under ``strace`` to learn
which calls it makes that write, sync, rename, lock or send, and then again for each of them, with
that one call going wrong. What "survived" means is for the caller to check after each run.

::

    def prepare() -> list[str]:  # a fresh copy of the world, and the program to run in it
        return [sys.executable, "save.py", str(shutil.copytree(template, new_place()))]

    driver = CrashDriver(prepare)
    for outcome in driver.inflict([KILL, ENOSPC]):
        check(outcome)

Linux only, and only where the kernel lets one process trace another; :func:`unavailable` says
whether it does. Calls are counted as strace counts them: by name, in each process of its own.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

CALLS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("write", "writev", "pwrite64", "pwritev"), ""),
    **dict.fromkeys(("fsync", "fdatasync", "ftruncate", "fallocate"), ""),
    **dict.fromkeys(("rename", "renameat", "renameat2", "link", "linkat"), ""),
    **dict.fromkeys(("unlink", "unlinkat", "mkdir", "mkdirat", "symlink", "symlinkat"), ""),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "flock"), ""),
    **dict.fromkeys(("connect", "sendto", "sendmsg"), ""),
    "fcntl": r"F_(OFD_)?SETLKW?\b",
    "openat": r"\bO_(CREAT|TRUNC)\b",
}
"""The calls that change something another process can see.

Each with the pattern its arguments must match, where only some of its uses do; a name that this
kernel does not have is passed by.
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a run.

    Attributes:
        call: The system call.
        occurrence: Which of its calls in that process, from 1.
        arguments: As strace shows them, for a person; not part of what a point is.
    """

    call: str
    occurrence: int
    arguments: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Effect:
    """What is done to a call, instead of letting it happen.

    Attributes:
        name: For a person.
        injected: What strace is told to inject.
        calls: The calls it makes sense for; empty for all.
    """

    name: str
    injected: str
    calls: frozenset[str] = frozenset()


_WRITES: Final = frozenset({"write", "writev", "pwrite64", "pwritev"})

KILL: Final = Effect("kill -9", "signal=SIGKILL")
"""The process ends before the call is made, and has no say in it."""
ENOSPC: Final = Effect("no space", "error=ENOSPC")
EIO: Final = Effect("i/o error", "error=EIO")
EINTR: Final = Effect("interrupted", "error=EINTR")
NOTHING_WRITTEN: Final = Effect("nothing written", "retval=0", _WRITES)
"""The shortest of short writes: no error, and not one octet. See :meth:`CrashDriver.stint`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended.

    Attributes:
        argv: What was run, as ``prepare`` gave it.
        point: Where it went wrong; ``None`` for a limit on the size of files.
        effect: How.
        returncode: Of the program; negative for a signal, as :mod:`subprocess` has it.
        stdout: What it printed.
        stderr: What it complained of.
    """

    argv: tuple[str, ...]
    point: Point | None
    effect: Effect
    returncode: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        where = f"{self.point.call} #{self.point.occurrence}" if self.point else "any file"
        told = (self.stderr.strip().splitlines() or [""])[-1]
        return f"{self.effect.name} at {where}: exit {self.returncode} {self.stdout!r} {told}"


def unavailable() -> str | None:
    """Why runs cannot be traced here; ``None`` where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "-e", "trace=write", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        return f"strace cannot trace here: {tried.stderr.strip()}"
    return None


_FILTERED: Final = "--seccomp-bpf"
"""Calls that are not asked for run at full speed. But signals cannot be injected: the kernel
ignores a signal that is passed on from where such a filter stops a process."""


class CrashDriver:
    """Runs one program again and again, each time with something else going wrong."""

    def __init__(
        self,
        prepare: Callable[[], Sequence[str]],
        *,
        environ: Mapping[str, str] | None = None,
        stdin: str = "",
        calls: Mapping[str, str] = CALLS,
        timeout: float = 60.0,
        workers: int = 1,
    ) -> None:
        """Drive the program that ``prepare`` gives.

        Args:
            prepare: Called before every run, by several threads if there are several workers:
                makes a fresh world and gives the program and its arguments.
            environ: The program's environment; this process's own if not given.
            stdin: What it reads.
            calls: The calls to look at, as :data:`CALLS`.
            timeout: Seconds one run may take.
            workers: How many runs go on at once.
        """
        self._prepare = prepare
        self._environ = environ
        self._stdin = stdin
        self._calls = calls
        self._timeout = timeout
        self._workers = workers

    def points(self) -> list[Point]:
        """Every point of an undisturbed run, in order.

        Raises:
            RuntimeError: The program fails even when nothing goes wrong, or cannot be traced.
        """
        with tempfile.TemporaryDirectory() as place:
            trace = Path(place, "trace")
            known = ",".join(f"?{name}" for name in self._calls)
            traced = [_FILTERED, "-s", "64", "-o", str(trace), "-e", f"trace={known}"]
            done = self._traced(self._prepare(), traced)
            if done.returncode:
                raise RuntimeError(f"exit {done.returncode} undisturbed: {done.stderr.strip()}")
            return self._read(trace.read_text("utf-8", "replace"))

    def inflict(
        self, effects: Sequence[Effect], points: Sequence[Point] | None = None
    ) -> Iterator[Outcome]:
        """Run the program with each of ``effects`` at each of ``points``; yields after each run.

        Args:
            effects: What goes wrong.
            points: Where; everywhere if not given.

        Raises:
            RuntimeError: As :meth:`points` says.
            subprocess.TimeoutExpired: A run did not end.
        """
        where = self.points() if points is None else points
        tasks = [
            (effect, point)
            for point in where
            for effect in effects
            if not effect.calls or point.call in effect.calls
        ]
        yield from self._each(lambda task: self._with(*task), tasks)

    def stint(self, limits: Sequence[int]) -> Iterator[Outcome]:
        """Run the program with no file allowed to grow beyond each of ``limits``.

        The write that crosses a limit is short, and the next one fails with EFBIG: the only short
        writes with some octets in them that can be had without a file system of one's own.

        Args:
            limits: In units of 512 octets.
        """
        yield from self._each(self._stinted, limits)

    def _each(self, run: Callable[[T], Outcome], tasks: Sequence[T]) -> Iterator[Outcome]:
        if self._workers == 1:
            yield from map(run, tasks)
            return
        with ThreadPoolExecutor(self._workers) as pool:
            yield from pool.map(run, tasks)

    def _with(self, effect: Effect, point: Point) -> Outcome:
        argv = self._prepare()
        inject = f"inject={point.call}:{effect.injected}:when={point.occurrence}"
        traced = ["-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject]
        if not effect.injected.startswith("signal="):
            traced.insert(0, _FILTERED)
        return _outcome(argv, point, effect, self._traced(argv, traced))

    def _stinted(self, limit: int) -> Outcome:
        argv = self._prepare()
        shell = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(limit), *argv]
        effect = Effect(f"files of {limit * 512} octets", "")
        return _outcome(argv, None, effect, self._start(shell))

    def _traced(
        self, argv: Sequence[str], options: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        return self._start(["strace", "-f", "-qq", *options, *argv])

    def _start(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, input=self._stdin, capture_output=True, text=True, check=False,
            env=self._environ, timeout=self._timeout,
        )  # fmt: skip

    def _read(self, trace: str) -> list[Point]:
        seen: dict[tuple[str, str], int] = {}
        found: dict[Point, None] = {}  # in order, each once: a child may reach the same number
        for line in trace.splitlines():
            match = _LINE.match(line)
            if match is None or match["call"] not in self._calls:
                continue  # how a process ended, or the second half of an interrupted call
            process, call, arguments = match["process"], match["call"], match["arguments"]
            number = seen[process, call] = seen.get((process, call), 0) + 1
            if re.search(self._calls[call], arguments):
                found.setdefault(Point(call, number, arguments))
        return list(found)


_LINE: Final = re.compile(r"(?P<process>\d+)\s+(?P<call>\w+)\((?P<arguments>.*)")


def _outcome(
    argv: Sequence[str],
    point: Point | None,
    effect: Effect,
    done: subprocess.CompletedProcess[str],
) -> Outcome:
    return Outcome(tuple(argv), point, effect, done.returncode, done.stdout, done.stderr)
