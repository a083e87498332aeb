"""Apply each mutant to a copy of the tree, and see that the tests it names notice it.

A test that passes whatever the code does is worth nothing. A mutant is one small fault in the code
together with the tests that must fail for it (:mod:`mutants`). A mutant that survives is printed; it
is an error unless the list gives a reason.

    python tests/mutants/run.py [--jobs N] [--who] [WORD ...]    only mutants whose name or file has a word
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".*", "__pycache__", "build", "dist", "node_modules")
PATIENCE = 180.0  # seconds for the tests of one mutant; a mutant that hangs is noticed, too
PASSED, FAILED = 0, 1  # what pytest exits with; anything else says that no test was run


def copied(place: Path) -> Path:
    """A copy of the tree in ``place``, with the link that gives the package its name."""
    tree = place / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (tree / ".dev").mkdir()
    (tree / ".dev" / "stayfast").symlink_to("..")
    return tree


def run_tests(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run ``tests`` in ``tree``; gives pytest's exit status, and its last words."""
    environ = {**os.environ, "PYTHONPATH": str(tree / ".dev")}
    arguments = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    try:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("pytest")), *arguments],
            cwd=tree, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return FAILED, f"no end in {PATIENCE:.0f} s"
    return done.returncode, "\n".join(done.stdout.strip().splitlines()[-25:])


def _first_failed(said: str) -> str:
    """The test that pytest names as failed in its last words."""
    return next((line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))), said)


class Trees:
    """Copies of the tree, one for each mutant that is tried at the same time."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        self._moments = itertools.count(int(time.time()) + 10)
        for place in places:
            self._free.put(copied(place))

    def unchanged(self, test: str) -> tuple[int, str]:
        """How ``test`` ends in the tree as it is."""
        tree = self._free.get()
        try:
            return run_tests(tree, [test])
        finally:
            self._free.put(tree)

    def tried(self, mutant: Mutant) -> tuple[int, str]:
        """How the tests of ``mutant`` end in a tree that has it."""
        tree = self._free.get()
        path = tree / mutant.file
        before = path.read_text(encoding="utf-8")
        try:
            self._write(path, before.replace(mutant.old, mutant.new))
            return run_tests(tree, mutant.tests)
        finally:
            self._write(path, before)
            self._free.put(tree)

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        # Python takes compiled code for valid by time (whole seconds) and size: a time of its own
        # for each version
        moment = next(self._moments)
        os.utime(path, (moment, moment))


def main() -> int:
    """Try the mutants that were asked for; 1 if one survived for no reason, or nothing was tried."""
    parser = argparse.ArgumentParser(description="Try every mutant against its tests.")
    parser.add_argument("words", nargs="*", help="only mutants whose name or file has one of these")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--who", action="store_true", help="say which test noticed each mutant")
    chosen = parser.parse_args()
    mutants = [
        one
        for one in MUTANTS
        if not chosen.words or any(word in f"{one.file} {one.name}" for word in chosen.words)
    ]
    if not mutants:
        print("no mutant has such a name")
        return 1
    began = time.monotonic()
    wrong = 0
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(chosen.jobs) as pool:
        Path(place).chmod(0o755)  # some tests, run as root, become another user
        places = [Path(place) / str(number) for number in range(chosen.jobs)]
        trees = Trees(places)
        tests = sorted({test for one in mutants for test in one.tests})
        for test, (status, said) in zip(tests, pool.map(trees.unchanged, tests), strict=True):
            if status != PASSED:
                print(f"without any mutant, {test} ends with {status}:\n{said}")
                return 1
        for one, (status, said) in zip(mutants, pool.map(trees.tried, mutants), strict=True):
            if status not in {PASSED, FAILED}:
                wrong += 1
                print(f"no test ran: {one.file}: {one.name}\n{said}", flush=True)
            elif status == PASSED:
                wrong += not one.survives
                print(
                    f"survived: {one.file}: {one.name}: {one.survives or 'no reason'}", flush=True
                )
            elif one.survives:
                wrong += 1
                print(f"noticed, though listed as a survivor: {one.file}: {one.name}", flush=True)
            elif chosen.who:
                print(f"noticed: {one.name}: {_first_failed(said)}", flush=True)
    kept = sum(bool(one.survives) for one in mutants)
    print(f"{len(mutants)} mutants, {kept} expected to survive, {wrong} wrong, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
