"""Values that only a careless or hostile server sends, where they are read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from logins import BY_BROWSER, CHALLENGE, CONFIG, NOW, login_in
from recorded import answer
from stayfast.engine.errors import CallbackRefused
from stayfast.engine.lifetime import clock_error, serves
from stayfast.engine.oauth.callback import validate_callback
from stayfast.engine.oauth.device import device_request
from stayfast.engine.oauth.provider_response import read_members
from stayfast.engine.reasons import Refusal
from stayfast.engine.table import State


@pytest.mark.parametrize("issuer", ["https://[", "https://[::1", "", "https://elsewhere.example"])
def test_an_issuer_that_is_not_an_address_is_not_at_home(issuer: str) -> None:
    """Where no issuer is configured, the answer must name the host of an endpoint, or none."""
    login = login_in(
        State.AWAITING_CALLBACK,
        presentation=BY_BROWSER,
        challenge=CHALLENGE,
    )
    login = replace(login, config=replace(CONFIG, issuer=None))
    parameters = [("state", "canary-state"), ("code", "c0de"), ("iss", issuer)]
    with pytest.raises(CallbackRefused) as caught:
        validate_callback(parameters, login)
    assert caught.value.reason == Refusal.WRONG_ISSUER


@pytest.mark.parametrize("charset", ["utf-16-banana", "utf-8", "klingon"])
def test_a_charset_that_nobody_knows_is_read_as_utf_8(charset: str) -> None:
    """JSON is UTF-8 (RFC 8259 §8.1), whatever the header calls it."""
    given = answer({"a": "é"}, **{"content-type": f"application/json; charset={charset}"})
    assert read_members(given) == {"a": "é"}


def test_a_device_request_without_scopes_names_none() -> None:
    """The member is left out, and the provider's default holds (RFC 8628 §3.1)."""
    config = replace(CONFIG, device_url="https://login.acme.example/device", scopes=())
    assert b"scope" not in device_request(config).body


@pytest.mark.parametrize(
    ("buffer", "left", "good"),
    [(60, 61, True), (60, 59, False), (900, 901, True), (900, 899, False), (9000, 1801, True)],
)
def test_a_buffer_is_kept_as_far_as_the_lifetime_allows(
    buffer: float, left: float, good: bool
) -> None:
    """A buffer longer than the lifetime counts as half of it; any other is kept as it is."""
    now = NOW + 3600 - left
    assert serves(now=now, issued_at=NOW, expires_in=3600, buffer=buffer) is good


def test_a_small_difference_of_clocks_is_none() -> None:
    """Answers take a moment, and some have no date: only a jump of the clock is an error."""
    assert clock_error(NOW, None) is None
    assert clock_error(NOW, NOW - 1) is None
    assert clock_error(NOW, NOW - 86400) == 86400
