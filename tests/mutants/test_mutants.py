from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants.py"))
assert _spec is not None
assert _spec.loader is not None
_list = importlib.util.module_from_spec(_spec)
sys.modules["mutants"] = _list
_spec.loader.exec_module(_list)


@pytest.mark.parametrize("mutant", _list.MUTANTS, ids=lambda one: one.name)
def test_a_mutant_fits_the_code(mutant) -> None:
    """What a mutant changes stands once in its file, and the tests it names exist."""
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1
    assert mutant.new != mutant.old
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")
    for test in mutant.tests:
        assert (ROOT / test.partition("::")[0]).is_file()


def test_mutants_have_names_of_their_own() -> None:
    """A survivor is named once."""
    names = [one.name for one in _list.MUTANTS]
    assert len(names) == len(set(names))
