"""Whole logins at providers with ways of their own: which client asks, by what, and what is kept.

The provider answers what its documentation shows. It notes what it was sent.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conductors import conductor_over
from instant import ManualClock
from logins import NOW
from recorded import answer
from stayfast.engine.errors import ConfigMissing
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.oauth.provider import OAuthConfig, same_client
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.engine.record import Login
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
    config: OAuthConfig, paste: Any, *answers: tuple[int, Any]
) -> tuple[Login, Provider, Conductor, dict[str, list[str]]]:
    """A login by a pasted answer that is finished, and the parameters of its address."""
    provider, notices = Provider(answers), Notices({})
    conductor = conductor_over(MemoryStorage(), http=provider, clock=ManualClock(NOW))
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
