"""Whole logins at providers with ways of their own: which client asks, by what, and what is kept.

The provider answers what its documentation shows. It notes what it was sent.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from conductors import conductor_over
from instant import ManualClock
from logins import CHALLENGE, CONFIG, NOW, ORIGIN, TOKENS, login_in
from recorded import answer
from stayfast.engine import cbor
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.codec import decode_login, encode_login
from stayfast.engine.errors import (
    AuthRequired,
    CallbackRefused,
    ConfigInvalid,
    ConfigMissing,
    NotFound,
    ProviderError,
    TokenExpired,
    TransportUnavailable,
)
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.oauth.callback import validate_callback
from stayfast.engine.oauth.provider import OAuthConfig, same_client
from stayfast.engine.oauth.setting_types import DEVICE_GRANT_TYPE
from stayfast.engine.oauth.settings_check import require_sendable
from stayfast.engine.oauth.token_endpoint import further_token
from stayfast.engine.oauth.token_extras import api_url, callback_extras, further_tokens
from stayfast.engine.ports import Change, HttpRequest, HttpResponse
from stayfast.engine.reasons import Refusal
from stayfast.engine.record import Login, Presentation
from stayfast.engine.secret import Secret
from stayfast.engine.summary_codec import decode_summary
from stayfast.engine.table import State
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.catalogue.lookup import settings_of_kind
from stayfast.interfaces.catalogue.shipped import made_provider
from stayfast.interfaces.clients import Clients
from stayfast.interfaces.signed_in import SignedIn
from stayfast.storage import MemoryStorage
from stayfast.transports.choice import Environment, choose
from stayfast.transports.device import DeviceTransport
from stayfast.transports.loopback.redirect import require_redirect
from stayfast.transports.manual import ManualTransport
from wire_talk import Notices

DEVICE_ANSWER = {
    "device_code": "dc", "user_code": "ABCD-EFGH", "verification_uri": "https://a.example/device",
    "expires_in": 900, "interval": 5,
}  # fmt: skip
BY_HAND = Presentation(transport="manual", redirect_uri="http://127.0.0.1:8080/callback")
AWS_DEVICE = {
    "deviceCode": "dc", "userCode": "WXYZ-1234", "expiresIn": 600, "interval": 1,
    "verificationUri": "https://device.sso.eu-west-1.amazonaws.com/",
}  # fmt: skip
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


class Timed:
    """The provider's answers arrive when the clock says."""

    def __init__(self, provider: Provider, clock: ManualClock) -> None:
        self._provider = provider
        self._clock = clock

    def send(self, request: HttpRequest) -> HttpResponse:
        """The next answer, now."""
        return replace(self._provider.send(request), received_at=self._clock.now())


class Typed:
    """A person who pastes the answer that ``paste`` makes from the address that was shown."""

    def __init__(self, notices: Notices, paste: Callable[[str], str]) -> None:
        self._notices = notices
        self._paste = paste
        self._pasted = False

    def read(self, seconds: float) -> Secret:
        """The paste."""
        del seconds
        if self._pasted:
            raise TransportUnavailable("one paste was all")
        self._pasted = True
        return Secret(self._paste(self._notices.shown[-1].url or ""))

    def fileno(self) -> int | None:
        """Nothing to wait on."""
        return None

    def close(self) -> None:
        """Nothing to give back."""


def by_device(config: OAuthConfig, *answers: tuple[int, Any]) -> tuple[Login, Provider, Conductor]:
    """A device login that is finished; each of the ``answers`` follows that to the device request."""
    provider, clock = Provider(answers), ManualClock(NOW)
    conductor = conductor_over(MemoryStorage(), http=provider, clock=clock)
    login = conductor.sign_in(config, DeviceTransport(Notices({}), provider, clock))
    return login, provider, conductor


def by_hand(
    config: OAuthConfig,
    paste: Callable[[str], str],
    *answers: tuple[int, Any],
    observers: Sequence[Any] = (),
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


def test_without_a_secret_the_device_flow_is_chosen_at_github() -> None:
    """Whoever asks for another way gets it, and the provider decides: it is sent no secret."""
    github = settings(secret_for="code")
    assert choose(Environment.current(github, environ={})).transport == "device"
    by_device(github, (200, DEVICE_ANSWER), (200, GRANTED))

    for asked in (github, settings(secret_for="code", device_url=None)):
        _, provider, _, _ = by_hand(asked, whole_address, (200, GRANTED))
        assert "client_secret" not in provider.forms()[0]


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
        login_in(State.AWAITING_CALLBACK, presentation=BY_HAND, challenge=CHALLENGE),
        config=replace(CONFIG, pkce="off", shows_code=True),
    )
    with pytest.raises(CallbackRefused) as caught:
        validate_callback([("code", "abc")], login)
    assert caught.value.reason == Refusal.MISSING_STATE.value


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
        [(200, "{}")],
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


def test_a_revocation_that_needs_the_secret_is_not_sent_without_it() -> None:
    """GitHub revokes for whoever has the client's secret; a device login may have none. It is said."""
    config = replace(
        CONFIG,
        client_secret=None,
        revocation_url="https://api.github.com/applications/{client_id}/token",
        revocation_method="DELETE",
        revocation_auth="basic",
        revocation_tokens=("access_token",),
    )
    storage, provider = MemoryStorage(), Provider([])
    held = replace(login_in(State.AUTHENTICATED, version=1, tokens=TOKENS), config=config)
    event = Event(time=NOW, event=EventKind.STORAGE_CHANGED, origin=ORIGIN)
    storage.commit([Change(login=held, event=event)])
    ended = conductor_over(storage, http=provider).logout.sign_out(held)

    assert isinstance(ended.problem, ConfigMissing)
    assert ended.login.tokens is None
    assert (ended.access_token_valid, ended.refresh_token_valid) == (True, True)


@pytest.mark.parametrize(
    ("changes", "number"),
    [({}, 1), ({"pkce": "off"}, 4), ({"parameter_names": {"scope": "scopes"}}, 4), ({"refresh_url": "https://a.example/r"}, 4)],
)  # fmt: skip
def test_a_version_that_knows_no_dialects_does_not_read_what_it_would_break(
    changes: dict[str, Any], number: int
) -> None:
    """It would send a refresh token elsewhere, or by another name; what has no dialect it still reads."""
    login = replace(login_in(State.AUTHENTICATED, tokens=TOKENS), config=settings(**changes))
    assert cbor.decode_map(encode_login(login)[1])["schema"] == number
    assert decode_login(encode_login(login)[1]) == login


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


@pytest.mark.parametrize(
    ("changes", "redirect"),
    [
        ({"redirect_uri": "urn:ietf:wg:oauth:2.0:oob"}, "urn:ietf:wg:oauth:2.0:oob"),
        ({"redirect_uri": "https://auth.globus.org/v2/web/auth-code"}, "https://auth.globus.org/v2/web/auth-code"),
        ({"sends_redirect_uri": False}, None),
        ({"redirect_uri": ""}, None),
    ],
    ids=["asana-mastodon-dex", "globus", "dropbox", "dropbox-by-hand-alone"],
)  # fmt: skip
def test_a_page_that_shows_the_code_is_signed_in_by(
    changes: dict[str, Any], redirect: str | None
) -> None:
    """By an address out of band, a page of the provider's, or none; the exchange says what was asked."""
    config = settings(shows_code=True, **changes)
    require_sendable(config)
    login, provider, _, asked = by_hand(config, lambda _: "AbCd1234-the-code", (200, GRANTED))

    assert login.state is State.AUTHENTICATED
    expected = [redirect] if redirect else None
    assert (asked.get("redirect_uri"), provider.forms()[0].get("redirect_uri")) == (expected,) * 2
    assert provider.forms()[0]["code"] == ["AbCd1234-the-code"]
    assert "code_verifier" in provider.forms()[0]


@pytest.mark.parametrize("changes", [{"sends_redirect_uri": False}, {"redirect_uri": ""}])
def test_nothing_but_a_shown_code_can_do_without_an_address(changes: dict[str, Any]) -> None:
    """Where no page shows the code, the browser would bring it nowhere."""
    config = settings(**changes)
    with pytest.raises(ConfigInvalid):  # noqa: PT012  each of the two is asked wherever settings are read
        require_sendable(config)
        require_redirect(config)


def test_gitlab_is_told_the_address_of_the_login_again() -> None:
    """Its refresh names ``redirect_uri``: the very one, port included; a device login has none."""
    gitlab = settings(repeats_redirect_uri=["refresh"], redirect_uri="http://127.0.0.1/callback")
    login, provider, conductor, asked = by_hand(
        gitlab, whole_address, (200, GRANTED), (200, GRANTED)
    )
    conductor.refresh.valid(login.provider, login.account, force=True)
    assert provider.forms()[1]["redirect_uri"] == asked["redirect_uri"]

    login, provider, conductor = by_device(
        gitlab, (200, DEVICE_ANSWER), (200, GRANTED), (200, GRANTED)
    )
    conductor.refresh.valid(login.provider, login.account, force=True)
    assert "redirect_uri" not in provider.forms()[2]


def test_quickbooks_names_the_company_in_the_callback() -> None:
    """``realmId`` is kept with the login, through refreshes; nothing else that came with the code is."""
    quickbooks = settings(callback_extras=["realmId"])
    login, _, conductor, _ = by_hand(
        quickbooks, lambda url: whole_address(url) + "&realmId=123146&other=x",
        (200, GRANTED), (200, {"access_token": "at2", "expires_in": 3600}),
    )  # fmt: skip
    again = conductor.refresh.valid(login.provider, login.account, force=True)

    for one in (login, again):
        assert one.tokens is not None
        assert callback_extras(one.tokens) == {"realmId": "123146"}


@pytest.mark.parametrize("added", ["&realmId=1&realmId=2", "&realmId=1&code=other"])
def test_what_a_callback_says_twice_is_refused_also_beside_the_code(added: str) -> None:
    """Whoever reads the first and whoever reads the last would know two companies."""
    login = replace(
        login_in(State.AWAITING_CALLBACK, presentation=BY_HAND, challenge=CHALLENGE),
        config=replace(CONFIG, callback_extras=("realmId",)),
    )
    assert CHALLENGE.state is not None
    query = f"code=c&state={CHALLENGE.state.reveal()}{added}"
    with pytest.raises(CallbackRefused) as caught:
        validate_callback(parse_qsl(query), login)
    assert caught.value.reason == Refusal.DUPLICATE_PARAMETER.value


@pytest.mark.parametrize("value", ["", "a\x1b[31m", "x" * 501])
def test_what_no_terminal_could_show_is_not_kept(value: str) -> None:
    """The browser brings it, and nobody signed it."""
    login, *_ = by_hand(
        settings(callback_extras=["realmId"]),
        lambda url: whole_address(url) + "&" + urlencode({"realmId": value}),
        (200, GRANTED),
    )
    assert login.tokens is not None
    assert not callback_extras(login.tokens)


HOUR, DAY = 3600.0, 86400.0


@pytest.mark.parametrize(
    ("changes", "first", "then", "ends"),
    [
        ({}, {"refresh_expires_in": 1800}, {"refresh_token": "r2", "refresh_expires_in": 1800}, (1800, HOUR + 1800)),
        ({}, {"refresh_expires_in": 0}, {}, (None, None)),
        ({}, {"refresh_token_expires_in": 365 * DAY}, {}, (365 * DAY, 365 * DAY)),
        ({}, {"refresh_expires_in": 60 * DAY}, {"refresh_token": "r2"}, (60 * DAY, None)),
        ({"refresh_lifetime": 30 * DAY}, {}, {"refresh_token": "r2"}, (30 * DAY, 30 * DAY)),
        ({"refresh_lifetime": 90 * DAY, "refresh_lifetime_slides": True}, {}, {"refresh_token": "r2"},
         (90 * DAY, HOUR + 90 * DAY)),
        ({"refresh_lifetime": 30 * DAY}, {"refresh_token": None}, {}, (None, None)),
    ],
    ids=["keycloak", "keycloak-offline", "linkedin", "airtable", "auth0", "entra", "no-refresh-token"],
)  # fmt: skip
def test_the_end_of_a_refresh_token_is_known_where_somebody_says_it(
    changes: dict[str, Any], first: dict[str, Any], then: dict[str, Any], ends: tuple[Any, Any]
) -> None:
    """By the answer, else by the entry: fixed from the login on (Auth0), or anew (Entra)."""
    clock = ManualClock(NOW)
    provider = Provider([(200, {**GRANTED, **first}), (200, {"access_token": "at2", **then})])
    notices = Notices({})
    conductor = conductor_over(MemoryStorage(), http=Timed(provider, clock), clock=clock)
    transport = ManualTransport(notices, lambda: Typed(notices, whole_address))
    login = conductor.sign_in(settings(**changes), transport)
    clock.time += HOUR
    known = [login]
    if login.tokens is not None and login.tokens.refresh_token:
        known.append(conductor.refresh.valid(login.provider, login.account, force=True))

    for one, end in zip(known, ends, strict=False):
        assert one.tokens is not None
        assert one.tokens.refresh_expires_at == (None if end is None else NOW + end)
        assert one.summary().refresh_expires_at == one.tokens.refresh_expires_at
        assert decode_summary(encode_login(one)[0]) == one.summary()
        assert decode_login(encode_login(one)[1]) == one


def test_globus_sends_several_tokens_in_one_answer() -> None:
    """Each of ``other_tokens`` has a ``resource_server``; a refresh, which brings one, leaves them."""
    globus = settings(token_lists=["other_tokens"], token_resource_member="resource_server")
    answered = {
        **GRANTED, "resource_server": "auth.globus.org", "scope": "openid",
        "other_tokens": [
            {"access_token": "t", "refresh_token": "r", "expires_in": 172800, "token_type": "Bearer",
             "scope": "urn:globus:auth:scope:transfer.api.globus.org:all",
             "resource_server": "transfer.api.globus.org"},
            {"access_token": "g", "scope": "groups", "resource_server": "groups.api.globus.org"},
            {"resource_server": "nothing.example"}, "odd", None,
        ],
    }  # fmt: skip
    login, _, conductor, _ = by_hand(globus, whole_address, (200, answered), (200, GRANTED))
    again = conductor.refresh.valid(login.provider, login.account, force=True)

    for one in (login, again):
        assert one.tokens is not None
        found = further_tokens(globus, one.tokens)
        assert [(each.resource, each.refreshable) for each in found] == [
            ("transfer.api.globus.org", True), ("groups.api.globus.org", False),
        ]  # fmt: skip
        assert "'t'" not in repr(found)


def test_a_further_token_ends_when_it_did_whatever_is_refreshed() -> None:
    """A refresh that does not bring it leaves its end where it was; one that brings it begins anew."""
    globus = settings(token_lists=["other_tokens"], token_resource_member="resource_server")
    other = {"access_token": "t", "expires_in": 172800, "resource_server": "transfer"}
    first = {**GRANTED, "resource_server": "auth", "other_tokens": [other]}
    clock = ManualClock(NOW)
    answers: list[tuple[int, Any]] = [(200, first), *[(200, {**GRANTED})] * 2, (200, first)]
    notices = Notices({})
    conductor = conductor_over(MemoryStorage(), http=Timed(Provider(answers), clock), clock=clock)
    transport = ManualTransport(notices, lambda: Typed(notices, whole_address))
    login = conductor.sign_in(globus, transport)
    for ends in (NOW, NOW, NOW, NOW + 3 * HOUR):
        assert login.tokens is not None
        (found,) = further_tokens(globus, login.tokens)
        assert found.expires_at == ends + 172800
        whole = further_token(login, "transfer", clock.time, 60.0)
        assert (whole.access_token, whole.expires_at) == ("t", ends + 172800)
        assert further_token(login, "auth", clock.time, 60.0) is login.tokens
        if ends == NOW + 3 * HOUR:
            break
        clock.time += HOUR
        login = conductor.refresh.valid(login.provider, login.account, force=True)
        assert decode_login(encode_login(login)[1]) == login
    with pytest.raises(TokenExpired):
        further_token(login, "transfer", clock.time + 172800, 60.0)
    for other_name in ("groups", "", "transfer "):
        with pytest.raises(NotFound):
            further_token(login, other_name, clock.time, 60.0)


@pytest.mark.parametrize(
    "odd",
    [
        {"access_token": "a\nb"},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "t", "resource_server": 5},
        {"access_token": "t", "token_type": "mac"},
    ],
)
def test_a_further_token_that_cannot_be_used_is_not_handed_out(odd: dict[str, Any]) -> None:
    """Characters that could end a header, no text, a type that is not understood."""
    globus = settings(token_lists=["other_tokens"], token_resource_member="resource_server")
    answer = {**GRANTED, "other_tokens": [{"resource_server": "transfer", **odd}]}
    login, *_ = by_hand(globus, whole_address, (200, answer))
    with pytest.raises((NotFound, AuthRequired)):
        further_token(login, "transfer", NOW, 60.0)


@pytest.mark.parametrize(
    ("url", "known"),
    [
        ("https://acme.my.salesforce.com", True),
        ("http://a.example", False),
        ("a", False),
        (5, False),
    ],
)
def test_salesforce_says_where_its_api_is(url: Any, known: bool) -> None:
    """``instance_url``; only an address to which a token may go counts."""
    salesforce = settings(api_url_member="instance_url")
    login, *_ = by_hand(salesforce, whole_address, (200, {**GRANTED, "instance_url": url}))

    assert login.tokens is not None
    assert api_url(salesforce, login.tokens) == (url if known else None)
    assert SignedIn.of(login, login.tokens).api_url == (url if known else None)


def aws(portal: str = "https://acme.awsapps.com/start") -> OAuthConfig:
    """AWS IAM Identity Center as the catalogue has it, with the two blanks filled in."""
    values = {"region": "eu-west-1", "start_url": portal}
    made = settings_of_kind("aws-identity-center", values)
    return made_provider("aws", made).to_config("")


def test_aws_registers_the_client_at_the_first_login_and_again_when_its_secret_ends() -> None:
    """RegisterClient of botocore's ``sso-oidc``: JSON in camelCase, and ``clientSecretExpiresAt``.

    A second login takes the same client; one with another start URL does not.
    """

    def answered(client: str, end: float) -> tuple[int, Any]:
        return 200, {
            "clientId": client, "clientSecret": f"secret of {client}", "clientIdIssuedAt": int(NOW),
            "clientSecretExpiresAt": int(end), "authorizationEndpoint": None, "tokenEndpoint": None,
        }  # fmt: skip

    clock = ManualClock(NOW)
    provider = Provider(
        [answered("one", NOW + 90 * DAY), answered("two", NOW + DAY), answered("three", NOW + DAY)]
    )
    clients = Clients(MemoryStorage(), Catalogue(environ={}), Timed(provider, clock), clock)
    first, again = clients.of_provider(aws()), clients.of_provider(aws())
    other = clients.of_provider(aws("https://other.awsapps.com/start"))

    request, *_ = provider.requests
    assert request.url == "https://oidc.eu-west-1.amazonaws.com/client/register"
    assert json.loads(request.body) == {
        "clientName": "Stayfast",
        "clientType": "public",
        "scopes": ["sso:account:access"],
        "redirectUris": ["http://127.0.0.1/oauth/callback"],
        "grantTypes": ["authorization_code", "refresh_token", DEVICE_GRANT_TYPE],
        "issuerUrl": "https://acme.awsapps.com/start",
    }
    assert (first.client_id, first.client_secret) == ("one", "secret of one")
    assert (again, other.client_id) == (first, "two")
    clock.time += 90 * DAY
    assert clients.of_provider(aws()).client_id == "three"

    _, asked, _ = by_device(
        first, (200, AWS_DEVICE), (200, {"accessToken": "at", "expiresIn": 28800})
    )
    sent = [json.loads(one.body) for one in asked.requests]
    assert {(one["clientId"], one["clientSecret"]) for one in sent} == {("one", "secret of one")}
    assert set(sent[0]) == {"clientId", "clientSecret", "startUrl"}


def test_a_client_that_aws_has_forgotten_is_registered_anew() -> None:
    """The next login after ``invalid_client`` does not go on with it for ninety days."""
    storage, clock = MemoryStorage(), ManualClock(NOW)
    made = {"clientId": "one", "clientSecret": "s", "clientSecretExpiresAt": int(NOW + 90 * DAY)}
    provider = Provider(
        [(200, made), (400, {"error": "invalid_client"}), (200, {**made, "clientId": "two"})]
    )
    http = Timed(provider, clock)
    clients = Clients(storage, Catalogue(environ={}), http, clock)
    conductor = conductor_over(storage, http=http, clock=clock)
    config = clients.of_provider(aws())
    with pytest.raises(ProviderError):
        conductor.sign_in(config, DeviceTransport(Notices({}), http, clock))

    assert clients.was_refused(config)
    assert clients.of_provider(aws()).client_id == "two"


def test_a_client_that_is_configured_is_not_registered() -> None:
    """Somebody's own registration comes first; nothing is asked."""
    config = replace(aws(), client_id="mine")
    clients = Clients(MemoryStorage(), Catalogue(environ={}), Provider([]), ManualClock(NOW))

    assert clients.of_provider(config) == config


def test_where_scopes_are_fixed_at_the_client_none_is_sent_nor_missed() -> None:
    """GitHub Apps, Zoom, Supabase and Notion: no request has ``scope``, and nothing is said to be granted."""
    zoom = settings(sends_scope=False)
    login, provider, _, asked = by_hand(zoom, whole_address, (200, GRANTED))
    assert "scope" not in asked
    assert login.tokens is not None
    assert login.tokens.scopes == ()

    _, provider, _ = by_device(zoom, (200, DEVICE_ANSWER), (200, GRANTED))
    assert all("scope" not in form for form in provider.forms())


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
