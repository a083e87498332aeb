"""A transport that somebody else wrote, installed as they would ship it, and used by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from command import PATIENCE, World, events_of, until
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import Conversation, Session, Transport
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.http import RequestsHttp
from stayfast.interfaces.transport_maker import TransportMaker
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemClock
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.transport_contract import TransportCase, TransportContract
from stayfast.testing.user_agent import fetch_only, tampered
from stayfast.transports import plugins
from wire_talk import NoBrowser, Notices

EXAMPLE = Path(__file__).parents[2] / "examples" / "drop-transport"


def install(project: Path, place: Path) -> None:
    """Install ``project`` into ``place`` as pip does, from what is on this machine."""
    copied = place.with_name(f"{place.name}-source")
    copied.mkdir()
    for path in project.iterdir():
        if path.is_file():
            (copied / path.name).write_bytes(path.read_bytes())
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--no-build-isolation", "--no-index", "--target", str(place), str(copied),
        ],
        check=True,
        timeout=120,
        capture_output=True,
    )  # fmt: skip


def put(site: Path, package: str, name: str, module: str) -> None:
    """Lay down what pip would for a package whose entry point ``name`` is ``Made`` of ``module``."""
    python = package.replace("-", "_")
    (site / f"{python}.py").write_text(module)
    dist = site / f"{python}-2.1.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.1\nSummary: a test\n"
    )
    (dist / "entry_points.txt").write_text(f"[stayfast.transports]\n{name} = {python}:Made\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, and with some that went wrong."""
    site = tmp_path_factory.mktemp("plugins") / "site"
    install(EXAMPLE, site)
    put(site, "stayfast-broken", "broken", "import a_module_that_is_not_there")
    put(site, "stayfast-hasty", "hasty", "class Made:\n    def __init__(self, dependencies): 1 / 0")
    put(
        site,
        "stayfast-nothing",
        "nothing",
        "class Made:\n    def __init__(self, dependencies): pass",
    )
    put(site, "stayfast-first", "twice", "Made = None")
    put(site, "stayfast-second", "twice", "Made = None")
    put(site, "stayfast-thief", "loopback", "raise SystemExit('stolen')")
    return site


@pytest.fixture
def found(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """This process sees what is installed there."""
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("stayfast_drop", None)


def dependencies(talk: Conversation) -> plugins.TransportDependencies:
    return plugins.TransportDependencies(
        conversation=talk,
        browser=NoBrowser(),
        http=RequestsHttp(),
        clock=SystemClock(),
        answers=lambda: pytest.fail("nobody types here"),
    )


def drop(session: Session, parameters: Sequence[tuple[str, str]], folder: Path) -> None:
    """Bring the answer as another machine would."""
    (folder / ("0" * 8)).write_text(
        f"{session.presentation.redirect_uri}?{urlencode(parameters)}\n"
    )


class TestTheExample(TransportContract):
    @pytest.fixture
    def case(self, found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransportCase:
        monkeypatch.setenv("STAYFAST_DROP_DIR", str(tmp_path))

        def make(talk: Conversation) -> Transport:
            return plugins.make("drop", dependencies(talk))

        return TransportCase(
            make=make,
            config=OAuthConfig(service_name="x", client_id="y"),
            answer=lambda session, parameters: drop(session, parameters, tmp_path),
        )


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, server: AuthorizationServer, site: Path) -> World:
    tmp_path.chmod(0o700)
    extra = {"PYTHONPATH": str(site), "STAYFAST_DROP_DIR": str(tmp_path / "drop")}
    return World(tmp_path, server, extra)


def asked(process: subprocess.Popen[str]) -> Any:
    """The address the user is asked to open."""
    assert process.stdout is not None
    lines = (json.loads(line) for line in process.stdout)
    return next(line["url"] for line in lines if line["event"] == "login.action_required")


def dropped(world: World, text: str) -> None:
    (login,) = world.logins()
    path = world.place / "drop" / login.id[:8].lower()
    path.write_text(text)
    until(path.exists, lambda there: not there)


def test_a_whole_login_by_the_command(world: World) -> None:
    """Asked for by name, it shows, refuses what is wrong, and signs in with what is right."""
    waiting = world.start("login", "demo", "--via", "drop", "--json")
    callback = fetch_only(asked(waiting))
    dropped(world, tampered(callback, state="another"))
    dropped(world, "hello")
    dropped(world, callback)
    _, complaints = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 0, complaints
    (login,) = world.logins()
    assert login.state is State.AUTHENTICATED
    dist = [(e.get("trigger", e.get("reason")), e.get("transport")) for e in events_of(world)]
    assert ("wrong_state", "drop") in dist
    assert ("not_a_callback", "drop") in dist
    assert ("receive_callback", "drop") in dist
    assert list((world.place / "drop").iterdir()) == []


def test_a_killed_login_is_resumed_by_the_same_transport(world: World) -> None:
    """`stayfast resume` finds the plug-in by the name that was saved."""
    first = world.start("login", "demo", "--via", "drop", "--json")
    callback = fetch_only(asked(first))
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (login,) = world.logins()
    assert login.presentation is not None
    assert login.presentation.transport == "drop"
    again = world.start("resume", login.short_id)
    until((world.place / "drop").exists, bool)
    dropped(world, callback)
    assert again.wait(20) == 0
    again.communicate()
    assert world.logins()[0].state is State.AUTHENTICATED


def test_two_steps_and_the_provider_setting(world: World) -> None:
    """A provider may prefer it; `--start` begins with it, and another process finishes."""
    world.provide("dropping", via="drop")
    started = world.run("login", "dropping", "--start", "--json").json
    assert world.logins()[0].presentation.transport == "drop"  # type: ignore[union-attr]  # it is
    done = world.run(
        "resume", started["login"], "--callback-url", "-", stdin=fetch_only(started["url"])
    )
    assert done.code == 0


def test_it_is_listed_and_completed(world: World) -> None:
    """Help names it with its package; the shell completes it; nothing of it is loaded for that."""
    page = world.run("help", "transports")
    assert page.code == 0
    assert "stayfast-drop 1.0" in page.out
    assert "stayfast-broken 2.1" in page.out
    completing = {"_STAYFAST_COMPLETE": "bash_complete", "COMP_WORDS": "stayfast login --via d"}
    dist = world.run(env={**completing, "COMP_CWORD": "3"}).out.split()
    assert dist == ["plain,device", "plain,drop"]


@pytest.mark.parametrize(("name", "code"), [("absent", 2), ("broken", 1)])
def test_what_does_not_load_is_one_clear_error(world: World, name: str, code: int) -> None:
    """No traceback, no login begun."""
    done = world.run("login", "demo", "--via", name, "--json")
    assert (done.code, done.json["code"]) == (code, {1: "CONFIG_INVALID", 2: "USAGE"}[code])
    assert "Traceback" not in done.err
    assert world.logins() == []


@pytest.mark.parametrize("name", ["broken", "hasty", "nothing", "twice"])
def test_whose_fault_it_is_is_said(found: Path, name: str) -> None:
    """The package is named, and what to do about it, however it goes wrong."""
    with pytest.raises(ConfigInvalid) as raised:
        plugins.make(name, dependencies(Notices()))
    assert "stayfast-" in raised.value.message
    assert (raised.value.hint or "").startswith("pip ")


def test_nobody_takes_a_name_of_ours(found: Path) -> None:
    """A package that calls its transport as one of ours is neither listed nor loaded."""
    assert "stayfast-thief 2.1" not in {one.package for one in plugins.installed()}
    with pytest.raises(ConfigInvalid):
        plugins.make("loopback", dependencies(Notices()))


def test_the_library_knows_it_too(found: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever embeds the library asks for it by the same name."""
    assembly = Assembly.open(storage=MemoryStorage(), environ=dict(os.environ))
    maker = TransportMaker(assembly, Notices(), browser=NoBrowser())
    assert maker.make("drop").name == "drop"
    with pytest.raises(ConfigInvalid):
        maker.make("absent")
