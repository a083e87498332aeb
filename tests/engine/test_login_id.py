from __future__ import annotations

from dataclasses import replace

import pytest
from logins import BY_BROWSER, TOKENS, login_in
from stayfast.engine.errors import NotFound
from stayfast.engine.login_id import choose, new_login_id, normalise
from stayfast.engine.table import State

WAITING = replace(
    login_in(State.AWAITING_CALLBACK, presentation=BY_BROWSER), id="ABCD0" + "0" * 21
).summary()
SIGNED_IN = replace(login_in(State.AUTHENTICATED, tokens=TOKENS), id="ABCD1" + "0" * 21).summary()
OTHER = replace(login_in(State.AUTHENTICATED, tokens=TOKENS), id="ABCD2" + "0" * 21).summary()


class Given:
    """Randomness that is known beforehand."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = list(numbers)

    def octets(self, count: int) -> bytes:
        return self.numbers.pop(0).to_bytes(count, "big")


def test_a_new_id_differs_in_its_first_four_characters_from_open_ones():
    """An id that a person could confuse with an open login is made again."""
    first = new_login_id(Given(1))
    second = new_login_id(Given(2, 1 << 127), [first])

    assert first == "0" * 25 + "1"
    assert second[:4] != first[:4]
    assert len(second) == 26


@pytest.mark.parametrize("typed", ["abcd-0", " ABCDO", "aBcD0"])
def test_lookalikes_hyphens_and_case_do_not_matter(typed):
    """A person may copy an id by hand."""
    assert normalise(typed) == "ABCD0"
    assert choose([SIGNED_IN, WAITING], typed) is WAITING


def test_the_open_login_is_meant_where_several_match():
    """Finished logins keep their ids, and do not stand in the way."""
    assert choose([SIGNED_IN, OTHER, WAITING], "abcd") is WAITING
    assert choose([SIGNED_IN, WAITING], None) is WAITING


@pytest.mark.parametrize(
    ("logins", "typed"),
    [
        ([], None),
        ([SIGNED_IN], None),
        ([WAITING], "ABCE"),
        ([WAITING], ""),
        ([WAITING], "-"),
        ([SIGNED_IN, OTHER], "abcd"),
        ([WAITING, WAITING._replace(id="ABCD3" + "0" * 21)], None),
    ],
)
def test_no_login_is_guessed(logins, typed):
    """None matches, or several do: the person is asked to say more."""
    with pytest.raises(NotFound) as caught:
        choose(logins, typed)

    assert caught.value.hint
