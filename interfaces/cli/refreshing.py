"""What ``refresh`` does and answers, and a token that lasts long enough for whoever needs one.

Nothing here knows how a command line is read: a plain call of ``refresh`` is read without click.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.record import TokensNotSaved
from ..unattended import valid_login
from .accounts import whose_login
from .login_messages import exit_if_kept_nowhere, keep_trying_to_save
from .terminal.formatting import span

if TYPE_CHECKING:
    from ...engine.record import Login
    from .app import App


def show_refresh(app: App, *, provider: str | None = None, account: str | None = None) -> None:
    """What ``stayfast refresh`` does and answers; its help says what each argument means.

    Raises:
        SystemExit: Its exit status is not 0.
        StayfastError: As ``refresh`` says it.
    """
    assembly = app.assembly()
    name, account = whose_login(app, provider, account)
    with app.terminal.working(f"asking {name} for a fresh token"):
        login = refreshed(app, name, account, 0.0, force=True)
    end = login.tokens.expires_at if login.tokens else None
    if app.terminal.json:
        from ...engine.moments import timestamp  # noqa: PLC0415  for JSON alone

        app.terminal.answer_json(
            "refresh/1",
            {
                "provider": name,
                "account": account,
                "expires_at": timestamp(end),
                "reason": login.reason,
            },
        )
    left = f", good for {span(end - assembly.clock.now())}" if end is not None else ""
    app.terminal.say(f"{name} has a fresh token{left}", mark="good")
    if login.reason is not None:  # an ID token came with it, and does not hold
        why = login.reason.replace("_", " ")
        app.terminal.say(f"the ID token that came with it is not kept ({why})", mark="warn")
    exit_if_kept_nowhere(app)


def refreshed(app: App, name: str, account: str, min_ttl: float, *, force: bool) -> Login:
    """A login whose token lasts ``min_ttl``; if it cannot be saved, the user gets a chance to help."""
    try:
        return valid_login(app.assembly(), name, account, buffer=min_ttl, force=force)
    except TokensNotSaved as error:
        return keep_trying_to_save(app, error)
