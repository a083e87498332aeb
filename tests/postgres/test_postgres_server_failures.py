"""Tokens arrive, and the database server fails: it refuses a statement or the COMMIT, cuts the line, or ends.

Each failure begins when the provider has rotated the refresh token, and ends when the caller has its
answer. The long version, with every failure for every courier, prints figures.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from caller_kills import approve, patiently
from command import until
from instant import InstantTransport
from postgres_server import SESSIONS, PostgresServer
from stayfast.engine.record import Login, TokensNotSaved
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage.postgres import PostgresStorage
from stayfast.storage.postgres.driver import GRANTS
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

HELD = 30.0
"""Seconds after which the provider answers even if nobody releases it."""
REFUSALS = {
    "disk-full": "RAISE 'no space' USING ERRCODE = '53100'",
    "out-of-memory": "RAISE 'no memory' USING ERRCODE = '53200'",
    "io-error": "RAISE 'input or output' USING ERRCODE = '58030'",
    "read-only": "RAISE 'a standby' USING ERRCODE = '25006'",
    "statement-timeout": "RAISE 'too slow' USING ERRCODE = '57014'",
    "lock-timeout": "RAISE 'no lock' USING ERRCODE = '55P03'",
    "serialization": "RAISE 'again' USING ERRCODE = '40001'",
    "torn-page": "RAISE 'a page' USING ERRCODE = 'XX001'",
    "internal": "RAISE 'a bug' USING ERRCODE = 'XX000'",
    "of-an-extension": "RAISE 'policy' USING ERRCODE = 'P0001'",
    "line-cut": "PERFORM pg_terminate_backend(pg_backend_pid())",
}
"""What a server says at a statement, or does, in PL/pgSQL."""
TABLES = ("login", "audit", "tree", "head")


class Failure(NamedTuple):
    """One failure.

    Attributes:
        name: What happens.
        at: The table whose row is being written, or ``commit``; empty where it is the server as a whole.
    """

    name: str
    at: str = ""

    def __str__(self) -> str:
        """The failure in a few words."""
        return f"{self.name}-at-{self.at}" if self.at else self.name


WHOLE = (
    "stopped",
    "killed",
    "standby",
    "user-refused",
    "rights-gone",
    "no-connection-left",
    "row-held",
)
EVERY = [
    *(Failure(name, at) for name in REFUSALS for at in (*TABLES, "commit")),
    *(Failure(name) for name in WHOLE),
]
SOME = [
    *(Failure(name, "commit") for name in ("disk-full", "line-cut", "of-an-extension")),
    Failure("disk-full", "audit"), Failure("torn-page", "login"), Failure("statement-timeout", "head"),
    *(Failure(name) for name in WHOLE),
]  # fmt: skip


class Site:
    """A login in a database whose server can fail."""

    def __init__(self, place: Path, provider: AuthorizationServer, server: PostgresServer) -> None:
        place.chmod(0o700)
        (place / "run").mkdir(mode=0o700)
        self.place, self.provider, self.server = place, provider, server
        self.database = server.new_database()
        self.user = f"user_of_{self.database}"
        self._assemblies = ExitStack()
        self.own = self.assembly("inline", user="owner")
        self.sign_in()
        self.sql(f"CREATE ROLE {self.user} LOGIN")
        for grant in GRANTS.format(schema="stayfast", role=self.user).splitlines():
            self.sql(grant)

    def sql(self, statement: str) -> list[tuple]:
        return self.server.execute(self.database, statement)

    def assembly(self, courier: str, *, user: str = "") -> Assembly:
        environ = {"XDG_RUNTIME_DIR": str(self.place / "run"), "STAYFAST_COURIER": courier}
        storage = PostgresStorage(
            self.server.url(self.database, user=user or self.user),
            config_dir=str(self.place / "config"), state_dir=str(self.place / "s"),
            patience=0.5, environ=environ,
        )  # fmt: skip
        self._assemblies.enter_context(closing(storage))
        return Assembly(storage, Catalogue(None), environ=environ)

    def sign_in(self) -> None:
        self.own.conductor.sign_in(self.provider.config(), InstantTransport(approve))

    def close(self) -> None:
        """End the sessions; a storage that is used again opens new ones."""
        self._assemblies.close()

    def refreshed(self, courier: str, failure: Failure) -> Login:
        """What a caller has in hand after ``failure`` came between sending and saving."""
        caller = self.assembly(courier)
        self.provider.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=HELD), times=1)
        rotated = self.provider.counts["tokens"]
        with ThreadPoolExecutor(1) as pool:
            refresh = pool.submit(caller.conductor.refresh.valid, "demo", "default", force=True)
            until(lambda: self.provider.counts["tokens"], lambda seen: seen > rotated)
            with failing(self, failure):
                self.provider.release()
                try:
                    return refresh.result()
                except TokensNotSaved as error:
                    assert error.kept == str(self.place / "run" / "stayfast")  # noqa: PT017  both may come
                    return error.login


@contextmanager
def failing(site: Site, failure: Failure) -> Iterator[None]:
    """In the block, the server does what ``failure`` says."""
    with (refusing if failure.at else _WHOLE[failure.name])(site, failure):
        yield


@contextmanager
def refusing(site: Site, failure: Failure) -> Iterator[None]:
    """A trigger does it: at once, or when the transaction commits."""
    late = failure.at == "commit"
    table = "login" if late else failure.at
    kind = "CONSTRAINT TRIGGER refusal AFTER" if late else "TRIGGER refusal BEFORE"
    deferred = "DEFERRABLE INITIALLY DEFERRED" if late else ""
    site.sql(
        "CREATE FUNCTION stayfast.refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        f" $$BEGIN {REFUSALS[failure.name]}; RETURN NEW; END$$"
    )
    site.sql(
        f"CREATE {kind} INSERT OR UPDATE ON {table} {deferred} FOR EACH ROW EXECUTE FUNCTION stayfast.refuse()"
    )
    yield
    site.sql("DROP FUNCTION stayfast.refuse CASCADE")


@contextmanager
def stopped(site: Site, _failure: Failure) -> Iterator[None]:
    """The server ends as by a crash, and comes back when it is too late."""
    site.server.stop(immediate=True)
    yield
    site.server.start()


@contextmanager
def killed(site: Site, _failure: Failure) -> Iterator[None]:
    """The server's process for the saving session is killed while it waits; the server recovers by itself."""
    with holding_the_head(site):
        pool = ThreadPoolExecutor(1)
        pool.submit(kill_the_one_that_waits, site)
        yield
        pool.shutdown()
    # all sessions end with it
    until(lambda: answers(site), bool)


def kill_the_one_that_waits(site: Site) -> None:
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ((pid,),) = until(lambda: site.sql(waiting), bool) or [(0,)]
    os.kill(pid, signal.SIGKILL)


def answers(site: Site) -> bool:
    try:
        return bool(site.sql("SELECT 1"))
    except psycopg.OperationalError:
        return False


@contextmanager
def changed(site: Site, before: str, after: str) -> Iterator[None]:
    """Sessions that begin in the block meet what ``before`` sets; ``after`` takes it back."""
    site.sql(before)
    site.sql(f"SELECT pg_terminate_backend(pid) FROM {SESSIONS}")
    yield
    site.sql(after)
    site.sql(f"SELECT pg_terminate_backend(pid) FROM {SESSIONS}")


@contextmanager
def holding_the_head(site: Site) -> Iterator[None]:
    """Another session has the row that every writer takes first, and does not end."""
    with psycopg.connect(site.server.url(site.database)) as other:
        other.execute("SELECT one FROM stayfast.head FOR UPDATE")
        yield
        other.close()


@contextmanager
def row_held(site: Site, _failure: Failure) -> Iterator[None]:
    role = f"ALTER ROLE {site.user}"
    with (
        changed(site, f"{role} SET lock_timeout = '200ms'", f"{role} RESET lock_timeout"),
        holding_the_head(site),
    ):
        yield


def by_statements(before: str, after: str) -> Callable[[Site, Failure], object]:
    def change(site: Site, _failure: Failure) -> object:
        names = {"user": site.user, "database": site.database}
        return changed(site, before.format(**names), after.format(**names))

    return change


_WHOLE = {
    "stopped": stopped,
    "killed": killed,
    "row-held": row_held,
    "standby": by_statements(
        "ALTER ROLE {user} SET default_transaction_read_only = on",
        "ALTER ROLE {user} RESET default_transaction_read_only",
    ),
    "user-refused": by_statements("ALTER ROLE {user} NOLOGIN", "ALTER ROLE {user} LOGIN"),
    "rights-gone": by_statements(
        "REVOKE UPDATE ON stayfast.head FROM {user}", "GRANT UPDATE ON stayfast.head TO {user}"
    ),
    "no-connection-left": by_statements(
        "ALTER ROLE {user} CONNECTION LIMIT 0", "ALTER ROLE {user} CONNECTION LIMIT -1"
    ),
}


@pytest.fixture
def site(
    tmp_path: Path,
    provider: AuthorizationServer,
    server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))  # what a worker gets
    made = Site(tmp_path, provider, server)
    yield made
    made.close()


def lost(site: Site, courier: str, failure: Failure, counts: Counter[str]) -> str | None:
    """What is lost where ``failure`` meets a job of ``courier``; ``None`` if nothing is."""
    case = f"{failure} {courier}"
    before = site.own.conductor.refresh.find("demo", "default")
    reused = site.provider.counts["refresh_reuse"]
    in_hand = site.refreshed(courier, failure)
    saved = site.own.storage.read(before.id)
    counts["saved" if saved == in_hand else "kept"] += 1
    if in_hand.tokens == before.tokens:
        return f"{case}: the caller did not get the new token"
    later = site.assembly("inline")
    found = until(
        lambda: later.storage.read(before.id), lambda one: one and one.tokens != before.tokens
    )
    if not found or found.tokens != in_hand.tokens:
        return f"{case}: the new tokens were not brought in"
    patiently(lambda: later.conductor.refresh.valid("demo", "default", force=True))
    if site.provider.counts["refresh_reuse"] != reused:
        return f"{case}: a refresh token was sent twice"
    moves = [one.members for one in later.storage.events(limit=100_000)]
    versions = [
        one["version"] for one in moves if one.get("login") == before.id and "version" in one
    ]
    if versions != list(range(1, len(versions) + 1)):
        return f"{case}: the log tells {versions}"
    problems = later.storage.problems()  # type: ignore[attr-defined]  # it is one of PostgreSQL
    return f"{case}: {problems}" if problems else None


@pytest.mark.parametrize(
    ("courier", "failures"),
    [
        *(pytest.param("inline", [failure], id=str(failure)) for failure in SOME),
        pytest.param(
            "spawn", [Failure("disk-full", "commit"), Failure("killed")], id="of-a-worker"
        ),
        pytest.param("fork", [Failure("line-cut", "commit"), Failure("standby")], id="of-a-child"),
        *(
            pytest.param(courier, EVERY, id=f"all-{courier}", marks=pytest.mark.soak)
            for courier in ("inline", "fork", "spawn")
        ),
    ],
)
def test_no_failure_of_the_server_loses_a_login(
    site: Site, courier: str, failures: list[Failure]
) -> None:
    """The caller has the access token, and the next command has the login, whatever the server does."""
    counts: Counter[str] = Counter()
    found = []
    for failure in failures:
        found.append(lost(site, courier, failure, counts))
        site.close()
    gone = [one for one in found if one is not None]
    print(f"\n{courier}: {len(failures)} failures of the database server while tokens came "
          f"({dict(counts)}): {len(gone)} logins lost")  # fmt: skip
    assert gone == []
