"""What people paste."""

from __future__ import annotations

import pytest
from stayfast.engine.errors import CallbackRefused
from stayfast.engine.oauth.pasted import parse_callback
from stayfast.engine.reasons import Refusal

REDIRECT = "http://127.0.0.1:8080/callback"
WHOLE = f"{REDIRECT}?code=4/0Ab_c.d-e~f&state=s-1"
EXPECTED = [("code", "4/0Ab_c.d-e~f"), ("state", "s-1")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WHOLE, id="whole address"),
        pytest.param("127.0.0.1:8080/callback?code=4/0Ab_c.d-e~f&state=s-1", id="no scheme"),
        pytest.param("//127.0.0.1:8080/callback?code=4/0Ab_c.d-e~f&state=s-1", id="half a scheme"),
        pytest.param("?code=4/0Ab_c.d-e~f&state=s-1", id="query"),
        pytest.param("code=4/0Ab_c.d-e~f&state=s-1", id="query without its mark"),
        pytest.param("code=4%2F0Ab_c.d-e~f&state=s-1", id="percent-encoded"),
        pytest.param("4/0Ab_c.d-e~f#s-1", id="code and state bundled"),
        pytest.param("4/0Ab_c.d-e~f#state=s-1", id="code and named state bundled"),
        pytest.param(f"  \t{WHOLE}\r\n", id="white space"),
        pytest.param(f'"{WHOLE}"', id="quotes"),
        pytest.param(f"<{WHOLE}>", id="as in mail"),
        pytest.param(f"“{WHOLE}”", id="typographic quotes"),
        pytest.param(f"\x1b[200~{WHOLE}\x1b[201~", id="bracketed paste"),
        pytest.param(WHOLE.replace("&", "&amp;"), id="as in HTML"),
        pytest.param(WHOLE.replace("&", "&#38;"), id="as in other HTML"),
        pytest.param(WHOLE[:30] + "\n" + WHOLE[30:], id="broken by a terminal"),
        pytest.param("\ufeff" + WHOLE[:30] + "\u200b" + WHOLE[30:], id="unseen characters"),
        pytest.param(WHOLE.replace("127.0.0.1", "localhost"), id="another spelling of this host"),
        pytest.param(WHOLE.replace("127.0.0.1", "[::1]"), id="IPv6"),
        pytest.param(WHOLE + "#_=_", id="a fragment somebody left there"),
    ],
)
def test_an_answer_is_found_in_what_people_paste(text):
    """The same parameters, however they were copied."""
    assert parse_callback(text, redirect_uri=REDIRECT) == EXPECTED


def test_other_parameters_duplicates_and_lookalike_entities_are_kept():
    """``&timestamp`` is no ``×tamp``, and the validator sees every duplicate."""
    query = "code=a&timestamp=1&amplitude=2&code=b&state=s&empty="

    assert parse_callback(query, redirect_uri=None) == [
        ("code", "a"), ("timestamp", "1"), ("amplitude", "2"), ("code", "b"), ("state", "s"),
        ("empty", ""),
    ]  # fmt: skip


def test_an_error_is_an_answer():
    """The provider's no is passed on as well."""
    text = f"{REDIRECT}?error=access_denied&error_description=You+said+no&state=s-1"

    assert parse_callback(text, redirect_uri=REDIRECT) == [
        ("error", "access_denied"), ("error_description", "You said no"), ("state", "s-1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("redirect_uri", "text"),
    [
        ("https://app.example/cb", "app.example/cb?code=a&state=b"),
        ("https://app.example/cb", "https://APP.example:443/cb?code=a&state=b"),
        ("http://localhost", "http://localhost/?code=a&state=b"),
        ("com.example.app:/cb", "com.example.app:/cb?code=a&state=b"),
        (None, "https://anywhere.example/cb?code=a&state=b"),
    ],
)
def test_addresses_are_compared_by_place(redirect_uri, text):
    """Host, port and path count; a default port and an empty path may be written out."""
    assert parse_callback(text, redirect_uri=redirect_uri) == [("code", "a"), ("state", "b")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Refusal.NOT_A_CALLBACK),
        (" \r\n\x1b[200~\x1b[201~", Refusal.NOT_A_CALLBACK),
        ("yes", Refusal.NOT_A_CALLBACK),
        ("I don't know", Refusal.NOT_A_CALLBACK),
        ("http://[::1", Refusal.NOT_A_CALLBACK),
        ("https://login.acme.example/authorize?response_type=code&client_id=x&state=s-1",
         Refusal.AUTHORIZATION_URL),
        ("login.acme.example/authorize?client_id=x&code_challenge=y", Refusal.AUTHORIZATION_URL),
        ("https://login.acme.example/par?client_id=x&request_uri=urn:x", Refusal.AUTHORIZATION_URL),
        ("response_type=code&client_id=x&state=s-1", Refusal.AUTHORIZATION_URL),
        (WHOLE.partition("&state")[0], Refusal.TRUNCATED),
        ("code=4/0Ab_c.d-e~f", Refusal.TRUNCATED),
        (REDIRECT, Refusal.TRUNCATED),
        (f"{REDIRECT}?co", Refusal.TRUNCATED),
        ("state=s-1", Refusal.TRUNCATED),
        ("4/0Ab_c.d-e~f", Refusal.BARE_CODE),
        ("bG9uZ2VyY29kZQ==", Refusal.BARE_CODE),
        (WHOLE.replace("8080", "8081"), Refusal.WRONG_ADDRESS),
        (WHOLE.replace("8080", "80800"), Refusal.WRONG_ADDRESS),
        (WHOLE.replace("callback", "other"), Refusal.WRONG_ADDRESS),
        (WHOLE.replace("127.0.0.1", "127.0.0.1.evil.example"), Refusal.WRONG_ADDRESS),
        ("https://app.example/?code=a&state=b", Refusal.WRONG_ADDRESS),
        (f"{REDIRECT}#access_token=x&token_type=bearer", Refusal.IMPLICIT_RESPONSE),
        (f"{REDIRECT}?access_token=x&state=s", Refusal.IMPLICIT_RESPONSE),
        (f"{REDIRECT}#code=x&state=s", Refusal.IMPLICIT_RESPONSE),
        ("#access_token=x", Refusal.IMPLICIT_RESPONSE),
        ("&".join(["code=x"] * 200), Refusal.NOT_A_CALLBACK),
    ],
)  # fmt: skip
def test_every_mistake_has_its_own_reason(text, expected):
    """What is not an answer is refused, by what it looks like instead."""
    with pytest.raises(CallbackRefused) as caught:
        parse_callback(text, redirect_uri=REDIRECT)

    assert caught.value.reason == expected.value


def test_a_bare_code_is_accepted_where_providers_show_codes():
    """And a user of that has to name the login."""
    assert parse_callback(" 4/0Ab_c.d-e ", redirect_uri=None, shows_code=True) == [
        ("code", "4/0Ab_c.d-e")
    ]
    assert parse_callback("code=abc", redirect_uri=None, shows_code=True) == [("code", "abc")]


def test_a_very_long_address_is_read_whole():
    """Some providers' codes have thousands of characters."""
    code = "x" * 20_000

    assert parse_callback(f"{REDIRECT}?code={code}&state=s", redirect_uri=REDIRECT) == [
        ("code", code), ("state", "s"),
    ]  # fmt: skip
