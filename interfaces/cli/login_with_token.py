"""``login --with-token``: the token on standard input becomes a login. Nothing is sent."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import ConfigInvalid
from ...engine.hints import Hint
from ...engine.oauth.tokens import OAuthTokens
from ...engine.record import require_account_name
from ..importers.importing import import_into
from .accounts import account_to_sign_in, option

if TYPE_CHECKING:
    from .app import App

_TOKEN_LIMIT: Final = 1024 * 1024  # characters on standard input
_TERMINAL_LINE: Final = 4095 if sys.platform.startswith("linux") else 1023
"""Characters of a typed line that every system passes on whole: macOS 1,023, Linux 4,095."""


def keep_token(app: App, provider: str, account: str | None, *, make_room: bool) -> None:
    """Make the token on standard input the login of ``account``. Nothing is sent.

    Raises:
        ConfigInvalid: It is no token, is of another server, or the account has a login.
    """
    chosen = account_to_sign_in(app, provider, account)
    require_account_name(chosen)
    text = _given_token(app)
    problem = ""
    source: OAuthTokens | dict[str, Any] = OAuthTokens(
        access_token=text, issued_at=app.assembly().clock.now()
    )
    if not text.startswith("{") and text.split() != [text]:
        problem = "what is on standard input is not one token"
    elif text.startswith("{"):
        try:
            source = json.loads(text)
        except (ValueError, RecursionError):
            problem = "what is on standard input is neither a token nor JSON"
    if problem or len(text) > _TOKEN_LIMIT:
        raise ConfigInvalid(
            problem or "what is on standard input is too large",
            hint=Hint("login", provider, "--with-token"),
        )
    kept = import_into(app.assembly(), provider, source, chosen, None, make_room=make_room)
    if app.terminal.json:
        members = {"login": kept.short_id, "provider": kept.provider, "account": kept.account}
        app.terminal.answer_json("login/1", {**members, "state": kept.state.value})
    app.terminal.say(f"the token is kept as account {kept.account} of {kept.provider}", mark="good")
    app.terminal.suggest(f"stayfast token {kept.provider}{option(kept.account)}")


def _given_token(app: App) -> str:
    """The token on standard input; somebody at a terminal is asked for it, and it is not shown.

    Raises:
        ConfigInvalid: The terminal has cut it off.
    """
    if not app.terminal.interactive:
        return sys.stdin.read(_TOKEN_LIMIT + 1).strip() if sys.stdin is not None else ""
    typed = app.terminal.ask("Token (it is not shown)", hidden=True)
    if len(typed) >= _TERMINAL_LINE:
        raise ConfigInvalid(
            "the token is longer than a line of this terminal can be, so a part of it is missing",
            hint="write it to a file, and give that file as standard input",
        )
    return typed.strip()
