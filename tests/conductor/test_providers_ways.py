"""Whole logins at providers with ways of their own: which client asks, by what, and what is kept.

The provider answers what its documentation shows. It notes what it was sent.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conductors import conductor_over
from instant import ManualClock
from logins import CONFIG, NOW, ORIGIN, TOKENS, login_in
from recorded import answer
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.errors import CallbackRefused, ConfigInvalid, ConfigMissing
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.oauth.callback import validate_callback
from stayfast.engine.oauth.provider import OAuthConfig, same_client
from stayfast.engine.oauth.settings_check import require_sendable
from stayfast.engine.ports import Change, HttpRequest, HttpResponse
from stayfast.engine.record import Login, Presentation
from stayfast.engine.table import State
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage import MemoryStorage
from stayfast.transports.choice import Environment, choose
from stayfast.transports.device import DeviceTransport
from stayfast.transports.manual import ManualTransport
from wire_talk import Notices

DEVICE_ANSWER = {
    "device_code": "dc", "user_code": "ABCD-EFGH", "verification_uri": "https://a.example/device",
    "expires_in": 900, "interval": 5,
}  # fmt: skip
BY_HAND = Presentation(transport="manual", redirect_uri="http://127.0.0.1:8080/callback")
GRANTED = {"access_token": "at", "refresh_token": "rt", "token_type": "bearer", "expires_in": 28800}


class Provider:
    """Answers in order, whatever is asked; notes each request."""

    def __init__(self, answers: Sequence[tuple[int, Any]]) -> None:
        self._answers = list(answers)
        self.requests: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        """The next answer."""
        self.requests.append(request)
        status, body = self._answers.pop(0)
        return answer(body, status)

    def forms(self) -> list[dict[str, list[str]]]:
        """The parameters of each request."""
        return [
            parse_qs((one.body or b"").decode(), keep_blank_values=True) for one in self.requests
        ]


class Typed:
    """A person who pastes the answer that ``paste`` makes from the address that was shown."""

    def __init__(self, notices: Notices, paste: Any) -> None:
        self._notices = notices
        self._paste = paste

    def read(self, seconds: float) -> Any:
        """The paste."""
        del seconds
        from stayfast.engine.secret import Secret  # noqa: PLC0415

        return Secret(self._paste(self._notices.shown[-1].url))

    def close(self) -> None:
        """Nothing to give back."""


def by_device(config: OAuthConfig, *answers: tuple[int, Any]) -> tuple[Login, Provider, Conductor]:
    """A device login that is finished; each of the ``answers`` follows that to the device request."""
    provider, clock = Provider(answers), ManualClock(NOW)
    conductor = conductor_over(MemoryStorage(), http=provider, clock=clock)
    login = conductor.sign_in(config, DeviceTransport(Notices({}), provider, clock))
    return login, provider, conductor


def by_hand(
    config: OAuthConfig, paste: Any, *answers: tuple[int, Any], observers: Sequence[Any] = ()
) -> tuple[Login, Provider, Conductor, dict[str, list[str]]]:
    """A login by a pasted answer that is finished, and the parameters of its address."""
    provider, notices = Provider(answers), Notices({})
    conductor = conductor_over(
        MemoryStorage(), http=provider, clock=ManualClock(NOW), observers=observers
    )
    login = conductor.sign_in(config, ManualTransport(notices, lambda: Typed(notices, paste)))
    shown = next(one.url for one in notices.shown if one.url)
    return login, provider, conductor, parse_qs(urlsplit(shown).query)


def whole_address(url: str) -> str:
    """The address that the browser ends on."""
    asked = parse_qs(urlsplit(url).query)
    return f"{asked['redirect_uri'][0]}?code=the-code&state={asked['state'][0]}"


def settings(**changes: Any) -> OAuthConfig:
    """A provider with all endpoints on one host."""
    base: Mapping[str, Any] = {
        "service_name": "x",
        "client_id": "web",
        "auth_url": "https://a.example/authorize",
        "token_url": "https://a.example/token",
        "device_url": "https://a.example/device",
        "scopes": ["read"],
    }
    return OAuthConfig.from_dict({**base, **changes})


def test_google_s_device_flow_has_a_client_and_scopes_of_its_own() -> None:
    """A "TVs and Limited Input" client, with its secret, and the few scopes it may ask for.

    The tokens are that client's: their refresh is, too.
    """
    google = settings(
        client_secret="desktop-secret",
        client_id_for_device="tv",
        client_secret_for_device="tv-secret",
        scopes=["openid-less", "https://www.googleapis.com/auth/calendar"],
        scopes_for_device=["email"],
        token_endpoint_auth_method="client_secret_post",
    )
    login, provider, conductor = by_device(
        google, (200, DEVICE_ANSWER), (428, {"error": "authorization_pending"}), (200, GRANTED),
        (200, {"access_token": "at2", "expires_in": 3599}),
    )  # fmt: skip
    conductor.refresh.valid(login.provider, login.account, force=True)

    for form in provider.forms():
        assert (form["client_id"], form["client_secret"]) == (["tv"], ["tv-secret"])
    assert provider.forms()[0]["scope"] == ["email"]
    assert login.tokens is not None
    assert login.tokens.scopes == ("email",)
    assert same_client(login.config, google)


def test_github_proves_its_client_with_a_browser_and_not_in_the_device_flow() -> None:
    """The secret goes with the code and later refreshes, and with none of a device login's requests."""
    github = settings(client_secret="s", secret_for="code", token_endpoint_auth_method="auto_post")
    login, provider, conductor = by_device(
        github, (200, DEVICE_ANSWER), (200, {"error": "authorization_pending"}), (200, GRANTED),
        (200, GRANTED),
    )  # fmt: skip
    conductor.refresh.valid(login.provider, login.account, force=True)
    assert all("client_secret" not in form for form in provider.forms())
    assert all("Authorization" not in one.headers for one in provider.requests)

    login, provider, conductor, _ = by_hand(github, whole_address, (200, GRANTED), (200, GRANTED))
    conductor.refresh.valid(login.provider, login.account, force=True)
    assert [form["client_secret"] for form in provider.forms()] == [["s"], ["s"]]


def test_without_a_secret_github_can_be_signed_in_to_by_device_alone() -> None:
    """A browser is not even opened, and the choice of a way says so."""
    github = settings(secret_for="code")
    assert choose(Environment.current(github, environ={})).transport == "device"

    by_device(github, (200, DEVICE_ANSWER), (200, GRANTED))
    with pytest.raises(ConfigMissing):
        by_hand(github, whole_address)
    with pytest.raises(ConfigMissing):  # there is no other way
        by_hand(settings(secret_for="code", device_url=None), whole_address)


def test_reddit_sends_basic_with_an_empty_secret() -> None:
    """An "installed app" has no secret, and Reddit wants the header all the same."""
    reddit = settings(empty_secret=True)
    _, provider, _, _ = by_hand(reddit, whole_address, (200, GRANTED))

    (request,) = provider.requests
    assert request.headers["Authorization"] == "Basic " + b64encode(b"web:").decode()
    assert "client_id" not in provider.forms()[0]


@pytest.mark.parametrize("method", ["auto", "client_secret_basic", "client_secret_post"])
def test_entra_s_native_clients_send_no_secret(method: str) -> None:
    """One that is configured stays here: Entra refuses it with a native redirect address."""
    entra = settings(client_secret="s", secret_for="none", token_endpoint_auth_method=method)
    login, provider, conductor, _ = by_hand(entra, whole_address, (200, GRANTED), (200, GRANTED))
    conductor.refresh.valid(login.provider, login.account, force=True)

    assert login.state is State.AUTHENTICATED
    for form, request in zip(provider.forms(), provider.requests, strict=True):
        assert "client_secret" not in form
        assert "Authorization" not in request.headers


def test_without_pkce_no_proof_is_sent_and_the_log_says_so() -> None:
    """Bitbucket, Notion and others take none: neither request has it, every event of the login says it.

    State is checked as ever.
    """
    bitbucket = settings(pkce="off", device_url=None)
    events: list[Any] = []

    class Log:
        def observe(self, recorded: Any, login: Any) -> None:
            del login
            events.extend(one.members for one in recorded)

    login, provider, conductor, asked = by_hand(
        bitbucket, whole_address, (200, GRANTED), (200, GRANTED), observers=[Log()]
    )
    conductor.refresh.valid(login.provider, login.account, force=True)

    assert "state" in asked
    assert not [name for name in asked if name.startswith("code_challenge")]
    assert "code_verifier" not in provider.forms()[0]
    said = [(one["trigger"], one.get("pkce")) for one in events]
    assert said == [
        ("begin", "off"), ("present", "off"), ("receive_callback", "off"), ("accept_tokens", "off"),
        ("refresh", None), ("accept_tokens", None),
    ]  # fmt: skip


def test_with_pkce_the_log_says_nothing_of_it() -> None:
    """What is as it should be costs no member."""
    events: list[Any] = []

    class Log:
        def observe(self, recorded: Any, login: Any) -> None:
            del login
            events.extend(one.members for one in recorded)

    *_, asked = by_hand(settings(), whole_address, (200, GRANTED), observers=[Log()])

    assert asked["code_challenge_method"] == ["S256"]
    assert not [one for one in events if "pkce" in one]


def test_without_pkce_a_bare_code_is_no_answer() -> None:
    """A page that shows a code has no state; without PKCE nothing would tie that code to the login."""
    with pytest.raises(ConfigInvalid):
        by_hand(settings(pkce="off", shows_code=True), lambda _: "the-code")
    login = replace(
        login_in(State.AWAITING_CALLBACK, presentation=BY_HAND),
        config=replace(CONFIG, pkce="off", shows_code=True),
    )
    with pytest.raises(CallbackRefused):
        validate_callback([("code", "abc")], login)


AT, RT = "canary-access-token", "canary-refresh-token"
REVOKED, UNTOLD, TOO = "revoked", "unsupported_token_type", "ended_with_grant"
STYLES: list[Any] = [
    pytest.param(
        {
            "revocation_url": "https://api.github.com/applications/{client_id}/token",
            "revocation_method": "DELETE", "revocation_auth": "basic", "revocation_format": "json",
            "revocation_parameters": ["token"], "revocation_tokens": ["access_token"],
            "parameter_names": {"token": "access_token"}, "secret_for": "code",
            "revocation_ends": "token",
        },
        [(204, b"")],
        [("DELETE", "https://api.github.com/applications/acme-cli/token", "Basic", f'{{"access_token": "{AT}"}}')],
        {"access_token": REVOKED, "refresh_token": UNTOLD},
        id="github",
    ),
    pytest.param(
        {
            "revocation_url": "https://slack.com/api/auth.revoke", "revocation_auth": "bearer",
            "revocation_parameters": [], "revocation_tokens": ["access_token"],
            "revocation_ends": "token",
        },
        [(200, {"ok": True, "revoked": True})],
        [("POST", "https://slack.com/api/auth.revoke", f"Bearer {AT}", "")],
        {"access_token": REVOKED, "refresh_token": UNTOLD},
        id="slack",
    ),
    pytest.param(
        {
            "revocation_url": "https://slack.com/api/auth.revoke", "revocation_auth": "bearer",
            "revocation_parameters": [], "revocation_tokens": ["access_token"],
            "error_codes": {"not_authed": "invalid_token"},
        },
        [(200, {"ok": False, "error": "not_authed"})],
        [("POST", "https://slack.com/api/auth.revoke", f"Bearer {AT}", "")],
        {"access_token": "already_invalid", "refresh_token": UNTOLD},
        id="slack-no",
    ),
    pytest.param(
        {
            "revocation_url": "https://api.dropboxapi.com/2/auth/token/revoke",
            "revocation_auth": "bearer", "revocation_parameters": [],
            "revocation_tokens": ["access_token"], "revocation_ends": "grant",
        },
        [(200, "null")],
        [("POST", "https://api.dropboxapi.com/2/auth/token/revoke", f"Bearer {AT}", "")],
        {"access_token": REVOKED, "refresh_token": TOO},
        id="dropbox",
    ),
    pytest.param(
        {
            "revocation_url": "https://login.salesforce.com/services/oauth2/revoke",
            "revocation_auth": "none", "revocation_parameters": ["token"],
        },
        [(200, b""), (200, b"")],
        [
            ("POST", "https://login.salesforce.com/services/oauth2/revoke", "", f"token={RT}"),
            ("POST", "https://login.salesforce.com/services/oauth2/revoke", "", f"token={AT}"),
        ],
        {"access_token": REVOKED, "refresh_token": REVOKED},
        id="salesforce",
    ),
    pytest.param(
        {
            "revocation_url": "https://id.twitch.tv/oauth2/revoke", "revocation_auth": "none",
            "revocation_parameters": ["token", "client_id"], "revocation_tokens": ["access_token"],
        },
        [(200, b"")],
        [("POST", "https://id.twitch.tv/oauth2/revoke", "", f"token={AT}&client_id=acme-cli")],
        {"access_token": REVOKED, "refresh_token": UNTOLD},
        id="twitch",
    ),
    pytest.param(
        {
            "revocation_url": "https://www.strava.com/oauth/deauthorize", "revocation_auth": "none",
            "revocation_parameters": ["token"], "parameter_names": {"token": "access_token"},
            "revocation_tokens": ["access_token"], "revocation_ends": "all",
        },
        [(200, {"access_token": AT})],
        [("POST", "https://www.strava.com/oauth/deauthorize", "", f"access_token={AT}")],
        {"access_token": REVOKED, "refresh_token": TOO},
        id="strava",
    ),
    pytest.param(
        {
            "revocation_url": "https://discord.com/api/oauth2/token/revoke",
            "token_endpoint_auth_method": "client_secret_post", "revocation_ends": "grant",
        },
        [(200, {})],
        [("POST", "https://discord.com/api/oauth2/token/revoke", "",
          f"token={RT}&token_type_hint=refresh_token&client_id=acme-cli&client_secret=canary-client-secret")],
        {"access_token": TOO, "refresh_token": REVOKED},
        id="discord",
    ),
    pytest.param(
        {"revocation_url": "https://x.auth.eu-west-1.amazoncognito.com/oauth2/revoke",
         "revocation_tokens": ["refresh_token"]},
        [(200, b"")],
        [("POST", "https://x.auth.eu-west-1.amazoncognito.com/oauth2/revoke", "Basic",
          f"token={RT}&token_type_hint=refresh_token")],
        {"access_token": UNTOLD, "refresh_token": REVOKED},
        id="cognito",
    ),
    pytest.param(
        {"revocation_url": "https://slack.com/api/auth.revoke?a=b", "revocation_auth": "bearer",
         "revocation_parameters": [], "revocation_tokens": ["access_token"],
         "revocation_method": "GET", "extra_revoke_params": {"test": "1"}},
        [(200, {"ok": True})],
        [("GET", "https://slack.com/api/auth.revoke?a=b&test=1", f"Bearer {AT}", "")],
        {"access_token": REVOKED, "refresh_token": UNTOLD},
        id="slack-by-get",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "answers", "sent", "outcomes"), STYLES)
def test_each_provider_is_told_in_its_own_way_that_a_token_ends(
    changes: dict[str, Any], answers: Any, sent: Any, outcomes: dict[str, str]
) -> None:
    """Method, authentication, parameters and body; and what is said of the other token."""
    storage, provider = MemoryStorage(), Provider(answers)
    config = OAuthConfig.from_dict({**CONFIG.to_dict(), **changes})
    require_sendable(config)
    held = replace(login_in(State.AUTHENTICATED, version=1, tokens=TOKENS), config=config)
    event = Event(time=NOW, event=EventKind.STORAGE_CHANGED, origin=ORIGIN)
    storage.commit([Change(login=held, event=event)])
    ended = conductor_over(storage, http=provider).logout.sign_out(held)

    assert {one.token: one.outcome.value for one in ended.revocations} == outcomes
    for request, (method, url, authorization, body) in zip(provider.requests, sent, strict=True):
        assert (request.method, request.url) == (method, url)
        shown = request.headers.get("Authorization", "")
        assert shown == authorization or (authorization and shown.startswith(f"{authorization} "))
        assert request.body.decode() == body
        assert ("Content-Type" in request.headers) == bool(body)
    kept = outcomes["refresh_token"] == UNTOLD
    assert ended.refresh_token_valid == kept
    assert ended.revoked == (not kept)


@pytest.mark.parametrize("status", [403, 500, 401])
def test_a_refusal_in_a_way_of_its_own_is_no_confirmation(status: int) -> None:
    """Mastodon refuses a foreign token with 403; GitHub answers 404 for one it does not know."""
    storage, provider = MemoryStorage(), Provider([(status, b"")])
    config = replace(
        CONFIG,
        revocation_url="https://a.example/r",
        revocation_auth="bearer",
        revocation_parameters=(),
        revocation_tokens=("access_token",),
    )
    held = replace(login_in(State.AUTHENTICATED, version=1, tokens=TOKENS), config=config)
    event = Event(time=NOW, event=EventKind.STORAGE_CHANGED, origin=ORIGIN)
    storage.commit([Change(login=held, event=event)])
    ended = conductor_over(storage, http=provider).logout.sign_out(held)

    assert ended.access_token_valid
    assert ended.revoked is False


@pytest.mark.parametrize("place", ["environment", "file", "secret file"])
def test_the_client_of_the_device_flow_is_configured_like_the_other(
    tmp_path: Any, place: str
) -> None:
    """By ``<NAME>_DEVICE_CLIENT_ID`` or in the file; it may be the only one."""
    tmp_path.chmod(0o700)
    kept = tmp_path / "secret"
    kept.write_text("tv-secret\n")
    kept.chmod(0o600)
    text = '[providers.x]\ntoken_url = "https://a.example/t"\ndevice_url = "https://a.example/d"\n'
    environ = {}
    if place == "environment":
        environ = {"X_DEVICE_CLIENT_ID": "tv", "X_DEVICE_CLIENT_SECRET": "tv-secret"}
    elif place == "file":
        text += 'client_id_for_device = "tv"\nclient_secret_for_device = "tv-secret"\n'
    else:
        text += f'client_id_for_device = "tv"\nclient_secret_for_device_file = "{kept}"\n'
    (tmp_path / "config.toml").write_text(text)
    (tmp_path / "config.toml").chmod(0o600)
    catalogue = Catalogue(str(tmp_path), environ=environ)

    config = catalogue.lookup("x").of_device_flow()
    assert (config.client_id, config.client_secret) == ("tv", "tv-secret")
    assert "tv-secret" not in repr(config)
    named = catalogue.lookup("x", client_id="mine").of_device_flow()
    assert (named.client_id, named.client_secret) == ("mine", None)
