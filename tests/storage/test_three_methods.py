"""Three methods over a complete storage, and a complete storage over three methods."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from logins import ORIGIN
from stayfast import OAuthService
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.errors import StorageConflict, StorageError
from stayfast.engine.machine import next_state
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.ports import Change, Storage
from stayfast.engine.record import Exchange, Login
from stayfast.engine.summary import account_alias
from stayfast.engine.table import TABLE, State, Trigger
from stayfast.storage import (
    FileTokenStorage,
    MemoryStorage,
    MemoryTokenStorage,
    TokenStorageAdapter,
    TokenStorageProtocol,
)
from stayfast.storage.capabilities import Capabilities, capabilities_of
from stayfast.storage.token_storage import StorageView
from stayfast.testing.storage_contract import (
    NOW,
    StorageContract,
    change,
    finished,
    further,
    pending,
    records_of_logins,
    saved,
)

FIRST = OAuthTokens(access_token="first", refresh_token="r", issued_at=NOW, extra={"a": {"b": [1]}})
SECOND = replace(FIRST, access_token="second", extra={})


class Drawer:
    """A program's own place for tokens."""

    def __init__(self) -> None:
        self.kept: dict[str, OAuthTokens] = {}

    def save_tokens(self, service: str, tokens: OAuthTokens) -> None:
        self.kept[service] = tokens

    def load_tokens(self, service: str) -> OAuthTokens | None:
        return self.kept.get(service)

    def delete_tokens(self, service: str) -> bool:
        return self.kept.pop(service, None) is not None


def change_of(trigger: str, login: Login) -> Change:
    """The change to ``login`` that ``trigger`` led to."""
    made = change(login)
    return replace(made, event=replace(made.event, trigger=trigger))


class TestAdapter(StorageContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return TokenStorageAdapter(_Mirror(), lambda name: OAuthConfig(service_name=name))


class _Mirror(Drawer):
    """Has whatever it is asked for, as the contract saves logins without the word for it."""

    def load_tokens(self, service: str) -> OAuthTokens | None:
        return replace(finished(service).tokens, access_token="new")  # type: ignore[type-var]


def adapter(drawer: Any) -> TokenStorageAdapter:
    return TokenStorageAdapter(drawer, lambda name: OAuthConfig(service_name=name, client_id="c"))


def test_tokens_go_out_with_the_transition_that_brings_them() -> None:
    """Accepted tokens are kept outside, and forgotten there at the sign-out."""
    drawer = Drawer()
    storage = adapter(drawer)
    login = finished()
    storage.commit([change_of("accept_tokens", login)])
    assert drawer.kept == {"acme": login.tokens}
    assert storage.find(account_alias("acme", "default")) == login
    work = replace(finished(), account="work")
    storage.commit([change_of("accept_tokens", work)])
    assert set(drawer.kept) == {"acme", "acme/work"}
    storage.commit([change_of("logout", further(login, state=State.IDLE, tokens=None))])
    assert set(drawer.kept) == {"acme/work"}
    assert storage.find(account_alias("acme", "default")) is None


def test_what_is_outside_decides() -> None:
    """Tokens put there by others are found as a finished login; tokens taken away end it."""
    drawer = Drawer()
    storage = adapter(drawer)
    alias = account_alias("acme", "default")
    assert storage.find(alias) is None
    drawer.kept["acme"] = FIRST
    found = storage.find(alias)
    assert found is not None
    assert (found.state, found.tokens, found.config.client_id) == (
        State.AUTHENTICATED, FIRST, "c",
    )  # fmt: skip
    assert storage.find(alias) == found
    drawer.kept["acme"] = SECOND
    again = storage.find(alias)
    assert again is not None
    assert again.tokens == SECOND
    assert again.id != found.id
    del drawer.kept["acme"]
    assert storage.find(alias) is None
    assert {one.state for one in storage.summaries()} == {State.IDLE}


def test_nothing_goes_out_for_a_change_that_comes_too_late() -> None:
    """A change decided upon an older version does not reach the program's own place either."""
    drawer = Drawer()
    storage = adapter(drawer)
    login = finished(token="newer")
    storage.commit([change_of("accept_tokens", login)])
    with pytest.raises(StorageConflict):
        storage.commit([change_of("accept_tokens", finished(token="late"))])
    with pytest.raises(StorageConflict):
        storage.commit([change_of("accept_tokens", login)])
    assert drawer.kept == {"acme": login.tokens}


@pytest.mark.parametrize("failing", ["save_tokens", "load_tokens", "delete_tokens"])
def test_what_breaks_outside_is_a_storage_error(failing: str) -> None:
    """A place that fails is said by its class; nothing is recorded as done that was not."""

    def broken(*_: object) -> None:
        raise OSError("the secret first is in this text")

    drawer = Drawer()
    storage = adapter(drawer)
    login = finished()
    storage.commit([change_of("accept_tokens", login)])
    setattr(drawer, failing, broken)
    renewed = further(login, tokens=replace(FIRST, access_token="renewed"))
    attempts: dict[str, Callable[[], object]] = {
        "save_tokens": lambda: storage.commit([change_of("accept_tokens", renewed)]),
        "load_tokens": lambda: storage.find(account_alias("acme", "default")),
        "delete_tokens": lambda: storage.commit(
            [change_of("logout", further(login, state=State.IDLE, tokens=None))]
        ),
    }
    with pytest.raises(StorageError) as caught:
        attempts[failing]()
    assert "first" not in caught.value.message
    assert storage.read(login.id) == login
    assert len(storage.events()) == 1


def test_something_else_than_tokens_is_refused() -> None:
    """A storage that returns a plain dictionary gets an error that names the type."""
    drawer = Drawer()
    drawer.kept["acme"] = {"access_token": "a"}  # type: ignore[assignment]
    with pytest.raises(StorageError):
        adapter(drawer).find(account_alias("acme", "default"))


def views(tmp_path: Path) -> list[StorageView]:
    tmp_path.chmod(0o700)
    return [MemoryTokenStorage(), FileTokenStorage(str(tmp_path / "s"))]


@pytest.fixture
def _file_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAYFAST_STORE", "file")
    monkeypatch.setenv("STAYFAST_CONFIG_DIR", str(tmp_path / "c"))


@pytest.mark.usefixtures("_file_store")
def test_the_view_tells_a_legal_story(tmp_path: Path) -> None:
    """Saved tokens are logins whose events are rows of the table, one for each version."""
    rows = {(row.trigger.value, row.source.value, row.dest.value) for row in TABLE}
    for view in views(tmp_path):
        assert isinstance(view, TokenStorageProtocol)
        assert view.load_tokens("acme") is None
        view.save_tokens("acme", FIRST)
        view.save_tokens("acme", SECOND)
        assert view.load_tokens("acme") == SECOND
        assert (view.delete_tokens("acme"), view.delete_tokens("acme")) == (True, False)
        assert view.load_tokens("acme") is None
        events = records_of_logins(view.storage)
        steps = [(e.members["trigger"], e.members["from"], e.members["to"]) for e in events]
        assert set(steps) <= rows
        versions = {one.id: one.version for one in view.storage.summaries()}
        assert sum(versions.values()) == len(events)
        assert {e.members.get("transport") for e in events if e.members["trigger"] == "present"} == {
            "import"
        }  # fmt: skip


@pytest.mark.usefixtures("_file_store")
def test_the_view_makes_room_for_a_refresh_that_never_ended(tmp_path: Path) -> None:
    """Tokens may be saved over, and deleted from, a login whose refresh was interrupted."""
    for view in views(tmp_path):
        view.save_tokens("acme", FIRST)
        (one,) = [s for s in view.storage.summaries() if s.holds_tokens]
        login = view.storage.read(one.id)
        assert login is not None
        sending = further(
            login,
            state=next_state(login, Trigger.REFRESH),
            exchange=Exchange(kind="refresh", started_at=NOW),
        )
        saved(view.storage, [sending])
        view.save_tokens("acme", SECOND)
        assert view.load_tokens("acme") == SECOND


@pytest.mark.usefixtures("_file_store")
def test_of_many_who_save_at_once_each_succeeds(tmp_path: Path) -> None:
    """Threads that save tokens of one service at once all succeed, and one of theirs is kept."""
    for view in views(tmp_path):
        assert crowd(view) == []
        kept = view.load_tokens("acme")
        assert kept is not None
        assert kept.access_token in {"0", "1", "2", "3", "4", "5"}


def crowd(view: StorageView) -> list[BaseException]:
    """What went wrong when six threads saved at once."""
    problems: list[BaseException] = []
    gate = threading.Barrier(6)

    def save(number: int) -> None:
        gate.wait()
        try:
            view.save_tokens("acme", replace(FIRST, access_token=str(number)))
        except Exception as error:  # noqa: BLE001  any error is reported
            problems.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


CALLS: list[Callable[[OAuthService], Any]] = [
    lambda service: service.get_bearer_token("acme"),
    lambda service: service.ensure_valid_token("acme"),
    lambda service: service.get_tokens("acme"),
    lambda service: service.request_headers("acme", "GET", "https://api.example/"),
]


@pytest.mark.parametrize("call", CALLS, ids=["bearer", "ensure", "tokens", "headers"])
def test_a_service_asks_the_programs_own_store_each_time(
    call: Callable[[OAuthService], Any],
) -> None:
    """Once others delete or replace the tokens there, no call gives the ones that it gave before."""
    drawer = Drawer()
    acme = OAuthConfig(service_name="acme", client_id="c", token_url="https://as.example/t")
    service = OAuthService(token_storage=drawer, app="a-tool", providers={"acme": acme}, environ={})

    def given() -> str:
        answer = call(service)
        return repr(getattr(answer, "code", None) or plain(answer.value))

    def plain(value: Any) -> object:
        return value.access_token if isinstance(value, OAuthTokens) else value

    for name in ("of-alice", "of-bob"):
        drawer.kept["acme"] = OAuthTokens(access_token=name, expires_in=36000)
        assert [name in given() for _ in range(3)] == [True] * 3
    del drawer.kept["acme"]
    assert "AUTH_REQUIRED" in given()


class Elsewhere:
    """A storage of a program's own around another one: its tokens are in a place of its own."""

    def __init__(self) -> None:
        self._inner = MemoryStorage()

    def find(self, alias: str) -> Login | None:
        return self._inner.find(alias)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Derived(MemoryStorage):
    """Looks elsewhere first."""

    def find(self, alias: str) -> Login | None:
        return super().find(alias)


class Stated(Derived):
    """Says that its looks see what it reads."""

    @property
    def capabilities(self) -> Capabilities:
        return super().capabilities


class Named(MemoryStorage):
    """Reads as memory does."""

    description = "named"


@pytest.mark.parametrize(
    ("storage", "glances"),
    [
        (MemoryStorage(), True),
        (Named(), True),
        (Stated(), True),
        (Derived(), False),
        (Elsewhere(), False),
        (adapter(Drawer()), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_glance_counts_only_where_its_storage_reads_itself(
    storage: Storage, glances: bool
) -> None:
    """What reads in a way of its own does not answer from memory by another storage's glance."""
    can = capabilities_of(storage)
    assert (can.glance is not None, can.entries is not None) == (glances, True)


def test_memory_forgets_with_its_process() -> None:
    """Two memory storages have nothing in common, not even the names in their audit logs."""
    one, two = MemoryStorage(), MemoryStorage()
    login = pending()
    saved(one, [login])
    assert two.read(login.id) is None
    note = Event(
        time=NOW, event=EventKind.REFUSED, origin=ORIGIN,
        fingerprints=change(login).event.fingerprints,
    )  # fmt: skip
    first, second = one.note(note).members, two.note(note).members
    assert first["client_fp"] != second["client_fp"]
