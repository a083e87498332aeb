"""Every entry of the catalogue, by every way that it names, from the sign-in to the sign-out.

Each is tried on a stand-in that speaks what its provider documents, over real ports: the entry stays as it
is shipped, addresses and all. The stand-in refuses what a provider would refuse, and complains of
what is documented nowhere.
"""

from __future__ import annotations

import pytest
from answers_of_providers import covered
from standing_in import Case, LeapingClock, Signing, possible
from stayfast import Failure, Success
from stayfast.interfaces.catalogue.entry import Entry
from stayfast.testing.dialects import StandIn

_SECRETS = {"never": (False,), "always": (True,), "optional": (False, True)}


def cases() -> list[Case]:
    """Every entry, by every way that it names, with and without a secret."""
    found: list[Case] = []
    for one in possible():
        for via in one.about.ways:
            by_code = {"loopback": (via != "device",)}
            found += [
                Case(one.name, via, secret) for secret in (_SECRETS | by_code)[one.about.secret]
            ]
    return found


@pytest.mark.parametrize("case", cases(), ids=str)
def test_an_entry_signs_in_refreshes_and_signs_out(
    case: Case, stand_in: StandIn, clock: LeapingClock
) -> None:
    """The provider has nothing to complain of, each token is the one it sent, and none is left."""
    at = Signing(case, stand_in, clock)
    answer = at.sign_in()
    assert isinstance(answer, Success), answer
    tokens = at.tokens()
    assert tokens.access_token == at.grant.access_tokens[-1]
    assert tokens.refresh_token == at.grant.refresh_token

    if at.grant.refresh_token is not None:
        refreshed = at.service.refresh_tokens(case.name)
        at.require_content()
        assert isinstance(refreshed, Success), refreshed
        assert at.grant.refreshed == 1
        assert refreshed.value.access_token == at.grant.access_tokens[1]
        assert refreshed.value.refresh_token == at.grant.refresh_token

    ended = at.service.sign_out(case.name)
    at.require_content()
    assert isinstance(ended, Success), ended
    assert ended.value.signed_in
    if at.dialect.revoke.url:
        assert at.grant.ended, "nothing was revoked"
        if at.dialect.revoke.kinds == ("access_token", "refresh_token"):
            assert at.grant.tokens == set()
    assert isinstance(at.service.get_tokens(case.name), Failure)


@pytest.mark.parametrize("one", possible(), ids=lambda one: one.name)
def test_an_entry_has_a_documented_dialect(one: Entry) -> None:
    """No entry ships that was tried on nothing."""
    assert one.name in covered()
    assert one.about.source
    assert one.about.checked
    assert one.about.ways


def test_no_dialect_is_left_over() -> None:
    """What is documented in a file is of an entry that ships."""
    assert set(covered()) <= {one.name for one in possible()}
