"""A real PostgreSQL server of the tests' own: a cluster in a temporary directory, on a socket there."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from stayfast.storage.postgres import PostgresStorage

Host = Callable[..., PostgresStorage]
PATIENCE = 120.0  # seconds after which the server has hung
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "logging_collector": "off",
}
SESSIONS = "pg_stat_activity WHERE application_name = 'stayfast' AND datname = current_database()"
"""Our sessions of one test's database. Tests before it may have left some in theirs."""
_ACCESS = "local all keeper scram-sha-256\nlocal all all trust\nhost all all samenet trust\n"


def binaries() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: Debian does not put them on the path."""
    found = shutil.which("postgres")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_release, reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


def _release(place: Path) -> float:
    return float(place.parent.name) if place.parent.name.replace(".", "").isdigit() else 0.0


def require() -> Path:
    """The binaries. Without them the test is skipped, or fails if nothing may be skipped."""
    place = binaries()
    if place is None and os.environ.get("STAYFAST_REQUIRE_ALL"):
        pytest.fail("not installed: postgresql")
    if place is None:
        pytest.skip("not installed: postgresql")
    return place


class PostgresServer:
    """One cluster; every test gets a database of its own in it."""

    def __init__(self, *, durable: bool = False, listen: Sequence[str] = ()) -> None:
        """A cluster; one that is not ``durable`` survives its own crash, but no power cut.

        It also listens at the addresses ``listen``, for everybody of their networks.
        """
        self._settings = {**_SETTINGS, "fsync": "on" if durable else "off"}
        self._settings["listen_addresses"] = ",".join(listen)
        self.directory = Path(tempfile.mkdtemp(prefix="hfpg"))
        self._binaries = require()
        self._names = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        # the server dies with the thread that started it: one that lives as long as we do
        self._starter = ThreadPoolExecutor(1)
        if os.geteuid() == 0:
            owner = next(one for one in ("postgres", "nobody") if _user(one) is not None)
            os.chown(self.directory, _user(owner).pw_uid, _user(owner).pw_gid)
            self._as = ["setpriv", f"--reuid={owner}", f"--regid={_user(owner).pw_gid}",
                        "--clear-groups", "--pdeathsig=QUIT"]  # fmt: skip
        else:
            self._as = ["setpriv", "--pdeathsig=QUIT"]
        self._run("initdb", "-D", str(self._data), "-U", "owner", "-A", "trust", "-N", "-E", "UTF8",
                  "--locale=C")  # fmt: skip
        (self._data / "pg_hba.conf").write_text(_ACCESS)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as, str(self._binaries / name), *arguments],
            cwd=self.directory, check=True, capture_output=True, timeout=PATIENCE,
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = self._starter.submit(self._started).result()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    server_log = (self.directory / "log").read_text()[-2000:]
                    raise AssertionError(f"it did not start: {server_log}") from error
                time.sleep(0.02)
            else:
                return

    def _started(self) -> subprocess.Popen[bytes]:
        settings = {**self._settings, "unix_socket_directories": str(self.directory)}
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [*self._as, str(self._binaries / "postgres"), "-D", str(self._data)]
                + [word for name, value in settings.items() for word in ("-c", f"{name}={value}")],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it: in order, or as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def restart(self) -> None:
        """Crash it and start it again."""
        self.stop(immediate=True)
        self.start()

    def remove(self) -> None:
        """Stop it and remove all of it."""
        self.stop(immediate=True)
        self._starter.shutdown()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str, *, user: str = "owner", password: str = "", more: str = "") -> str:
        """The address of ``database``."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@/{database}?host={self.directory}{more}"

    def new_database(self) -> str:
        """The name of a new, empty database."""
        name = f"db{next(self._names)}"
        self.execute("postgres", f"CREATE DATABASE {name}")
        return name

    def execute(self, database: str, sql: str, *, user: str = "owner") -> list[tuple]:
        """What ``sql`` finds, in our schema."""
        settings = {"options": "-c search_path=stayfast", "autocommit": True}
        with psycopg.connect(self.url(database, user=user), **settings) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []


class PgBouncer:
    """A pooler in front of ``server`` that gives every transaction any of its few sessions."""

    def __init__(self, server: PostgresServer, *, more: str = "") -> None:
        """Start it; ``more`` are further lines of its settings."""
        found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if found is None and os.environ.get("STAYFAST_REQUIRE_ALL"):
            pytest.fail("not installed: pgbouncer")
        if found is None:
            pytest.skip("not installed: pgbouncer")
        self.directory = Path(tempfile.mkdtemp(prefix="hfpb"))
        (self.directory / "users").write_text('"owner" ""\n')
        (self.directory / "settings").write_text(
            f"[databases]\n* = host={server.directory}\n[pgbouncer]\nlisten_addr =\n"
            f"unix_socket_dir = {self.directory}\nlisten_port = 6432\nauth_type = trust\n"
            f"auth_file = {self.directory}/users\npool_mode = transaction\ndefault_pool_size = 3\n"
            f"{more}\n"
        )
        starter = list(server._as)
        if os.geteuid() == 0:
            owner = server.directory.stat()
            os.chown(self.directory, owner.st_uid, owner.st_gid)
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*(word for word in starter if "pdeathsig" not in word), found,
                 str(self.directory / "settings")],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not (self.directory / ".s.PGSQL.6432").exists():
            assert self._process.poll() is None, (self.directory / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def url(self, database: str, more: str = "") -> str:
        """The address of ``database`` through it."""
        return f"postgresql://owner@/{database}?host={self.directory}&port=6432{more}"

    def remove(self) -> None:
        """Stop it and remove all of it."""
        self._process.kill()
        self._process.wait(PATIENCE)
        shutil.rmtree(self.directory, ignore_errors=True)


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
