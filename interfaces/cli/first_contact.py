"""What a user has to do at a provider before the first login: where a client is registered, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import ConfigMissing
from ...engine.hints import Hint
from ...engine.oauth.authorization_request import client_variable
from ...storage.paths import config_dir
from ...transports.loopback.redirect import addresses_to_register, registration_note
from ..catalogue import About, entry, index
from ..provider_file import ProviderFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.oauth.provider import OAuthConfig, OAuthProvider
    from .app import App
    from .terminal.tty import Terminal

NO_FACTS: Final = About()
"""What is known of a provider that is not in the catalogue."""
_BARE: Final = 2
"""Addresses beyond which the first and the last are named alone."""


def about_kind(kind: str | None) -> About:
    """What the catalogue says about ``kind``; nothing if it does not know it."""
    return entry(kind).about if kind is not None and kind in index() else NO_FACTS


def kind_of(app: App, name: str) -> str | None:
    """The kind that the provider ``name`` is one of: the one in the user's file, or the name itself."""
    written = _written(app, name)
    kind = written.get("kind")
    if isinstance(kind, str):
        return kind
    own = "issuer" in written or "token_url" in written
    return name if name in index() and not own else None


def say_registration(terminal: Terminal, provider: OAuthProvider, about: About) -> None:
    """Say where a client of ``provider`` is registered, how, and with which redirect address."""
    if provider.setup_url:
        terminal.say(f"Register a client at {provider.title}, if you have none:")
        terminal.link(provider.setup_url, before="  ")
    if about.register_how:
        terminal.say(f"  {about.register_how}")
    if provider.grant == "authorization-code":  # no other grant sends a browser back
        say_redirect(terminal, provider)


def say_redirect(terminal: Terminal, provider: OAuthProvider) -> None:
    """Say which redirect address is to be registered."""
    addresses = [*addresses_to_register(provider)]
    if not addresses:
        terminal.say("Register no redirect address: the page of the provider shows the code.")
        return
    exact = provider.redirect_port in {"exact", "range"}
    shown = addresses if exact else addresses[:1]
    plural = "es" if len(shown) > 1 else ""
    line = f"Register this redirect address{plural} with the provider:"
    if plural:
        line = line.replace("this", "these")
    if len(shown) == 1:
        terminal.say(f"{line}  {shown[0]}", hang=2)
    else:
        terminal.say(line)
        kept = shown if len(shown) <= _BARE + 1 else [shown[0], "…", shown[-1]]
        for address in kept:
            terminal.link(address, before="  ")
    note = registration_note(provider)
    if note:
        terminal.say(f"  {note}")


def with_client(app: App, name: str, configure: Callable[[], OAuthConfig]) -> OAuthConfig:
    """What ``configure`` makes of the provider ``name``.

    Raises:
        ConfigMissing: It has no client id. How to get one was said before, and the hint is the
            command that keeps it.
        StayfastError: Whatever else ``configure`` raises.
    """
    try:
        return configure()
    except ConfigMissing as error:
        if "://" in name or app.assembly().catalogue.has_client(name):
            raise
        raise _without_client(app, name, error) from error


def _without_client(app: App, name: str, error: ConfigMissing) -> ConfigMissing:
    terminal = app.terminal
    provider = app.assembly().catalogue.provider(name)
    say_registration(terminal, provider, about_kind(kind_of(app, name)))
    terminal.say(f"For this shell alone: export {client_variable(name)}=ID")
    if _written(app, name):
        hint = Hint("provider edit", name, "--client-id", "ID")
    elif terminal.interactive and not terminal.json:
        hint = Hint("provider add", name)
    else:
        hint = Hint("provider add", name, "--client-id", "ID")
    return ConfigMissing(error.message, hint=hint)


def whole_issuer(hint: Hint | None, name: str) -> Hint | None:
    """``hint``; where it names the option of another issuer alone, the line that sets it for ``name``."""
    option, _, issuer = (hint or "").partition(" ")
    if option != "--issuer":
        return hint
    return Hint("provider edit", name, "--issuer", issuer)


def _written(app: App, name: str) -> dict[str, Any]:
    """The table of the provider ``name`` in the user's file."""
    return ProviderFile(config_dir(app.settings())).written(name)
