"""A token that is kept in memory is always the one that reading the storage would give."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from freezegun import freeze_time
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from instant import ManualClock
from stayfast import ErrorCode, Failure, MemoryStorage, OAuthService, Success
from stayfast.engine.lifetime import eagerness
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.ports import HttpRequest, HttpResponse, Storage
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.interfaces.tokens_at_hand import TokensAtHand
from stayfast.storage import Vault
from stayfast.storage.capabilities import Capabilities
from stayfast.storage.vault import glance, schema
from stayfast.testing.storage_contract import NOW, finished, further, saved
from transitions_of import vault_in

LIFETIME = 3600.0
CONFIG = OAuthConfig(
    service_name="acme", client_id="client", token_url="https://as.example/token", scopes=()
)
ALIAS = account_alias("acme", "default")


class Issuer:
    """Answers each refresh with the next token."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.issued = 0

    def send(self, request: HttpRequest) -> HttpResponse:
        assert parse_qs(request.body.decode())["grant_type"] == ["refresh_token"]
        self.issued += 1
        body = {
            "access_token": f"issued-{self.issued}",
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "refresh_token": "again",
        }
        answered = {"content-type": "application/json"}
        text = json.dumps(body).encode()
        return HttpResponse(status=200, headers=answered, body=text, received_at=self.clock.now())


def service_over(
    storage: Storage, clock: ManualClock, issuer: Issuer, *, in_memory: bool = True
) -> OAuthService:
    assembly = Assembly(
        storage,
        Catalogue(providers={"acme": CONFIG}, environ={}),
        http=issuer,
        clock=clock,
        courier=InlineCourier(),
        environ={},
    )
    if not in_memory:
        assembly.at_hand = TokensAtHand(None, clock)
    return OAuthService(assembly=assembly)


def login_with(token: str, now: float = NOW) -> Login:
    tokens = OAuthTokens(
        access_token=token, refresh_token="first", issued_at=now, expires_in=LIFETIME
    )
    return replace(finished("acme"), config=CONFIG, tokens=tokens)


def answer(service: OAuthService) -> object:
    """The token that a caller gets, or the code of the failure."""
    found = service.get_bearer_token("acme")
    return found.value if isinstance(found, Success) else found.code


def written_long_ago(directory: str) -> None:
    """Let the files of a vault look as if the last commit was a minute ago."""
    then = time.clock_gettime_ns(time.CLOCK_REALTIME) - 60_000_000_001
    for name in ("vault.db", "vault.db-wal"):
        with suppress(FileNotFoundError):
            os.utime(Path(directory, name), ns=(then, then))


def warm(service: OAuthService, storage: Storage) -> object:
    """Read so that the token is kept in memory."""
    if isinstance(storage, Vault):
        written_long_ago(storage.directory)
    return answer(service)


class Reading(Vault):
    """Counts how often a login is looked up."""

    looked = 0

    @property
    def capabilities(self) -> Capabilities:
        return super().capabilities

    def find(self, alias: str) -> Login | None:
        self.looked += 1
        return super().find(alias)


def counted(vault: Vault) -> Reading:
    vault.__class__ = Reading
    assert isinstance(vault, Reading)
    return vault


@pytest.fixture(params=["rollback journal", "write-ahead log"])
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways in which SQLite keeps a vault: which one depends on its version."""
    safe = (0,) if request.param == "write-ahead log" else (999,)
    monkeypatch.setattr(schema, "_WAL_SAFE", safe)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """What a glance counts its seconds by: they pass only where a test says so."""
    ticking = ManualClock()
    monkeypatch.setattr(glance, "CLOCK", ticking)
    return ticking


@pytest.fixture
def vault(journal: None, seconds: ManualClock, tmp_path: Path) -> Iterator[Reading]:
    tmp_path.chmod(0o700)
    with closing(vault_in(str(tmp_path))) as opened:
        saved(opened, [login_with("stored")])
        yield counted(opened)


@pytest.fixture
def other(vault: Vault) -> Iterator[Vault]:
    """The vault as another process has it open."""
    with closing(vault_in(str(Path(vault.directory).parent))) as opened:
        assert opened.find(ALIAS) is not None
        yield opened


class Callers(RuleBasedStateMachine):
    """One service that keeps tokens in memory, one that does not, and another process."""

    wal = False

    def __init__(self) -> None:
        super().__init__()
        self.before = schema._WAL_SAFE
        schema._WAL_SAFE = (0,) if self.wal else (999,)  # type: ignore[misc]
        self.place = tempfile.mkdtemp()
        self.clock = ManualClock(NOW)
        self.vaults = [vault_in(self.place) for _ in range(3)]
        self.issuer = Issuer(self.clock)
        self.fast = service_over(self.vaults[0], self.clock, self.issuer)
        self.slow = service_over(self.vaults[1], self.clock, self.issuer, in_memory=False)
        self.other = self.vaults[2]
        self.saved = 0
        self.copied = False

    def teardown(self) -> None:
        for one in self.vaults:
            one.close()
        shutil.rmtree(self.place)
        schema._WAL_SAFE = self.before  # type: ignore[misc]

    def token(self) -> str:
        self.saved += 1
        return f"saved-{self.saved}"

    @initialize()
    def sign_in(self) -> None:
        """Another process signs in."""
        saved(self.other, [login_with(self.token(), self.clock.now())])

    @rule()
    def ask_again(self) -> None:
        """A call answers as a call that reads the storage does."""
        assert answer(self.fast) == answer(self.slow)

    @rule()
    def keep(self) -> None:
        """A call that reads the storage keeps what it found."""
        assert warm(self.fast, self.vaults[0]) == answer(self.slow)

    @rule()
    def another_refreshes(self) -> None:
        """Another process saves new tokens."""
        login = self.other.find(ALIAS)
        if login is not None:
            new = login_with(self.token(), self.clock.now()).tokens
            saved(self.other, [further(login, state=State.AUTHENTICATED, tokens=new)])

    @rule()
    def another_leaves_or_comes(self) -> None:
        """Another process logs out; or signs in again."""
        login = self.other.find(ALIAS)
        if login is None:
            self.sign_in()
        else:
            saved(self.other, [further(login, state=State.IDLE, tokens=None)])

    @rule()
    def refresh(self) -> None:
        """The program itself wants new tokens."""
        self.fast.refresh_tokens("acme")

    @rule()
    def log_out(self) -> None:
        """The program itself logs out."""
        self.fast.logout("acme", revoke=False)

    @rule()
    def rekey(self) -> None:
        """Another process seals everything under a new key."""
        self.other.rekey("keyfile")
        self.copied = False  # its key has gone

    @rule(seconds=st.sampled_from([-7200.0, -90.0, 1.0, 1700.0, 3300.0, 3500.0, 90_000.0]))
    def move_the_clock(self, seconds: float) -> None:
        """The clock goes on, or is put back."""
        self.clock.time += seconds

    @rule()
    @precondition(lambda self: not self.wal)
    def copy(self) -> None:
        """Somebody makes a copy of the vault."""
        shutil.copy(f"{self.place}/s/vault.db", f"{self.place}/copy")
        self.copied = True

    @rule()
    @precondition(lambda self: self.copied)
    def put_back(self) -> None:
        """Somebody puts the copy in its place again."""
        shutil.copy(f"{self.place}/copy", f"{self.place}/again")
        os.replace(f"{self.place}/again", f"{self.place}/s/vault.db")


class CallersOfLoggedVault(Callers):
    """The same with a write-ahead log."""

    wal = True


Callers.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
CallersOfLoggedVault.TestCase.settings = Callers.TestCase.settings
TestCallers = Callers.TestCase
TestCallersOfLoggedVault = CallersOfLoggedVault.TestCase


def test_a_token_that_serves_is_read_once(vault: Reading, clock: ManualClock) -> None:
    """Any number of calls, of every kind that needs a valid token, look into the storage once."""
    service = service_over(vault, clock, Issuer(clock))
    assert warm(service, vault) == "stored"
    vault.looked = 0
    for _ in range(3):
        assert answer(service) == "stored"
        assert service.ensure_valid_token("acme").value.access_token == "stored"
        sent = service.request_headers("acme", "GET", "https://api.example/").value
        assert sent == {"Authorization": "Bearer stored"}
    assert vault.looked == 0


def test_a_look_counts_for_a_second_at_most(
    vault: Reading, clock: ManualClock, seconds: ManualClock
) -> None:
    """Tokens may wait outside of the vault, and a file system of a network may show a change late."""
    service = service_over(vault, clock, Issuer(clock))
    assert warm(service, vault) == "stored"
    vault.looked = 0
    seconds.time += 0.5
    assert (answer(service), vault.looked) == ("stored", 0)
    seconds.time += 0.5
    assert answer(service) == "stored"
    assert vault.looked > 0


def leave(vault: Vault) -> None:
    """Log out."""
    login = vault.find(ALIAS)
    assert login is not None
    saved(vault, [further(login, state=State.IDLE, tokens=None)])


def renew(vault: Vault) -> None:
    """Save newer tokens."""
    login = vault.find(ALIAS)
    assert login is not None
    saved(vault, [further(login, tokens=login_with("newer").tokens)])


def in_another_process(vault: Vault, act: Callable[[Vault], None]) -> None:
    """Do it in a process that was forked for that."""
    started = multiprocessing.get_context("fork").Process(target=act, args=(vault,))
    started.start()
    started.join()
    assert started.exitcode == 0


@pytest.mark.parametrize(("act", "then"), [(leave, ErrorCode.AUTH_REQUIRED), (renew, "newer")])
def test_what_another_process_saved_is_seen_by_the_next_call(
    vault: Reading, clock: ManualClock, act: Callable[[Vault], None], then: object
) -> None:
    """A refresh and a logout of another process hold at once."""
    service = service_over(vault, clock, Issuer(clock))
    assert warm(service, vault) == "stored"
    in_another_process(vault, act)
    assert answer(service) == then


def test_a_forked_child_answers_from_memory_and_sees_its_parent_save(
    vault: Reading, clock: ManualClock
) -> None:
    """A child needs no read for what its parent kept, and one for what its parent saves later."""
    service = service_over(vault, clock, Issuer(clock))
    assert warm(service, vault) == "stored"
    context = multiprocessing.get_context("fork")
    ours, childs = context.Pipe()

    def child() -> None:
        vault.looked = 0
        childs.send((answer(service), vault.looked))
        childs.recv()
        childs.send(answer(service))

    started = context.Process(target=child)
    started.start()
    assert ours.recv() == ("stored", 0)
    renew(vault)
    ours.send("go on")
    assert ours.recv() == "newer"
    started.join()


def test_a_file_that_was_written_a_moment_ago_is_read_each_time(
    vault: Reading, other: Vault, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commits within one step of the system's clock look alike, so nothing is kept before it is over."""
    monkeypatch.setattr(glance, "_STEP", 3_600_000_000_000)  # on a busy machine a step is over soon
    service = service_over(vault, clock, Issuer(clock))
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    for path in Path(vault.directory).glob("vault.db*"):
        os.utime(path, ns=(now, now))
    vault.looked = 0
    for _ in range(3):
        assert answer(service) == "stored"
    assert vault.looked >= 3
    renew(other)
    assert answer(service) == "newer"


@pytest.mark.parametrize("back", [False, True])
def test_a_vault_that_is_replaced_is_seen_by_the_next_call(
    vault: Reading, clock: ManualClock, tmp_path: Path, back: bool
) -> None:
    """That holds for a vault that was removed or set aside, and for another one in its place."""
    service = service_over(vault, clock, Issuer(clock))
    assert warm(service, vault) == "stored"
    place = Path(vault.directory)
    os.rename(place, tmp_path / "aside")
    if back:
        with closing(vault_in(str(tmp_path))) as made:
            saved(made, [login_with("of another vault")])
    assert answer(service) == ("of another vault" if back else ErrorCode.AUTH_REQUIRED)


@pytest.mark.parametrize("ago", [0.0, LIFETIME])
def test_the_clock_decides_as_it_does_for_a_token_that_is_read(
    vault: Reading, clock: ManualClock, ago: float
) -> None:
    """A refresh is tried early, as soon as it is due; and where the clock was put back before the login."""
    issuer = Issuer(clock)
    service = service_over(vault, clock, issuer)
    login = vault.find(ALIAS)
    assert login is not None
    assert warm(service, vault) == "stored"
    due = NOW + LIFETIME - 60 - eagerness(login.id, LIFETIME)
    clock.time = due - 0.001
    assert (answer(service), issuer.issued) == ("stored", 0)
    clock.time = due if ago else NOW - 61
    assert (answer(service), issuer.issued) == ("issued-1", 1)


def test_a_stopped_clock_stops_no_look(vault: Reading, other: Vault) -> None:
    """Under freezegun a token is kept, and what another process saves is seen."""
    with freeze_time() as frozen:
        login = vault.find(ALIAS)
        assert login is not None
        tokens = login_with("now", time.time()).tokens
        saved(other, [further(login, tokens=tokens)])
        assembly = Assembly(vault, Catalogue(providers={"acme": CONFIG}, environ={}), environ={})
        service = OAuthService(assembly=assembly)
        assert warm(service, vault) == "now"
        vault.looked = 0
        assert (answer(service), vault.looked) == ("now", 0)
        frozen.tick(60)
        leave(other)
        assert answer(service) is ErrorCode.AUTH_REQUIRED


def test_threads_that_read_never_get_an_older_token_than_one_they_saw(
    vault: Reading, other: Vault, clock: ManualClock
) -> None:
    """Sixteen threads ask while another process refreshes; each sees the tokens in their order."""
    service = service_over(vault, clock, Issuer(clock))
    assert warm(service, vault) == "stored"
    done = threading.Event()
    seen: list[list[object]] = [[] for _ in range(16)]

    def ask(mine: list[object]) -> None:
        while not done.is_set():
            found = answer(service)
            if not mine or mine[-1] != found:
                mine.append(found)

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    order: list[object] = ["stored"]
    try:
        for number in range(8):
            login = other.find(ALIAS)
            assert login is not None
            order.append(f"t{number}")
            saved(other, [further(login, tokens=login_with(f"t{number}").tokens)])
            assert answer(service) == f"t{number}"
    finally:
        done.set()
        for thread in threads:
            thread.join()
    for mine in seen:
        assert mine == [one for one in order if one in mine]


@pytest.mark.parametrize(
    "name", [["acme"], {"acme"}, None, 1, b"acme"], ids=lambda name: type(name).__name__
)
def test_what_is_no_name_is_refused_as_before(name: object) -> None:
    """A value of a wrong type is an error of the configuration, whatever is kept."""
    clock = ManualClock(NOW)
    service = service_over(MemoryStorage(), clock, Issuer(clock))
    for given in ({"account": name}, {}):
        asked = "acme" if given else name
        found = service.get_bearer_token(asked, **given)  # type: ignore[arg-type]
        assert isinstance(found, Failure)
        assert found.code is ErrorCode.CONFIG_INVALID


def test_a_storage_without_a_glance_is_read_each_time(vault: Reading, clock: ManualClock) -> None:
    """Nothing is kept where nobody could say that it still holds."""
    service = service_over(vault, clock, Issuer(clock), in_memory=False)
    warm(service, vault)
    vault.looked = 0
    assert [answer(service) for _ in range(3)] == ["stored"] * 3
    assert vault.looked >= 3


def test_what_this_process_changed_is_forgotten_where_a_glance_shows_it_late(
    clock: ManualClock,
) -> None:
    """A storage that is far away looks the same for a while; our own refresh and logout hold at once."""

    class FarAway:
        def look(self) -> object:
            return "the same"

        begin = look

    storage = MemoryStorage()
    saved(storage, [login_with("stored")])
    service = service_over(storage, clock, Issuer(clock))
    assembly = service.assembly
    assembly.at_hand._glance = FarAway()
    assert [answer(service) for _ in range(2)] == ["stored"] * 2
    assert service.refresh_tokens("acme").value.access_token == "issued-1"
    assert answer(service) == "issued-1"
    assert service.logout("acme", revoke=False).value
    assert answer(service) is ErrorCode.AUTH_REQUIRED


def test_what_was_saved_during_a_read_is_not_missed(
    vault: Reading, other: Vault, clock: ManualClock
) -> None:
    """A login that was changed while it was read is not kept as it was."""
    service = service_over(vault, clock, Issuer(clock))
    written_long_ago(vault.directory)
    stale = vault.find(ALIAS)
    assert stale is not None
    begun = service.assembly.at_hand.begin()
    renew(other)
    service.assembly.at_hand.keep(stale, (0.0, NOW * 2), begun)
    assert answer(service) == "newer"
