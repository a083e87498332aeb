"""What a login asks for besides scopes: resources, details, and who signs in and how."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from logins import CHALLENGE, CONFIG, NOW
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.oauth.authorization_request import authorization_url
from stayfast.engine.oauth.device import device_request, poll_request
from stayfast.engine.oauth.login_wishes import wishing
from stayfast.engine.oauth.provider import OAuthProvider
from stayfast.engine.oauth.settings_check import require_sendable
from stayfast.engine.oauth.token_endpoint import refresh_request, token_request
from stayfast.engine.oauth.token_status import revocation_request
from stayfast.engine.record import DeviceGrant
from stayfast.engine.secret import Secret

API = "https://api.example/mcp"
FILES = "urn:example:files"
DETAILS = '[{"type":"payment","amount":"1"}]'
GRANT = DeviceGrant(
    device_code=Secret("d"),
    user_code="u",
    verification_uri="https://a.example/device",
    verification_uri_complete=None,
    expires_at=NOW + 600,
    interval=5,
)
CLIENT = replace(
    CONFIG,
    client_secret=None,
    device_url="https://a.example/device_authorization",
    revocation_url="https://a.example/revoke",
)


def asked(config):
    """The parameters of each kind of request that ``config`` leads to, in order."""
    requests = {
        "device": device_request(config),
        "token": token_request(config, {"grant_type": "x"}),
        "poll": poll_request(config, GRANT),
        "refresh": refresh_request(config, "r"),
        "revoke": revocation_request(config, "t", "access_token"),
    }
    url = authorization_url(config, CHALLENGE, "http://127.0.0.1/callback")
    sent = {kind: parse_qsl(one.body.decode()) for kind, one in requests.items() if one}
    return {**sent, "auth": parse_qsl(urlsplit(url).query)}


def test_every_request_for_tokens_names_every_resource():
    """RFC 8707 §2: one parameter each, on all requests but a revocation."""
    sent = asked(wishing(CLIENT, {"resources": (API, FILES, API)}))
    named = {kind: [v for n, v in pairs if n == "resource"] for kind, pairs in sent.items()}

    assert named.pop("revoke") == []
    assert set(map(tuple, named.values())) == {(API, FILES)}


def test_one_text_is_one_resource():
    """A single address is not taken apart."""
    assert wishing(CLIENT, {"resources": API}).resources == (API,)


def test_in_json_a_repeated_name_has_a_list():
    """A server that wants JSON gets all resources too."""
    config = replace(CLIENT, token_request_format="json")
    body = refresh_request(replace(config, resources=(API, FILES)), "r").body

    assert json.loads(body)["resource"] == [API, FILES]
    assert (
        json.loads(refresh_request(replace(config, resources=(API,)), "r").body)["resource"] == API
    )


@pytest.mark.parametrize("kind", ["auth", "device", "token", "refresh", "revoke"])
def test_a_further_parameter_goes_with_its_kind_of_request_alone(kind):
    """Each setting reaches the requests that it names; polls bring first tokens like a code."""
    sent = asked(replace(CLIENT, **{f"extra_{kind}_params": {"x": "y"}}))
    having = {one for one, pairs in sent.items() if ("x", "y") in pairs}

    assert having == ({"token", "poll"} if kind == "token" else {kind})


def test_details_go_where_consent_is_asked_for():
    """RFC 9396 §3: with the authorization request and the device request, as they were given."""
    given = [{"type": "payment", "amount": "1"}]
    sent = asked(wishing(CLIENT, {"authorization_details": given}))
    named = {kind for kind, pairs in sent.items() if ("authorization_details", DETAILS) in pairs}

    assert named == {"auth", "device"}


def test_wishes_about_the_user_go_with_the_first_request_of_either_way():
    """A login may change from a browser to a device code, and asks for the same."""
    config = replace(CLIENT, extra_auth_params={"prompt": "consent", "hd": "a.example"})
    sent = asked(
        wishing(
            config,
            {
                "prompt": ["login", "consent"],
                "login_hint": "ada@a.example",
                "max_age": 300,
                "acr_values": "urn:a urn:b",
                "ui_locales": ("de", "en"),
            },
        )
    )
    wanted = {
        "prompt": "login consent",
        "login_hint": "ada@a.example",
        "max_age": "300",
        "acr_values": "urn:a urn:b",
        "ui_locales": "de en",
    }

    assert wanted.items() <= dict(sent["device"]).items()
    assert {**wanted, "hd": "a.example"}.items() <= dict(sent["auth"]).items()
    assert not wanted.keys() & (dict(sent["refresh"]) | dict(sent["token"])).keys()


@pytest.mark.parametrize(
    "wishes",
    [
        {"resources": [""]},
        {"resources": ["api.example/mcp"]},
        {"resources": ["https://api.example/mcp#part"]},
        {"resources": ["https://api.example/a b"]},
        {"resources": ["https:///mcp"]},
        {"resources": ["https://[::1/mcp"]},
        {"resources": ["urn:"]},
        {"authorization_details": "payment"},
        {"authorization_details": "{}"},
        {"authorization_details": "[]"},
        {"authorization_details": '[{"amount": 1}]'},
        {"authorization_details": "[" * 100_000},
        {"authorization_details": [{"type": {1}}]},
        {"prompt": "none login"},
        {"prompt": " "},
        {"prompt": 5},
        {"login_hint": "a\nb"},
        {"login_hint": ["a", "b"]},
        {"max_age": -1},
        {"max_age": float("nan")},
        {"max_age": True},
        {"max_age": "soon"},
        {"max_age": "9" * 5000},
        {"acr_values": []},
    ],
    ids=lambda wishes: str(wishes)[:50],
)
def test_a_wish_that_cannot_be_sent_is_refused_before_anything_is(wishes):
    """With an error of ours, whatever its type."""
    with pytest.raises(ConfigInvalid):
        wishing(CLIENT, wishes)


def test_no_wish_changes_nothing():
    """Absent and `None` mean the same."""
    assert wishing(CLIENT, {"prompt": None, "resources": None}) is CLIENT


@pytest.mark.parametrize(
    "settings",
    [
        {"resources": (API,), "extra_auth_params": {"resource": API}},
        {"resources": (API,), "extra_token_params": {"Resource": API}},
        {"authorization_details": DETAILS, "extra_auth_params": {"authorization_details": DETAILS}},
        {"extra_token_params": {"code_verifier": "x"}},
        {"extra_refresh_params": {"refresh_token": "x"}},
        {"extra_device_params": {"client_secret": "x"}},
        {"extra_revoke_params": {" Token": "x"}},
        {"extra_token_params": {"client_assertion": "x"}},
    ],
    ids=str,
)
def test_what_is_sent_by_itself_cannot_be_configured_besides(settings):
    """By none of the settings with further parameters."""
    with pytest.raises(ConfigInvalid):
        OAuthProvider(service_name="x", **settings)


@pytest.mark.parametrize("kind", ["device", "token", "refresh", "revoke"])
@pytest.mark.parametrize("parameters", [{"": "x"}, {"a": "b\r\nc"}, {"max_age": "x"}], ids=str)
def test_further_parameters_that_cannot_be_sent_are_refused(kind, parameters):
    """As those of the authorization request always were."""
    with pytest.raises(ConfigInvalid):
        require_sendable(OAuthProvider(service_name="x", **{f"extra_{kind}_params": parameters}))
