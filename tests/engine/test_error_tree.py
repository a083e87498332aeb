from __future__ import annotations

import inspect
import re

import pytest
from errors_at_hand import make_error
from stayfast.engine import errors, record
from stayfast.engine.errors import StayfastError, StorageError
from stayfast.engine.result import STORAGE_CODES, ErrorCode, Failure, Success

CLASSES = [
    value
    for value in [*vars(errors).values(), record.TokensNotSaved]
    if inspect.isclass(value) and issubclass(value, StayfastError)
]


def tree() -> dict[str, tuple[str, str]]:
    """The tree of the docstring: class, code, parent."""
    found: dict[str, tuple[str, str]] = {}
    parents = ["StayfastError"]
    for line in (errors.__doc__ or "").splitlines():
        branch = re.match(r"\s*(?:│ +)?( *)[├└]── (\w+)\s+([A-Z_]+)\s", line)
        if branch:  # four columns a level
            level = line.index("── ") // 4
            found[branch[2]] = (branch[3], parents[level - 1])
            parents[level:] = [branch[2]]
    return found


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_programs_know(kind):
    """The codes of the exceptions are the codes of the results."""
    assert kind.code in {code.value for code in ErrorCode}


def test_every_code_has_an_error():
    """No code that nothing raises."""
    assert {kind.code for kind in CLASSES} == {code.value for code in ErrorCode}


def test_the_codes_of_storage_are_those_of_its_errors():
    """A program that asks whether a storage failed is right for every kind of storage error."""
    of_storage = {kind.code for kind in CLASSES if issubclass(kind, StorageError)}

    assert {code.value for code in STORAGE_CODES} == of_storage


def test_codes_are_spelt_like_their_names():
    """A code's value is its name."""
    assert [code.name for code in ErrorCode] == [code.value for code in ErrorCode]


def test_the_tree_in_the_docstring_is_the_tree():
    """Every class, its code and its parent stand in the module's docstring, and nothing else."""
    real = {
        kind.__name__: (kind.code, kind.__mro__[1].__name__)
        for kind in CLASSES
        if kind is not StayfastError
    }

    assert tree() == real


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_says_what_to_do(kind):
    """Message, hint and exit status are there to be shown; `str` is the message."""
    error = make_error(kind, hint="stayfast list")

    assert (str(error), error.message, error.hint) == (
        "it went wrong",
        "it went wrong",
        "stayfast list",
    )
    assert 1 <= error.exit_code <= 130
    assert inspect.getdoc(kind)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_becomes_a_failure(kind):
    """A caller who wants values gets the same three things."""
    failure = Failure.of(make_error(kind, hint="stayfast list"))

    assert failure == Failure("it went wrong", ErrorCode(kind.code), "stayfast list")


def test_results_are_told_apart_by_their_class():
    """`isinstance` and `match` distinguish a success from a failure."""
    results = [Success(3), Failure("no", ErrorCode.TIMEOUT)]

    codes = []
    for result in results:
        match result:
            case Success(value):
                codes.append(value)
            case Failure(_, code):
                codes.append(code)
    assert codes == [3, ErrorCode.TIMEOUT]
