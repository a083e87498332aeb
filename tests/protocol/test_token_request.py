"""Requests to the token endpoint, and how the client proves itself in them."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from logins import BY_BROWSER, CHALLENGE, CODE_EXCHANGE, CONFIG, NOW
from stayfast.engine.errors import ConfigMissing
from stayfast.engine.oauth.callback import saved_callback
from stayfast.engine.oauth.token_endpoint import code_request, refresh_request
from stayfast.engine.oauth.token_status import introspection_request, revocation_request
from stayfast.engine.record import Login
from stayfast.engine.secret import Secret
from stayfast.engine.table import State

CALLBACK = saved_callback(
    Login(
        id="7F3K0000000000000000000000",
        version=3,
        state=State.EXCHANGING,
        config=CONFIG,
        account="default",
        created_at=NOW,
        changed_at=NOW,
        challenge=CHALLENGE,
        presentation=BY_BROWSER,
        exchange=CODE_EXCHANGE,
    )
)
REDIRECT = "http://127.0.0.1:8080/callback"
PUBLIC = replace(CONFIG, client_secret=None)


def form(request):
    """The members of a form body, each of which must stand there once."""
    members = parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in members.values())
    return {name: values[0] for name, values in members.items()}


def exchange(config, redirect_uri=REDIRECT):
    """The exchange of the saved code."""
    return code_request(
        config, CALLBACK, verifier=Secret("canary-verifier"), redirect_uri=redirect_uri
    )


def test_a_code_is_sent_with_its_verifier_and_redirect_address():
    """RFC 6749 §4.1.3 and RFC 7636 §4.5, by a public client."""
    request = exchange(PUBLIC)

    assert (request.method, request.url) == ("POST", CONFIG.token_url)
    assert request.headers == {
        "Accept": "application/json",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert form(request) == {
        "grant_type": "authorization_code",
        "code": "canary-code",
        "code_verifier": "canary-verifier",
        "redirect_uri": REDIRECT,
        "client_id": "acme-cli",
    }


def test_the_redirect_address_is_left_out_where_none_was_sent():
    """It must be identical to that of the request, or absent as there."""
    assert "redirect_uri" not in form(exchange(PUBLIC, None))


def test_a_refresh_leaves_the_scope_as_it_was_granted():
    """RFC 6749 §6, and no word of scope: asking for what was not granted is refused."""
    assert form(refresh_request(PUBLIC, "the-token")) == {
        "grant_type": "refresh_token",
        "refresh_token": "the-token",
        "client_id": "acme-cli",
    }


def test_basic_encodes_id_and_secret_as_a_form_first():
    """RFC 6749 §2.3.1."""
    request = exchange(replace(CONFIG, client_id="a:b c", client_secret="p%ss/wörd+&"))
    scheme, _, credentials = request.headers["Authorization"].partition(" ")

    assert scheme == "Basic"
    assert b64decode(credentials) == b"a%3Ab+c:p%25ss%2Fw%C3%B6rd%2B%26"
    assert "client_secret" not in form(request)


@pytest.mark.parametrize("beside", [False, True])
def test_the_client_id_is_repeated_in_the_body_only_where_that_is_declared(beside):
    """RFC 6749 §2.3: one method a request; a few servers read the id in the body alone."""
    request = exchange(replace(CONFIG, client_id="a", client_secret="b", client_id_in_body=beside))

    assert request.headers["Authorization"].startswith("Basic ")
    assert ("client_id" in form(request)) is beside


@pytest.mark.parametrize(
    ("method", "secret", "in_header", "in_body"),
    [
        ("auto", "s", True, False),
        ("auto", None, False, False),
        ("auto_post", "s", False, True),
        ("auto_post", None, False, False),
        ("none", "s", False, False),
        ("client_secret_basic", "s", True, False),
        ("client_secret_post", "s", False, True),
    ],
)
def test_the_secret_goes_where_the_method_says_and_nowhere_else(method, secret, in_header, in_body):
    """Never in two places: RFC 6749 §2.3 allows one method per request."""
    config = replace(CONFIG, token_endpoint_auth_method=method, client_secret=secret)
    request = refresh_request(config, "the-token")

    assert ("Authorization" in request.headers) == in_header
    assert ("client_secret" in form(request)) == in_body


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_that_is_needed_and_absent_is_a_missing_setting(method):
    """Said before anything is sent."""
    with pytest.raises(ConfigMissing):
        refresh_request(replace(PUBLIC, token_endpoint_auth_method=method), "t")


def test_json_bodies_and_further_headers_are_for_those_who_want_them():
    """Notion wants both; the declared headers replace none of ours."""
    config = replace(
        CONFIG,
        token_request_format="json",
        token_request_headers={"Notion-Version": "2022-06-28", "Accept": "text/html"},
    )
    request = exchange(config)

    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["Notion-Version"] == "2022-06-28"
    assert json.loads(request.body)["code_verifier"] == "canary-verifier"


def test_repr_of_a_request_shows_no_secret():
    """Requests end up in tracebacks."""
    assert "canary" not in repr(exchange(CONFIG))


@pytest.mark.parametrize("field", ["token_url", "client_id"])
def test_a_missing_setting_is_said(field):
    """Without an endpoint or a client nothing can be sent."""
    with pytest.raises(ConfigMissing):
        refresh_request(replace(CONFIG, **{field: ""}), "t")


def test_revocation_and_introspection_name_the_token_and_its_kind():
    """RFC 7009 §2.1 and RFC 7662 §2.1, authenticated like a token request."""
    config = replace(
        CONFIG,
        revocation_url="https://login.acme.example/revoke",
        introspection_url="https://login.acme.example/introspect",
    )
    for build, url in (
        (revocation_request, config.revocation_url),
        (introspection_request, config.introspection_url),
    ):
        request = build(config, "the-token", "refresh_token")
        assert request is not None
        assert request.url == url
        assert form(request) == {
            "token": "the-token",
            "token_type_hint": "refresh_token",
        }
        assert "Authorization" in request.headers


def test_without_their_endpoints_there_is_nothing_to_send():
    """Many providers have neither; that is no error."""
    assert revocation_request(CONFIG, "t", "access_token") is None
    assert introspection_request(CONFIG, "t", "access_token") is None
