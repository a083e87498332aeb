"""The authorization request."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from logins import CHALLENGE, CONFIG
from stayfast.engine.errors import ConfigInvalid, ConfigMissing, IllegalTransition
from stayfast.engine.oauth.authorization_request import authorization_url, client_variable
from stayfast.engine.oauth.pkce import PKCEChallenge

REDIRECT = "http://127.0.0.1:8080/callback"


def asked(config=CONFIG):
    """The parameters of the authorization URL, each of which must stand there once."""
    pairs = parse_qsl(urlsplit(authorization_url(config, CHALLENGE, REDIRECT)).query)
    parameters = dict(pairs)
    assert len(parameters) == len(pairs)
    return parameters


def test_everything_a_code_request_needs_is_there_and_nothing_else():
    """Code flow with PKCE S256, state and the redirect address, on the endpoint's own address."""
    url = urlsplit(authorization_url(CONFIG, CHALLENGE, REDIRECT))

    assert (url.scheme, url.netloc, url.path) == ("https", "login.acme.example", "/authorize")
    assert asked() == {
        "response_type": "code",
        "client_id": "acme-cli",
        "redirect_uri": REDIRECT,
        "scope": "read write",
        "state": "canary-state",
        "code_challenge": PKCEChallenge.from_verifier("canary-verifier").code_challenge,
        "code_challenge_method": "S256",
    }


def test_neither_verifier_nor_secret_leave_the_machine():
    """The address that goes through a browser holds no secret of the client."""
    url = authorization_url(replace(CONFIG, scopes=("openid",)), CHALLENGE, REDIRECT)

    assert "canary-verifier" not in url
    assert "canary-client-secret" not in url


def test_the_nonce_goes_along_with_openid_only():
    """Only an ID token carries a nonce back."""
    assert asked(replace(CONFIG, scopes=("openid", "email")))["nonce"] == "canary-nonce"
    assert "nonce" not in asked()


def test_scopes_are_joined_and_named_as_the_provider_wants():
    """Linear joins with commas; Slack has another parameter for users' scopes."""
    config = replace(CONFIG, scope_separator=",", scope_parameter="user_scope")

    assert asked(config)["user_scope"] == "read,write"
    assert "scope" not in asked(config)


def test_audience_and_extra_parameters_and_an_existing_query_are_kept():
    """What the configuration adds is added."""
    config = replace(
        CONFIG,
        auth_url="https://login.acme.example/authorize?policy=b2c",
        audience="api.acme.example",
        extra_auth_params={"prompt": "consent"},
    )
    found = asked(config)

    assert (found["policy"], found["audience"], found["prompt"]) == (
        "b2c",
        "api.acme.example",
        "consent",
    )


OURS = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
    "code_challenge_method", "request", "request_uri",
)  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_no_configuration_sets_a_parameter_of_ours(name):
    """Neither extra parameters nor the endpoint's own query replace what the checks rest on."""
    with pytest.raises(ConfigInvalid):
        asked(replace(CONFIG, extra_auth_params={name: "x"}))
    with pytest.raises(ConfigInvalid):
        asked(replace(CONFIG, auth_url=f"https://login.acme.example/authorize?{name}=x"))


@pytest.mark.parametrize(
    "address",
    [
        "http://login.acme.example/authorize",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://login.acme.example\\@127.0.0.1/",
        "https://user@login.acme.example/",
        "https:///authorize",
        "https://login.acme.example:port/",
        "https://[::1",
    ],
)
def test_only_a_safe_address_is_opened(address):
    """What is handed to a browser is https, or http to this machine."""
    with pytest.raises(ConfigInvalid):
        asked(replace(CONFIG, auth_url=address))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost"])
def test_a_provider_on_this_machine_needs_no_tls(host):
    """A development server may be asked in the clear."""
    url = authorization_url(replace(CONFIG, auth_url=f"http://{host}:9/a"), CHALLENGE, REDIRECT)

    assert url.startswith(f"http://{host}:9/a?")


def test_a_missing_client_id_names_its_variable():
    """The hint is the command that mends it."""
    with pytest.raises(ConfigMissing) as caught:
        asked(replace(CONFIG, service_name="my-git.lab", client_id=""))

    assert caught.value.hint == "export MY_GIT_LAB_CLIENT_ID=…"
    assert client_variable("my-git.lab", "CLIENT_SECRET") == "MY_GIT_LAB_CLIENT_SECRET"


def test_a_missing_endpoint_is_a_missing_setting():
    """A provider of the device flow alone has no such address."""
    with pytest.raises(ConfigMissing):
        asked(replace(CONFIG, auth_url=""))


def test_a_spent_state_is_not_asked_with_again():
    """Once a callback was accepted, the same request must not go out."""
    with pytest.raises(IllegalTransition):
        authorization_url(CONFIG, replace(CHALLENGE, state=None), REDIRECT)
