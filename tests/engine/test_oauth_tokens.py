from __future__ import annotations

import json
from dataclasses import replace

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from stayfast.engine import cbor
from stayfast.engine.errors import ProviderError
from stayfast.engine.oauth.tokens import OAuthTokens

NOW = 1_800_000_000.0
TOKENS = OAuthTokens(
    access_token="canary-at", expires_in=3600, refresh_token="canary-rt", issued_at=NOW
)


@pytest.mark.parametrize(
    ("now", "buffer", "expired"),
    [
        (NOW, 60, False),
        (NOW + 3539.9, 60, False),
        (NOW + 3540, 60, True),
        (NOW + 3599.9, 0, False),
        (NOW + 3600, 0, True),
        (NOW, 3600, True),
        (NOW - 86_400, 60, False),
    ],
)
def test_a_token_expires_a_buffer_early(now, buffer, expired):
    """A token counts as expired from `buffer` seconds before its end."""
    assert TOKENS.is_expired(buffer, now=now) is expired


def test_tokens_made_while_time_is_frozen_are_received_at_that_time():
    """The default of ``issued_at`` asks the clock of the moment, as ``is_expired`` does."""
    with freeze_time("2027-01-15T08:00:00Z"):
        tokens = OAuthTokens(access_token="canary-at", expires_in=3600)
        assert tokens.issued_at == NOW
        assert not tokens.is_expired()


def test_the_buffer_is_a_minute_and_the_clock_the_systems():
    """Without arguments: sixty seconds, and now."""
    with freeze_time("2027-01-15T08:58:59Z"):  # 1 800 003 539
        assert not TOKENS.is_expired()
    with freeze_time("2027-01-15T08:59:00Z"):
        assert TOKENS.is_expired()


def test_a_token_of_unknown_lifetime_is_not_called_expired():
    """A token without a lifetime counts as valid: only its use can show otherwise."""
    unknown = replace(TOKENS, expires_in=None)

    assert unknown.expires_at is None
    assert not unknown.is_expired(now=NOW + 10**9)


def test_a_repr_shows_no_token():
    """Neither access, refresh nor ID token, nor what else the response held."""
    tokens = replace(TOKENS, id_token="canary-id", extra={"secret": "canary-extra"})

    assert "canary" not in repr([tokens])
    assert "canary" not in str(tokens)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=15,
)
NAMES = st.sampled_from(
    [
        "token_type",
        "expires_in",
        "refresh_token",
        "scope",
        "id_token",
        "workspace",
        "issued_at",
        "extra",
    ]
)


@given(st.dictionaries(NAMES, JSON))
def test_no_response_with_an_access_token_is_lost(response):
    """Whatever else stands in it, and of whatever type: the tokens are read, saved, read back."""
    tokens = OAuthTokens.from_response({**response, "access_token": "at"}, received_at=NOW)
    restored = OAuthTokens.from_dict(cbor.decode_map(cbor.encode(tokens.to_dict())))

    assert restored == tokens
    assert (tokens.access_token, tokens.issued_at) == ("at", NOW)
    assert tokens.expires_in is None or tokens.expires_in > 0


@given(JSON)
def test_a_response_without_an_access_token_is_refused(value):
    """Anything but a non-empty string is no access token."""
    if isinstance(value, str) and value:
        value = ""
    with pytest.raises(ProviderError) as caught:
        OAuthTokens.from_response({"access_token": value, "refresh_token": "canary"})
    assert "canary" not in str(caught.value)
    with pytest.raises(ProviderError):
        OAuthTokens.from_response({})


@pytest.mark.parametrize(
    ("said", "lifetime"),
    [
        (3600, 3600.0),
        ("3600", 3600.0),
        (1.5, 1.5),
        (0, None),
        (-1, None),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        (True, None),
        (None, None),
        ([3600], None),
        (10**400, None),
    ],
    ids=str,
)
def test_a_lifetime_is_a_number_of_seconds_or_unknown(said, lifetime):
    """Numbers and strings of digits count; the rest is a lifetime nobody knows, not an error."""
    tokens = OAuthTokens.from_response({"access_token": "at", "expires_in": said}, received_at=NOW)

    assert tokens.expires_in == lifetime


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ("read write", ("read", "write")),
        ("read,write", ("read", "write")),
        (["read", "write"], ("read", "write")),
        (["read", 3], ("read",)),
        (" read  write ", ("read", "write")),
        ("", ()),
        (None, ()),
        (3, ()),
    ],
    ids=str,
)
def test_scopes_come_in_three_spellings(said, scopes):
    """Spaces as in RFC 6749, commas, or an array."""
    assert OAuthTokens.from_response({"access_token": "at", "scope": said}).scopes == scopes


def test_a_scope_that_was_not_said_is_not_an_empty_scope():
    """RFC 6749 §5.1: an omitted scope means what was asked for."""
    assert OAuthTokens.from_response({"access_token": "at"}).scope is None
    assert OAuthTokens.from_response({"access_token": "at", "scope": ""}).scope == ""


def test_further_members_are_kept():
    """What a provider adds (a workspace, an instance URL) is there for the caller."""
    tokens = OAuthTokens.from_response(
        {"access_token": "at", "instance_url": "https://x", "n": {"a": [1]}}
    )

    assert tokens.extra == {"instance_url": "https://x", "n": {"a": [1]}}


def test_members_a_record_cannot_hold_are_left_out():
    """An integer of 65 bits or a nest of five is left out; its neighbours stay."""
    response = {
        "access_token": "at",
        "big": 1 << 64,
        "deep": [[[[[1]]]]],
        "fits": [[[[1]]]],
        "n": 1,
    }

    assert OAuthTokens.from_response(response).extra == {"fits": [[[[1]]]], "n": 1}


def test_tokens_survive_json():
    """What `to_dict` writes is JSON; unknown members of another version are ignored."""
    written = json.loads(json.dumps(TOKENS.to_dict())) | {"colour": "red"}

    assert OAuthTokens.from_dict(written) == TOKENS
    assert set(TOKENS.to_dict()) == {
        "access_token", "token_type", "expires_in", "refresh_token", "issued_at",
    }  # fmt: skip


@pytest.mark.parametrize("huge", [float("inf"), float("-inf"), [float("inf")], {"a": float("nan")}])
def test_no_further_member_is_kept_that_is_no_number(huge: object) -> None:
    """An integer too long to be read becomes infinity, which JSON has no word for: it is left out."""
    tokens = OAuthTokens.from_response({"access_token": "a", "huge": huge, "small": 1.5})
    assert tokens.extra == {"small": 1.5}
