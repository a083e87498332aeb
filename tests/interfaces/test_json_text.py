"""JSON as the command and the audit log write it: what the module ``json`` writes, without loading it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stayfast.interfaces.json_text import document_of, json_of

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip
MEMBERS = st.dictionaries(st.text(max_size=8), VALUES, max_size=5)


@given(MEMBERS)
def test_it_is_what_the_module_writes(members: dict[str, object]) -> None:
    """Every answer is the text of ``json.dumps``, byte for byte."""
    right = json.dumps(members, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    assert json_of(members) == right
    assert json.loads(document_of("token/1", members)) == {"schema": "stayfast.token/1"} | members


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_without_a_word_is_null(odd: float) -> None:
    """A figure that JSON has no word for is null, however deep it lies."""
    assert json_of({"a": [odd, {"b": odd}], "c": 1.5}) == '{"a":[null,{"b":null}],"c":1.5}'


@pytest.mark.parametrize("odd", [b"x", {1}, object()])
def test_another_type_is_refused(odd: object) -> None:
    """What is no value of JSON is an error, as of ``json.dumps``."""
    with pytest.raises(TypeError, match="not JSON serializable"):
        json_of({"a": odd})


def test_a_circle_is_refused() -> None:
    """A value that holds itself ends in an error, and the next answer is written."""
    circle: dict[str, object] = {}
    circle["a"] = circle
    with pytest.raises((ValueError, RecursionError)):
        json_of(circle)
    assert json_of({"a": 1}) == '{"a":1}'


@pytest.mark.parametrize(
    "core", ["None", "types.ModuleType('_json')", "types.SimpleNamespace(encode_basestring=len, make_encoder=len)"]
)  # fmt: skip
def test_another_python_writes_the_same(core: str) -> None:
    """Where the core of ``json`` is not there, or is called otherwise, that module writes."""
    code = (
        f"import sys, types, json\nsys.modules['_json'] = {core}\n"
        "from stayfast.interfaces.json_text import json_of\n"
        "print(ascii(json_of({'ä': [1, None, float('nan'), {'b': True}]})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert done.strip() == ascii('{"ä":[1,null,null,{"b":true}]}')
