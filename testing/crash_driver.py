"""Kill a program, or let its disk fail, at every system call by which it changes something.

This is for any program, in any language, that claims to survive crashes. It runs once under
``strace``, which lists its calls that write, sync, rename, lock or send. Then it runs again for each
of these calls, and that call goes wrong. The caller checks after each run that nothing was lost.

::

    def prepare() -> list[str]:  # a fresh copy of the world, and the program to run in it
        return [sys.executable, "save.py", str(shutil.copytree(template, new_place()))]

    driver = CrashDriver(prepare)
    for outcome in driver.inflict([KILL, ENOSPC]):
        check(outcome)

It works on Linux, where the kernel lets one process trace another (:func:`unavailable`). Calls are
counted as strace counts them: by name, and in each process from one.
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
"""The calls that change something that another process can see.

The value is a pattern for the arguments, where only some uses of a call do so. Names that this kernel
does not have are ignored.
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a run.

    Attributes:
        call: The system call.
        occurrence: Which of its calls in that process, from 1.
        arguments: As strace shows them, for a person. They are not compared.
    """

    call: str
    occurrence: int
    arguments: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens in place of a call.

    Attributes:
        name: Its name for a person.
        injected: The argument of strace's ``inject``.
        calls: The calls that it makes sense for; empty for all.
    """

    name: str
    injected: str
    calls: frozenset[str] = frozenset()


_WRITES: Final = frozenset({"write", "writev", "pwrite64", "pwritev"})

KILL: Final = Effect("kill -9", "signal=SIGKILL")
"""The process ends before the call, without any chance to react."""
ENOSPC: Final = Effect("no space", "error=ENOSPC")
EIO: Final = Effect("i/o error", "error=EIO")
EINTR: Final = Effect("interrupted", "error=EINTR")
NOTHING_WRITTEN: Final = Effect("nothing written", "retval=0", _WRITES)
"""The shortest short write: no error, and no octet written. See also :meth:`CrashDriver.stint`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended.

    Attributes:
        argv: The command, as ``prepare`` gave it.
        point: The call that went wrong; ``None`` for a limit on the size of files.
        effect: What happened in place of the call.
        returncode: The exit status; negative for a signal, as in :mod:`subprocess`.
        stdout: The standard output.
        stderr: The standard error.
    """

    argv: tuple[str, ...]
    point: Point | None
    effect: Effect
    returncode: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        where = f"{self.point.call} #{self.point.occurrence}" if self.point else "any file"
        last = (self.stderr.strip().splitlines() or [""])[-1]
        return f"{self.effect.name} at {where}: exit {self.returncode} {self.stdout!r} {last}"


def unavailable() -> str | None:
    """The reason why programs cannot be traced here; ``None`` if they can."""
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
"""With this option, calls that are not traced run at full speed.

But no signal can be injected with it: where such a filter stops a process, the kernel ignores a signal
that the tracer passes on.
"""


class CrashDriver:
    """Runs one program many times. Each time, another call goes wrong."""

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
            prepare: Called before every run; makes fresh files and gives the command. With several
                workers, several threads call it.
            environ: The program's environment; the default is that of this process.
            stdin: The program's standard input.
            calls: The calls to count, in the form of :data:`CALLS`.
            timeout: Seconds that one run may take.
            workers: How many runs go on at the same time.
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
            RuntimeError: The undisturbed program fails, or it cannot be traced.
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
        """Run the program with each of ``effects`` at each of ``points``, and yield after each run.

        Args:
            effects: What goes wrong.
            points: Where it goes wrong; the default is every point.

        Raises:
            RuntimeError: As for :meth:`points`.
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
        """Run the program once for each of ``limits``, which bounds the size of every file.

        The write that crosses the limit is short, and the next one fails with EFBIG. There is no other
        way to a write of some octets, short of a file system of one's own.

        Args:
            limits: Sizes in units of 512 octets.
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
        # a dict keeps the order; several processes may have a call with the same number
        found: dict[Point, None] = {}
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
