"""Two hosts with networks, names and clocks of their own share the logins of one PostgreSQL server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from command import STAYFAST, World, until
from conductors import conductor_over
from instant import InstantTransport
from postgres_server import Host, PostgresServer, require
from stayfast.engine.table import State
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

RELAY = """
import socket, sys, threading
near_end, far_end = sys.argv[1:]
if near_end.isdigit():
    listener = socket.create_server(("127.0.0.1", int(near_end)))
else:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(near_end)
    listener.listen(64)
print("ready", flush=True)
def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for one in (a, b):
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
while True:
    near, _ = listener.accept()
    if far_end.isdigit():
        far = socket.create_connection(("127.0.0.1", int(far_end)))
    else:
        far = socket.socket(socket.AF_UNIX)
        far.connect(far_end)
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""
REFRESH = """
import sys
from stayfast.interfaces.assembly import Assembly
from stayfast.storage.postgres import PostgresStorage
url, config, state, lease, patience = sys.argv[1:]
storage = PostgresStorage(url, config_dir=config, state_dir=state, lease_seconds=float(lease),
                          patience=float(patience))
own = Assembly.open(storage=storage, config_dir=config)
login = own.conductor.refresh.find("demo", "default")
print("open", flush=True)
sys.stdin.readline()
try:
    print(own.conductor.refresh.valid("demo", "default", force=True).tokens.access_token)
except Exception as error:
    print(type(error).__name__)
"""
ANOTHER_CLOCK = """
import sys, time
real, ahead = time.time, float(sys.argv[4])
time.time = lambda: real() + ahead
from stayfast.interfaces.assembly import Assembly
from stayfast.storage.postgres import PostgresStorage
url, config, state, _ = sys.argv[1:]
own = Assembly.open(storage=PostgresStorage(url, config_dir=config, state_dir=state), config_dir=config)
for _ in sys.stdin:
    print(own.conductor.refresh.valid("demo", "default").state.value, flush=True)
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)


class Network:
    """A host of its own: a network that leads to the server, and a name.

    Attributes:
        name: Its name, and that of its network namespace.
        server: The address of the server as this host sees it.
    """

    def __init__(self, number: int, provider: AuthorizationServer, place: Path) -> None:
        self.name = f"sf{os.getpid() % 100000}{'ab'[number]}"
        self._link = f"{self.name}v"
        octet = os.getpid() % 250
        self.server, own = (f"10.21{number}.{octet}.{last}" for last in (1, 2))
        ip("netns", "add", self.name)
        ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("addr", "add", f"{self.server}/30", "dev", self._link)
        ip("link", "set", self._link, "up")
        for words in (("addr", "add", f"{own}/30", "dev", "eth0"), ("link", "set", "eth0", "up"),
                      ("link", "set", "lo", "up")):  # fmt: skip
            ip("-n", self.name, *words)
        # the provider listens on the loopback interface, which is another one here
        port, between = provider.issuer.rpartition(":")[2], str(place / f"{self.name}.sock")
        self._relays = [
            subprocess.Popen(
                [sys.executable, "-c", RELAY, between, port], stdout=subprocess.PIPE, text=True
            ),
            self.popen([sys.executable, "-c", RELAY, port, between]),
        ]
        for relay in self._relays:
            assert relay.stdout is not None
            assert relay.stdout.readline() == "ready\n"

    def popen(self, words: list[str], **environ: str) -> subprocess.Popen[str]:
        """Start a program on this host."""
        named = f'hostname {self.name}; exec "$@"'
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", named, "sh", *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environ},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def cut_off(self) -> None:
        """Let no packet through any more, and say so to nobody."""
        ip("link", "set", self._link, "down")

    def restore(self) -> None:
        ip("link", "set", self._link, "up")

    def remove(self) -> None:
        for relay in self._relays:
            relay.kill()
            relay.communicate(timeout=10)
        with suppress(subprocess.CalledProcessError):
            ip("netns", "del", self.name)
        with suppress(subprocess.CalledProcessError):
            ip("link", "del", self._link)


@pytest.fixture
def networks(tmp_path: Path, provider: AuthorizationServer) -> Iterator[list[Network]]:
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("unshare")):
        pytest.skip("only root can make networks, with ip and unshare")
    made: list[Network] = []
    try:
        made.append(Network(0, provider, tmp_path))
        made.append(Network(1, provider, tmp_path))
    except (subprocess.CalledProcessError, OSError) as error:
        pytest.skip(f"no network namespaces here: {error}")
    else:
        yield made
    finally:
        for network in made:
            network.remove()


@pytest.fixture
def far_server(networks: list[Network]) -> Iterator[PostgresServer]:
    """A server that both networks lead to."""
    require()
    running = PostgresServer(listen=[one.server for one in networks])
    try:
        running.start()
        yield running
    finally:
        running.remove()


class Two:
    """Both hosts at work on one database, with one key file."""

    def __init__(
        self, networks: list[Network], server: PostgresServer, world: World, place: Path
    ) -> None:
        self.networks, self._server, self._world, self._place = networks, server, world, place
        self.database = server.new_database()

    def url(self, network: Network) -> str:
        return f"postgresql://owner@{network.server}/{self.database}?sslmode=disable"

    def run(self, network: Network, *words: str, stdin: str | None = None) -> tuple[int, str, str]:
        """The command on that host."""
        process = network.popen(
            [sys.executable, STAYFAST, *words],
            STAYFAST_STORE=self.url(network),
            STAYFAST_CONFIG_DIR=str(self._world.config),
            STAYFAST_STATE_DIR=str(self._place / network.name),
        )
        out, err = process.communicate(stdin, timeout=180)
        return process.returncode, out, err

    def refreshing(
        self, network: Network, *, lease: float = 30.0, patience: float = 10.0
    ) -> subprocess.Popen[str]:
        """A process of that host with the database open, which refreshes at the next line."""
        process = network.popen(
            [sys.executable, "-c", REFRESH, self.url(network), str(self._world.config),
             str(self._place / network.name), str(lease), str(patience)],
            STAYFAST_COURIER="inline",
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return process


@pytest.fixture
def two(
    networks: list[Network],
    far_server: PostgresServer,
    provider: AuthorizationServer,
    tmp_path: Path,
) -> Two:
    tmp_path.chmod(0o700)
    return Two(networks, far_server, World(tmp_path, provider), tmp_path)


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def signed_in(two: Two) -> None:
    """Begun on the one host, and finished on the other."""
    here, there = two.networks
    code, out, err = two.run(here, "login", "demo", "--start", "--via", "manual", "--json")
    assert code == 3, err
    started = json.loads(out)
    landed = user_agent.fetch_only(started["url"])
    code, _, err = two.run(there, "resume", started["login"], "--callback-url", "-", stdin=landed)
    assert code == 0, err


def test_hosts_apart_share_one_login(two: Two, provider: AuthorizationServer) -> None:
    """A login begun on one is finished on the other, and a crowd on both sends one refresh."""
    signed_in(two)
    provider.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.3), times=1)
    before = provider.counts.copy()
    crowd = [two.refreshing(network) for network in two.networks * 2]
    for one in crowd:
        go(one)
    answers = {one.communicate(timeout=180)[0].strip() for one in crowd}
    sent = provider.counts["token:refresh_token"] - before["token:refresh_token"]
    assert provider.counts["refresh_reuse"] == before["refresh_reuse"]
    assert 1 <= sent == len(answers) < len(crowd)


def test_a_host_that_is_cut_off_loses_nothing(two: Two, provider: AuthorizationServer) -> None:
    """Its answer comes when it cannot save it: nobody sends the refresh token again meanwhile but once."""
    signed_in(two)
    here, there = two.networks
    provider.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=3.0), times=1)
    before = provider.counts["tokens"]
    slow = two.refreshing(here, lease=2.0, patience=1.0)
    go(slow)
    until(lambda: provider.counts["tokens"] > before, bool)
    here.cut_off()
    said = slow.communicate(timeout=180)[0].strip()
    assert said
    here.restore()
    code, out, err = two.run(here, "token", "demo")
    assert code == 0, err
    assert two.run(there, "token", "demo")[1] == out
    assert two.run(there, "refresh", "demo")[0] == 0
    assert two.run(here, "token", "demo")[0] == 0


@pytest.mark.parametrize("ahead", [600.0, -600.0])
def test_clocks_that_differ_by_ten_minutes(
    server: PostgresServer, database: str, provider: AuthorizationServer, host: Host, tmp_path: Path,
    ahead: float,
) -> None:  # fmt: skip
    """The login goes on on both hosts, and no clock makes a host refresh at each call."""
    World(tmp_path, provider)
    storage = host("here", config_dir=str(tmp_path / "c"))
    here = conductor_over(storage)
    here.sign_in(provider.config(), InstantTransport(lambda url: [user_agent.fetch_only(url)]))
    before = provider.counts["token:refresh_token"]
    there = subprocess.Popen(
        [sys.executable, "-c", ANOTHER_CLOCK, server.url(database), str(tmp_path / "c"),
         str(tmp_path / "there"), str(ahead)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert there.stdout is not None
    for _ in range(3):
        go(there)
        assert there.stdout.readline() == "authenticated\n"
        assert here.refresh.valid("demo", "default").state is State.AUTHENTICATED
    there.communicate(timeout=120)
    assert provider.counts["token:refresh_token"] - before <= 1
    assert storage.problems() == []
