"""Figures as ratios against a baseline of the same run, since machines are noisy."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

KEPT = "STAYFAST_BENCH_ROWS"
"""The variable that names a file for all rows of a run, as JSON lines."""


def row(
    name: str,
    baseline: Callable[[], object],
    ours: Callable[[], object],
    rounds: int,
    goal: float | None = None,
) -> None:
    """Print the medians of both, run in turn, and the ratio of the pairs: its median and quartiles.

    ``goal`` is the ratio to reach, if there is one.
    """
    measured(name, lambda: _timed(baseline), lambda: _timed(ours), rounds, goal)


def measured(
    name: str,
    baseline: Callable[[], float],
    ours: Callable[[], float],
    rounds: int,
    goal: float | None = None,
) -> None:
    """As :func:`row`, for work that gives the seconds that count itself."""
    baseline()
    ours()
    pairs: list[tuple[float, float]] = []
    for _ in range(rounds):
        first = baseline()
        pairs.append((first, ours()))
    base = statistics.median(pair[0] for pair in pairs)
    own = statistics.median(pair[1] for pair in pairs)
    wanted = "" if goal is None else f"   goal {goal:g}"
    print(
        f"{name:<52} {base * 1e3:9.3f} ms {own * 1e3:9.3f} ms   {spread(pairs)}{wanted}", flush=True
    )
    kept(name=name, base_ms=base * 1e3, ms=own * 1e3, wall=spread(pairs), goal=goal)


def spread(pairs: Sequence[tuple[float, float]]) -> str:
    """The ratio of each pair in words: the median, and the quartiles around it."""
    low, middle, high = statistics.quantiles([own / base for base, own in pairs], n=4)
    return f"x {middle:.2f} ({low:.2f} to {high:.2f})"


def kept(**row: object) -> None:
    """Keep ``row`` for the page of all rows, if one is being made."""
    if place := os.environ.get(KEPT):
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
