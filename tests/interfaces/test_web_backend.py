"""A web backend's logins: what begin() and complete() give, and whose browser may finish which."""

from __future__ import annotations

import copy
import pickle
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from logins import CONFIG
from stayfast import Failure, MemoryStorage, OAuthService, OAuthTokens, SignedIn, Success
from stayfast.engine.errors import NotFound
from stayfast.engine.login_id import ALPHABET
from stayfast.engine.summary import Summary
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage import open_storage
from stayfast.storage.vault.vault import Vault
from stayfast.testing.authorization_server import CLIENT_ID, AuthorizationServer
from stayfast.testing.server_state import Client
from stayfast.testing.storage_contract import finished, pending, saved
from stayfast.testing.user_agent import UserAgent, decide_device, fetch_only, tampered

BACKEND = "https://app.example.com/callback"


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        running.add_client(Client(CLIENT_ID, redirect_uris=(BACKEND,)))
        yield running


class OneProvider(Catalogue):
    """A catalogue whose `demo` is the local server."""

    def __init__(self, place: Path, server: AuthorizationServer) -> None:
        super().__init__(str(place), environ={})
        self._server = server

    def lookup(self, name: str, **client: str | None) -> object:
        del name, client
        return self._server.config()


@pytest.fixture
def service(tmp_path: Path, server: AuthorizationServer) -> OAuthService:
    assembly = Assembly(MemoryStorage(), OneProvider(tmp_path, server), environ={})
    return OAuthService(assembly=assembly)


def value(result: object) -> object:
    assert isinstance(result, Success), result
    return result.value


def test_complete_says_who_signed_in(service: OAuthService) -> None:
    """Login, account, identity and the claims of the checked ID token come beside the tokens."""
    begun = value(service.begin("demo", account="work", redirect_uri=BACKEND))
    done = value(service.complete(fetch_only(begun.address), login_id=begun.login_id))
    assert isinstance(done, SignedIn)
    assert (done.login_id, done.account) == (begun.login_id, "work")
    assert done.identity is not None
    assert done.claims["sub"] == done.identity.subject
    assert done.claims["nonce"]
    assert begun.user_code is None


def test_what_signs_in_is_still_tokens(service: OAuthService) -> None:
    """A program that took tokens from complete() finds them unchanged, also stored and compared."""
    begun = value(service.begin("demo", redirect_uri=BACKEND))
    done = value(service.complete(fetch_only(begun.address)))
    stored = value(service.get_tokens("demo"))
    assert done == stored
    assert stored == done
    assert OAuthTokens.from_dict(done.to_dict()) == stored == done.tokens
    assert done.to_dict() == stored.to_dict()
    assert type(done.tokens) is OAuthTokens
    for kept in (copy.deepcopy(done), pickle.loads(pickle.dumps(done))):
        assert (kept, kept.claims) == (done, done.claims)
    assert done.access_token not in repr(done)
    assert done.refresh_token not in repr(done)


def test_a_device_login_says_its_code_and_who_signed_in(
    service: OAuthService, server: AuthorizationServer
) -> None:
    """A page of the program can show the code; what polls for it gives the same as complete()."""
    server.change(device_interval=1)
    begun = value(service.begin("demo", via="device"))
    assert begun.user_code
    assert begun.expires_at == begun.login.deadline
    decide_device(begun.address, begun.user_code)
    done = value(service.resume(begun.login_id))
    assert done.login_id == begun.login_id


def test_no_browser_finishes_a_login_of_another_session(service: OAuthService) -> None:
    """An attacker's answer, opened in a victim's browser, is refused, and the victim's own still serves."""
    attackers = value(service.begin("demo", account="mallory", redirect_uri=BACKEND))
    answer = UserAgent({"login": "mallory"}).walk(attackers.address, approve=True)
    victims = value(service.begin("demo", account="victim", redirect_uri=BACKEND))
    for text in (answer, answer.partition("?")[2]):
        refused = service.complete(text, login_id=victims.login_id)
        assert isinstance(refused, Failure)
        assert refused.code == "CALLBACK_REFUSED"
    done = value(service.complete(fetch_only(victims.address), login_id=victims.login_id))
    assert done.account == "victim"
    assert isinstance(service.get_tokens("demo", account="mallory"), Failure)


def test_a_finished_login_is_given_for_its_own_callback_alone(service: OAuthService) -> None:
    """A page that is reloaded gets its tokens again; any other answer gets none, and learns nothing."""
    begun = value(service.begin("demo", account="victim", redirect_uri=BACKEND))
    other = value(service.begin("demo", account="mallory", redirect_uri=BACKEND))
    callback = fetch_only(begun.address)
    answer_of_another = fetch_only(other.address)
    done = value(service.complete(callback, login_id=begun.login_id))
    assert value(service.complete(callback, login_id=begun.login_id)) == done
    for text in (
        tampered(callback, state="x"),
        tampered(callback, code="x"),
        tampered(callback, state=None),
        f"{BACKEND}?code=1&state=2",
        f"{BACKEND}?error=access_denied&state=zzz",
        answer_of_another,
    ):
        refused = service.complete(text, login_id=begun.login_id)
        assert isinstance(refused, Failure), text
        assert refused.code == "CALLBACK_REFUSED"


@pytest.mark.parametrize("length", [0, 1, 4, 12, 25])
@pytest.mark.parametrize("pending", [False, True])
def test_a_beginning_of_an_id_opens_no_login(
    service: OAuthService, length: int, pending: bool
) -> None:
    """What a browser sends names one login in full, or none, and the error names no other login."""
    begun = [
        value(service.begin("demo", account=f"ada{number}@demo.test", redirect_uri=BACKEND))
        for number in range(33)  # two of them begin alike
    ]
    callback = fetch_only(begun[0].address)
    if not pending:
        value(service.complete(callback, login_id=begun[0].login_id))
    typed = begun[0].login_id[:length]
    for failed in (
        service.complete(callback, login_id=typed),
        service.resume(typed),
        service.cancel(typed),
    ):
        assert isinstance(failed, Failure)
        assert failed.code == "NOT_FOUND"
        assert "demo" not in failed.error
        said = failed.error.replace(typed, "")  # it may say what was typed
        assert not any(one.login_id[:4] in said for one in begun[1:])


@pytest.mark.parametrize("odd", [None, 5, b"code=1&state=2", ["a"], {}, True])
def test_what_is_no_text_finishes_nothing(service: OAuthService, odd: Any) -> None:
    """A framework gives ``None`` where a browser sent nothing: a failure, and the login still waits."""
    begun = value(service.begin("demo", redirect_uri=BACKEND))
    callback = fetch_only(begun.address)
    for refused in (service.complete(odd), service.complete(odd, login_id=begun.login_id)):
        assert isinstance(refused, Failure)
        assert refused.code == "CALLBACK_REFUSED"
    named = [service.resume(odd), service.cancel(odd)]
    if odd is not None:  # who names no login has it found by its state
        named += [service.complete(callback, login_id=odd), service.find_login(odd)]
    for failed in named:
        assert isinstance(failed, Failure)
        assert failed.code == "NOT_FOUND"
    assert isinstance(service.complete(callback, login_id=begun.login_id), Success)


def test_a_program_lists_its_logins_and_finds_one_by_what_is_typed(service: OAuthService) -> None:
    """Its own command to resume or cancel needs no more."""
    begun = value(service.begin("demo", redirect_uri=BACKEND))
    listed = value(service.logins())
    assert [(one.id, one.pending) for one in listed] == [(begun.login_id, True)]
    found = value(service.find_login(begun.login_id[:4].lower()))
    assert value(service.cancel(found.id)) is True
    assert isinstance(service.find_login("~"), Failure)


class Unlisted(Vault):
    """A vault in which nobody may look at every login."""

    def summaries(self) -> Iterable[Summary]:
        raise AssertionError("all logins were opened")


@pytest.mark.parametrize("typed", [26, 12, 4])
def test_one_login_is_found_without_a_look_at_the_others(tmp_path: Path, typed: int) -> None:
    """By its full id or a beginning; in whatever way a person spells it."""
    tmp_path.chmod(0o700)
    made = open_storage("file", state_dir=str(tmp_path), config_dir=str(tmp_path), environ={})
    login = pending()
    saved(made, [finished(), login])
    storage = Unlisted.__new__(Unlisted)
    storage.__dict__.update(vars(made))
    conductor = conductor_over(storage, clock=ManualClock(login.changed_at))
    beginning = login.id[:typed]
    for spelt in (beginning, beginning.lower(), f"{beginning[:2]}-{beginning[2:]}"):
        assert conductor.overview.named(spelt).id == login.id


@pytest.mark.parametrize("typed", ["", "-", "Z" * 25, "0" * 26, "U", "0" * 40, "é", "%", "~"])
def test_an_id_that_nobody_has_is_said(tmp_path: Path, typed: str) -> None:
    """What begins no id finds none, whatever it is made of."""
    tmp_path.chmod(0o700)
    storage = open_storage("file", state_dir=str(tmp_path), config_dir=str(tmp_path), environ={})
    saved(storage, [finished()])
    with pytest.raises(NotFound):
        conductor_over(storage).overview.named(typed)


def test_of_logins_that_begin_alike_the_open_one_is_meant() -> None:
    """A finished login keeps its id for years; two that are open need one character more."""
    storage = MemoryStorage()
    conductor = conductor_over(storage)
    for _ in range(len(ALPHABET) + 1):
        conductor.start(CONFIG, InstantTransport(lambda _url: []))
    alike: dict[str, list[str]] = defaultdict(list)
    for one in storage.summaries():
        alike[one.id[0]].append(one.id)
    (beginning, (twin, *others)) = max(alike.items(), key=lambda found: len(found[1]))
    assert others, "more logins than letters: two of them begin alike"
    with pytest.raises(NotFound):
        conductor.overview.named(beginning)
    for other in others:
        conductor.cancel(other)
    assert conductor.overview.named(beginning).id == twin


def test_who_names_a_login_past_its_deadline_ends_it() -> None:
    """By its full id, too."""
    storage, clock = MemoryStorage(), ManualClock()
    conductor = conductor_over(storage, clock=clock)
    begun = conductor.start(CONFIG, InstantTransport(lambda _url: []), timeout=10)
    clock.time += 11
    assert conductor.overview.named(begun.login_id).state is State.IDLE
    assert storage.read(begun.login_id).state is State.IDLE


def test_a_health_check_asks_the_storage(
    service: OAuthService, server: AuthorizationServer
) -> None:
    """It says how long a write takes; no provider is asked, and no login is touched."""
    asked = len(server.requests)
    health = value(service.check())
    assert (health.storage, health.seconds < 5.0) == ("memory", True)
    assert len(server.requests) == asked


def test_a_storage_that_cannot_be_had_is_no_health(tmp_path: Path) -> None:
    """What would keep a login from being saved is the failure."""
    tmp_path.chmod(0o700)
    (tmp_path / "s").write_text("in the place of the directory")
    storage = open_storage(
        "file", state_dir=str(tmp_path / "s"), config_dir=str(tmp_path), environ={}
    )
    checked = OAuthService(app="acme", storage=storage, environ={}).check()
    assert isinstance(checked, Failure)
    assert checked.code == "STORAGE_UNAVAILABLE"
