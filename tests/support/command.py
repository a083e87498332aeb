"""The installed command in a world of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stayfast.engine.record import Login
from stayfast.interfaces.assembly import Assembly
from stayfast.testing.authorization_server import CLIENT_ID, AuthorizationServer

STAYFAST = str(Path(sys.executable).with_name("stayfast"))
PATIENCE = 120.0  # seconds after which a run has hung, however busy the machine is


@dataclass
class Done:
    """What a run came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object that was printed."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON objects that were printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class World:
    """Directories, an environment and a provider for one test."""

    place: Path
    server: AuthorizationServer
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.provide("demo")

    @property
    def state(self) -> Path:
        return self.place / "state"

    @property
    def config(self) -> Path:
        return self.place / "config"

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STAYFAST_", "SSH_", "DISPLAY", "WAYLAND", "CI", "DEBIAN_"))
        }
        return {
            **kept,
            "STAYFAST_STATE_DIR": str(self.state),
            "STAYFAST_CONFIG_DIR": str(self.config),
            "STAYFAST_STORE": "file",
            "BROWSER": f"{sys.executable} -m stayfast.testing.user_agent approve %s",
            "LANG": "C.UTF-8",
            **self.extra,
        }

    def provide(self, name: str, **settings: object) -> None:
        """Configure the server under ``name``; ``None`` leaves a setting out."""
        known = self.server.config()
        members: dict[str, object] = {
            "client_id": CLIENT_ID,
            "issuer": known.issuer,
            "auth_url": known.auth_url,
            "token_url": known.token_url,
            "device_url": known.device_url,
            "revocation_url": known.revocation_url,
            "jwks_url": known.jwks_url,
            "scopes": list(known.scopes),
            "redirect_uri": known.redirect_uri,
            "iss_required": True,
            **settings,
        }
        lines = [f"\n[providers.{name}]"]
        lines += [f"{key} = {json.dumps(v)}" for key, v in members.items() if v is not None]
        path = self.config / "config.toml"
        before = path.read_text() if path.exists() else ""
        path.touch(mode=0o600)
        path.write_text(before + "\n".join(lines) + "\n")

    def run(self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Done:
        """Run ``stayfast`` to its end."""
        done = subprocess.run(
            [STAYFAST, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={**self.environ, **(env or {})},
            timeout=PATIENCE,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Run ``stayfast`` in the background."""
        return subprocess.Popen(
            [STAYFAST, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environ, **(env or {})},
        )

    @property
    def assembly(self) -> Assembly:
        """The same storage, seen from this process."""
        return Assembly.open(
            state_dir=str(self.state), config_dir=str(self.config), store="file", environ={}
        )

    def logins(self) -> list[Login]:
        """Every login, oldest first."""
        storage = self.assembly.storage
        found = [storage.read(one.id) for one in storage.summaries()]
        return [login for login in found if login is not None]

    def wait_for(self, seen: Callable[[list[Login]], bool]) -> list[Login]:
        """The logins once they are as ``seen`` wants them."""
        return until(self.logins, seen)


def until(look: Callable[[], Any], seen: Callable[[Any], bool]) -> Any:
    """What ``look`` gives, once ``seen`` is satisfied with it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if seen(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {found!r}")
        time.sleep(0.02)


def kill(process: subprocess.Popen[str]) -> None:
    """End ``process`` as a power cut would."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def events_of(world: World) -> list[Mapping[str, Any]]:
    """The lines of the audit log, in order."""
    return [recorded.members for recorded in world.assembly.storage.events(limit=10_000)]


def states_of(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """The triggers of the events."""
    return [event["trigger"] for event in events if "trigger" in event]
