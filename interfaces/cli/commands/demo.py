"""``demo``: a whole login against the authorization server of :mod:`stayfast.testing`."""

from __future__ import annotations

import tempfile
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from ....engine.errors import ConfigMissing
from ....storage import EncryptedFileStorage
from ....transports.loopback.transport import LoopbackTransport
from ...assembly import Assembly
from ...audit.reading import every_event
from ...catalogue import Catalogue
from ...transport_maker import SilentConversation
from ..app import App, takes_app
from ..terminal.formatting import masked
from .audit import EVENTS, event_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ....engine.audit.events import Recorded
    from ....engine.record import Login
    from ..terminal.tty import Terminal


class _States:
    """Prints each transition once it is saved."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        del login
        arrow = self._terminal.symbol("next")
        for event in recorded:
            members = event.members
            if "trigger" not in members:  # a record of the storage, or of a refused input
                continue
            line = f"{members['from']:>17} {arrow} {members['to']:<17} {members['trigger']}"
            self._terminal.answer(f"  {line}")


class _ScriptedBrowser:
    """Walks the sign-in pages by itself, in a thread of its own, as a browser would."""

    def __init__(self) -> None:
        self.page = ""

    def open(self, url: str) -> str | None:
        from ....testing import user_agent  # noqa: PLC0415  only where the demo is run

        def walk() -> None:
            self.page = user_agent.approve(url).text

        threading.Thread(target=walk, name="browser", daemon=True).start()
        return None


@click.command()
@takes_app
def demo(app: App) -> None:
    """Run a whole login against a local test server. Nothing is kept."""
    if find_spec("authlib") is None:
        raise ConfigMissing(
            "the demo needs the extra [demo], its authorization server",
            hint="in a clone of Stayfast: pip install '.[demo]'",
        )
    from ....testing.authorization_server import AuthorizationServer  # noqa: PLC0415  an extra

    terminal = app.terminal
    with (
        tempfile.TemporaryDirectory(prefix="stayfast-demo-") as place,
        AuthorizationServer() as server,
    ):
        storage = EncryptedFileStorage(f"{place}/state", config_dir=f"{place}/config")
        # whatever the environment chooses is for real logins
        assembly = Assembly(storage, Catalogue(None), observers=[_States(terminal)], environ={})
        terminal.answer(f"An authorization server is running at {server.issuer}.")
        terminal.answer("Signing in; a scripted browser approves.\n")
        browser = _ScriptedBrowser()
        transport = LoopbackTransport(SilentConversation(), browser, assembly.clock)
        login = assembly.conductor.sign_in(server.config(), transport)
        tokens = login.tokens
        who = login.identity.label if login.identity else "nobody"
        terminal.answer(f"\nSigned in as {who}.")
        if tokens is not None:
            terminal.answer(f"  access token   {masked(tokens.access_token)}")
            terminal.answer(f"  scopes         {' '.join(tokens.scopes)}")
        terminal.answer("\nRefreshing, then signing out:\n")
        login = assembly.conductor.refresh.valid(login.provider, login.account, force=True)
        assembly.conductor.logout.sign_out(login)
        terminal.answer("\nThe audit log of it, from the vault:\n")
        arrow = terminal.symbol("next")
        EVENTS.show(terminal, (event_row(event, arrow) for event in every_event(storage)))
        storage.close()
    terminal.answer("\nNothing was kept. Sign in somewhere real:  stayfast login github")
