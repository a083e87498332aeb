"""Run one reader of the fuzz tests under Atheris: ``guided_fuzz.py READER INPUTS``.

Inputs that the branches of our code lead to, made from octets by the strategies of Hypothesis.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # pyright: ignore[reportMissingImports]  # optional: not for every Python

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "protocol")]

with atheris.instrument_imports(include=["stayfast"]):
    import test_resource_fuzz

if __name__ == "__main__":
    name, inputs = sys.argv[1:]
    atheris.Setup(
        [sys.argv[0], f"-atheris_runs={inputs}", "-max_len=2000"],
        test_resource_fuzz.fuzz_target(name),
    )
    atheris.Fuzz()
