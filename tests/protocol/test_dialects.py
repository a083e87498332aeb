"""Providers that speak otherwise than the RFCs: what they are sent, and what they answer.

Each answer has the shape that the provider's documentation, or its own client, shows. The settings are
the ones a catalogue would have.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from logins import BY_DEVICE, NOW
from recorded import answer
from stayfast.engine.errors import NetworkError, ProviderError
from stayfast.engine.oauth.device import (
    PollAnswer,
    PollKind,
    device_request,
    judge_device_response,
    judge_poll,
    poll_request,
)
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.settings_check import require_sendable
from stayfast.engine.oauth.token_endpoint import judge_token_response, refresh_request
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.record import DeviceGrant
from stayfast.interfaces.catalogue import Catalogue

assert BY_DEVICE.device is not None
GRANT: DeviceGrant = BY_DEVICE.device
CODE = GRANT.device_code.reveal()


def config(**settings: Any) -> OAuthConfig:
    """A provider with ``settings``, and a client."""
    made = OAuthConfig.from_dict({"service_name": "x", "client_id": "cid", **settings})
    require_sendable(made)
    return made


TWITCH = config(
    device_url="https://id.twitch.tv/oauth2/device",
    token_url="https://id.twitch.tv/oauth2/token",
    scopes=["user:read:email"],
    parameter_names={"scope": "scopes"},
    member_names={"error": "message"},
    error_codes={"invalid device code": "expired_token", "Invalid refresh token": "invalid_grant"},
    repeats_scope=["poll"],
)
SALESFORCE = config(
    device_url="https://login.salesforce.com/services/oauth2/token",
    token_url="https://login.salesforce.com/services/oauth2/token",
    scopes=["api", "refresh_token"],
    extra_device_params={"response_type": "device_code"},
    parameter_names={"device_code": "code"},
    device_grant_type="device",
    device_lifetime=600,
)
FACEBOOK = config(
    device_url="https://graph.facebook.com/v21.0/device/login",
    token_url="https://graph.facebook.com/v21.0/device/login_status",
    client_id="1234|token",
    scopes=["public_profile", "email"],
    scope_separator=",",
    parameter_names={"client_id": "access_token", "device_code": "code"},
    member_names={"device_code": "code", "error": "error.error_subcode"},
    error_codes={
        "1349174": "authorization_pending",
        "1349172": "slow_down",
        "1349152": "expired_token",
    },
)
AWS = config(
    device_url="https://oidc.eu-west-1.amazonaws.com/device_authorization",
    token_url="https://oidc.eu-west-1.amazonaws.com/token",
    client_secret="secret",
    token_endpoint_auth_method="client_secret_post",
    token_request_format="json",
    extra_device_params={"startUrl": "https://acme.awsapps.com/start"},
    sends_scope=False,
    scopes=["sso:account:access"],
    parameter_names={
        "client_id": "clientId",
        "client_secret": "clientSecret",
        "grant_type": "grantType",
        "device_code": "deviceCode",
        "code_verifier": "codeVerifier",
        "redirect_uri": "redirectUri",
        "refresh_token": "refreshToken",
    },
    member_names={
        "access_token": "accessToken",
        "expires_in": "expiresIn",
        "refresh_token": "refreshToken",
        "token_type": "tokenType",
        "id_token": "idToken",
        "device_code": "deviceCode",
        "user_code": "userCode",
        "verification_uri": "verificationUri",
        "verification_uri_complete": "verificationUriComplete",
    },
)


def form(body: bytes | None) -> dict[str, list[str]]:
    """The parameters of a form."""
    return parse_qs((body or b"").decode(), keep_blank_values=True, strict_parsing=True)


def test_twitch_gets_scopes_with_the_request_and_with_every_poll() -> None:
    """Twitch documents ``scopes``, also as a parameter of each poll (dev.twitch.tv, device code grant)."""
    assert form(device_request(TWITCH).body) == {
        "client_id": ["cid"], "scopes": ["user:read:email"],
    }  # fmt: skip
    assert form(poll_request(TWITCH, GRANT).body) == {
        "client_id": ["cid"],
        "scopes": ["user:read:email"],
        "device_code": [CODE],
        "grant_type": ["urn:ietf:params:oauth:grant-type:device_code"],
    }
    assert "scopes" not in form(refresh_request(TWITCH, "r").body)


@pytest.mark.parametrize(
    ("message", "kind"),
    [("authorization_pending", PollKind.PENDING), ("invalid device code", PollKind.EXPIRED)],
)
def test_twitch_says_in_message_what_others_say_in_error(message: str, kind: PollKind) -> None:
    """Its pending answer is ``{"status": 400, "message": "authorization_pending"}``."""
    body = {"status": 400, "message": message}

    assert judge_poll(TWITCH, answer(body, status=400)) == PollAnswer(kind)


def test_twitch_refuses_a_refresh_token_in_message_too() -> None:
    """A word that its entry translates is a refusal; any other message is trouble, and costs nothing."""
    previous = OAuthTokens(access_token="a", refresh_token="r")
    body = {"error": "Bad Request", "status": 400, "message": "Invalid refresh token"}
    with pytest.raises(ProviderError) as caught:
        judge_token_response(TWITCH, answer(body, status=400), previous=previous)
    assert caught.value.oauth_error == "invalid_grant"

    body["message"] = "Something odd"
    with pytest.raises(NetworkError):
        judge_token_response(TWITCH, answer(body, status=400), previous=previous)


def test_twitch_grants_scopes_as_an_array() -> None:
    """``scope`` of its token answer is a list; a message beside tokens is no error."""
    body = {
        "access_token": "at", "expires_in": 14346, "refresh_token": "rt", "message": "well done",
        "scope": ["user:read:email", "chat:read"], "token_type": "bearer",
    }  # fmt: skip
    tokens = judge_poll(TWITCH, answer(body))

    assert isinstance(tokens, OAuthTokens)
    assert tokens.scopes == ("user:read:email", "chat:read")


def test_salesforce_asks_and_polls_at_its_token_endpoint() -> None:
    """``response_type=device_code`` asks; ``grant_type=device`` with ``code`` polls."""
    request = device_request(SALESFORCE)

    assert request.url == SALESFORCE.token_url
    assert form(request.body) == {
        "client_id": ["cid"], "scope": ["api refresh_token"], "response_type": ["device_code"],
    }  # fmt: skip
    assert form(poll_request(SALESFORCE, GRANT).body) == {
        "client_id": ["cid"], "grant_type": ["device"], "code": [CODE],
    }  # fmt: skip


@pytest.mark.parametrize(("settings", "seconds"), [(SALESFORCE, 600), ("huggingface", 900)])
def test_a_code_without_a_lifetime_has_that_of_the_entry(settings: Any, seconds: int) -> None:
    """Salesforce and Hugging Face may leave ``expires_in`` out; what they do send counts."""
    body = {
        "user_code": "ABCD-EFGH", "device_code": "dc", "interval": 5,
        "verification_uri": "https://login.salesforce.com/setup/connect",
    }  # fmt: skip
    if settings == "huggingface":
        settings = config(device_url="https://huggingface.co/oauth/device", device_lifetime=900)
        body["verification_uri"] = "https://hf.co/oauth/device"

    assert judge_device_response(settings, answer(body), NOW + 5).expires_at == NOW + seconds
    lasting = answer({**body, "expires_in": 77})
    assert judge_device_response(settings, lasting, NOW + 5).expires_at == NOW + 77


def test_salesforce_answers_pending_and_then_without_a_lifetime() -> None:
    """Its errors have the RFC's names; its tokens come with ``instance_url`` and no ``expires_in``."""
    pending = {"error": "authorization_pending", "error_description": "waiting for user"}
    granted = {
        "access_token": "00D!AQ", "refresh_token": "5Aep", "signature": "x=", "scope": "api refresh_token",
        "instance_url": "https://acme.my.salesforce.com", "token_type": "Bearer",
        "id": "https://login.salesforce.com/id/00D/005", "issued_at": "1278448384422",
    }  # fmt: skip

    assert judge_poll(SALESFORCE, answer(pending, status=400)) == PollAnswer(PollKind.PENDING)
    tokens = judge_poll(SALESFORCE, answer(granted))
    assert isinstance(tokens, OAuthTokens)
    assert (tokens.expires_in, tokens.extra["instance_url"]) == (None, granted["instance_url"])


def test_facebook_calls_the_client_an_access_token_and_the_device_code_a_code() -> None:
    """``access_token={appId}|{clientToken}`` and comma scopes; ``code`` comes, and ``code`` is polled with."""
    asked = form(device_request(FACEBOOK).body)
    assert asked == {"access_token": ["1234|token"], "scope": ["public_profile,email"]}
    body = {
        "code": "92a2b2e351f2b0b3503b2de251132f47", "user_code": "A1NWZ9",
        "verification_uri": "https://www.facebook.com/device", "expires_in": 420, "interval": 5,
    }  # fmt: skip
    grant = judge_device_response(FACEBOOK, answer(body))
    assert grant.device_code.reveal() == body["code"]

    polled = form(poll_request(FACEBOOK, grant).body)
    assert (polled["access_token"], polled["code"]) == (["1234|token"], [body["code"]])


@pytest.mark.parametrize(
    ("subcode", "kind"),
    [(1349174, PollKind.PENDING), (1349172, PollKind.SLOW_DOWN), (1349152, PollKind.EXPIRED)],
)
def test_facebook_says_pending_by_a_number(subcode: int, kind: PollKind) -> None:
    """``error.error_subcode`` of a 400 (developers.facebook.com, Login for Devices)."""
    body = {
        "error": {
            "message": "This request requires the user to take a pending action",
            "code": 31, "error_subcode": subcode, "error_user_title": "Device Login Authorization Pending",
        },
    }  # fmt: skip

    assert judge_poll(FACEBOOK, answer(body, status=400)) == PollAnswer(kind)


def test_facebook_without_a_number_is_trouble() -> None:
    """An error that its entry does not translate settles nothing."""
    body = {
        "error": {"message": "Invalid OAuth access token.", "type": "OAuthException", "code": 190}
    }

    with pytest.raises(NetworkError):
        judge_poll(FACEBOOK, answer(body, status=400))


def test_aws_speaks_json_in_camel_case_both_ways() -> None:
    """The names of botocore's ``sso-oidc`` service, with ``startUrl`` in the device request."""
    asked, polled, refreshed = (
        json.loads(request.body or b"")
        for request in (device_request(AWS), poll_request(AWS, GRANT), refresh_request(AWS, "r"))
    )
    client = {"clientId": "cid", "clientSecret": "secret"}

    assert asked == {**client, "startUrl": "https://acme.awsapps.com/start"}
    grant_type = "urn:ietf:params:oauth:grant-type:device_code"
    assert polled == {**client, "grantType": grant_type, "deviceCode": CODE}
    assert refreshed == {**client, "grantType": "refresh_token", "refreshToken": "r"}


def test_aws_answers_are_read() -> None:
    """StartDeviceAuthorization and CreateToken; ``error`` has the codes of the RFC."""
    grant = judge_device_response(
        AWS,
        answer(
            {
                "deviceCode": "dc", "userCode": "WXYZ-1234", "expiresIn": 600, "interval": 1,
                "verificationUri": "https://device.sso.eu-west-1.amazonaws.com/",
                "verificationUriComplete": "https://device.sso.eu-west-1.amazonaws.com/?user_code=WXYZ-1234",
            }
        ),
    )  # fmt: skip
    assert (grant.user_code, grant.expires_at, grant.interval) == ("WXYZ-1234", NOW + 600, 1)
    assert grant.verification_uri_complete is not None
    pending = {"error": "authorization_pending", "error_description": None}
    assert judge_poll(AWS, answer(pending, status=400)) == PollAnswer(PollKind.PENDING)

    tokens = judge_poll(
        AWS,
        answer(
            {"accessToken": "at", "expiresIn": 28800, "refreshToken": "rt", "tokenType": "Bearer"}
        ),
    )
    assert isinstance(tokens, OAuthTokens)
    assert (tokens.access_token, tokens.refresh_token, tokens.expires_in) == ("at", "rt", 28800)
    assert not tokens.extra


@pytest.mark.parametrize(
    ("names", "body", "scopes"),
    [
        ({"scope": "scopes"}, {"access_token": "a", "scopes": "account repository"}, ("account", "repository")),
        ({"scope": "scopes"}, {"access_token": "a", "scope": "account"}, ("account",)),
        ({"access_token": "accessToken", "expires_in": "expiresIn"}, {"accessToken": "a", "expiresIn": 1800}, ()),
        ({"access_token": "accessToken", "expires_in": "expiresIn"}, {"access_token": "a", "expires_in": 1800}, ()),
    ],
    ids=["bitbucket", "bitbucket-by-the-rfc", "hubspot", "hubspot-by-the-rfc"],
)  # fmt: skip
def test_the_names_of_the_rfc_are_read_beside_the_provider_s_own(
    names: dict[str, str], body: dict[str, Any], scopes: tuple[str, ...]
) -> None:
    """Bitbucket answers ``scopes``; a page of HubSpot's shows camelCase, its server not always."""
    tokens = judge_token_response(config(member_names=names), answer(body))

    assert (tokens.access_token, tokens.scopes) == ("a", scopes)


def test_figma_refreshes_elsewhere() -> None:
    """``/v1/oauth/refresh``; nothing else goes there."""
    figma = config(
        token_url="https://api.figma.com/v1/oauth/token",
        refresh_url="https://api.figma.com/v1/oauth/refresh",
        device_url="https://api.figma.com/d",
    )

    assert refresh_request(figma, "r").url == figma.refresh_url
    assert poll_request(figma, GRANT).url == figma.token_url


def test_snowflake_wants_the_scopes_again() -> None:
    """Its refresh repeats ``scope``; where scopes are fixed at the client none is ever sent."""
    snowflake = config(
        token_url="https://acme.snowflakecomputing.com/oauth/token-request",
        device_url="https://acme.snowflakecomputing.com/d",
        scopes=["refresh_token", "session:role:R1"],
        repeats_scope=["refresh"],
    )
    silent = replace(snowflake, sends_scope=False, repeats_scope=("refresh", "poll"))

    assert form(refresh_request(snowflake, "r").body)["scope"] == ["refresh_token session:role:R1"]
    assert "scope" not in form(poll_request(snowflake, GRANT).body)
    for request in (
        refresh_request(silent, "r"), poll_request(silent, GRANT), device_request(silent),
    ):  # fmt: skip
        assert "scope" not in form(request.body)


def test_what_is_added_keeps_its_name() -> None:
    """Further parameters are sent to the letter; only ours are translated."""
    added = replace(TWITCH, extra_refresh_params={"scope": "x"}, extra_token_params={"device": "y"})

    assert form(refresh_request(added, "r").body)["scope"] == ["x"]
    assert form(poll_request(added, GRANT).body)["device"] == ["y"]


def test_the_dialect_of_the_guide_can_be_configured(tmp_path: Path) -> None:
    """What the page shows is a table that the command takes as it stands."""
    page = Path(__file__).parents[2] / "docs" / "guides" / "add-a-provider.md"
    (table,) = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    tmp_path.chmod(0o700)
    (tmp_path / "config.toml").write_text(table)
    (tmp_path / "config.toml").chmod(0o600)

    found = Catalogue(str(tmp_path), environ={}).provider("odd")
    assert found.error_codes == {"Invalid refresh token": "invalid_grant"}


def test_a_word_of_the_provider_refuses_in_a_200_as_well() -> None:
    """GitHub and Slack say no with status 200; a translated word goes the same way."""
    with pytest.raises(ProviderError) as caught:
        judge_token_response(
            config(member_names={"error": "fault.code"}, error_codes={"E7": "invalid_grant"}),
            answer({"fault": {"code": "E7"}}),
        )
    assert caught.value.oauth_error == "invalid_grant"
