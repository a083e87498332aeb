"""What ``status`` and ``list`` answer: where things are, from what is stored here.

Nothing here knows how a command line is read: the plain calls of both are read without click.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import AuthRequired, Damaged, NotFound
from ...engine.foreign_text import presentable
from ...engine.hints import Hint
from ...engine.summary import DEFAULT_ACCOUNT
from ...engine.table import State
from ...storage.capabilities import capabilities_of
from ..auth_status import status_of
from .accounts import account_to_use, known_as, moved_away, option
from .terminal.formatting import (
    clock_said,
    clock_time,
    sealed,
    span,
    with_tilde,
    word_of_path,
)
from .terminal.tables import STATE_STYLES, Column, Row, Table

if TYPE_CHECKING:
    from ...engine.record import Login
    from ...engine.summary import Summary
    from .app import App

_FEW = 20
_SOON: Final = 3 * 86400.0  # seconds: a weekend, and the Friday before
_MARKS = {State.AUTHENTICATED: "good", State.EXPIRED: "warn", State.REFRESH_FAILED: "warn"}

_STATUS: Final = Table(
    (
        Column("provider"),
        Column("state"),
        Column("who", folds=True),
        Column("valid", folds=True),
        Column("kept", once=True, spare=True),
    )
)
_LIST: Final = Table(
    (
        Column("login"),
        Column("provider"),
        Column("who", folds=True),
        Column("state"),
        Column("valid", folds=True),
    ),
    heads=2,
)


def show_status(
    app: App,
    *,
    provider: str | None = None,
    account: str | None = None,
    check: bool = False,
    show_answer: str | None = None,
    wide: bool = False,
) -> None:
    """What ``stayfast status`` answers; its help says what each argument means.

    Raises:
        SystemExit: Its exit status is not 0.
        StayfastError: As ``status`` says it.
    """
    if show_answer is not None:
        _show_answer(app, show_answer)
        return
    finished, pending = _collect(app, provider)
    if account is not None:
        pending = [one for one in pending if one.account == account]
        if finished or not pending:
            account = account_to_use(app, app.only_provider(provider), account)
        finished = [one for one in finished if one.account == account]
    if provider is not None and not finished and not pending:
        account_to_use(app, provider, account)  # raises: it says what is signed in instead
    active = {one.id: _check_active(app, one) for one in finished} if check else {}
    _show(app, finished, pending, active, wide=wide)
    if _damaged(app):
        sys.exit(Damaged.exit_code)
    refused = pending or False in active.values()
    if refused or not finished or not all(_serves(app, one) for one in finished):
        sys.exit(AuthRequired.exit_code)


def show_list(app: App, *, limit: int | None = None, offset: int = 0, wide: bool = False) -> None:
    """What ``stayfast list`` answers; its help says what each argument means.

    Raises:
        SystemExit: Its exit status is not 0.
        StayfastError: As ``list`` says it.
    """
    listed = _listed(app, offset, limit)
    finished = [one for one in listed if not one.pending]
    pending = [one for one in listed if one.pending]
    if app.terminal.json:
        app.terminal.answer_json("status/1", _members(app, finished, pending))
        if _damaged(app):
            sys.exit(Damaged.exit_code)
        return
    rows = [
        Row(
            (one.short_id, one.provider, known_as(one), one.state.value, _when(app, one)),
            style=STATE_STYLES.get(one.state, ""),
            styled=3,
        )
        for one in listed
    ]
    _LIST.show(app.terminal, rows, wide=wide)
    if not listed:
        app.terminal.say("no logins are kept here")
        say_moved(app)
    if _damaged(app):
        sys.exit(Damaged.exit_code)


def say_moved(app: App) -> bool:
    """Say where the logins went that were kept here; whether any did."""
    found = moved_away(app)
    for place, said in found.items():
        app.terminal.say(with_tilde(said))
        if os.path.isabs(place):
            app.terminal.suggest(f"stayfast status --state-dir {word_of_path(place)}")
    return bool(found)


def _show_answer(app: App, login_id: str) -> None:
    """Print an answer that could not be read: to the letter, but at a terminal without controls."""
    assembly, terminal = app.assembly(), app.terminal
    chosen = assembly.overview.named(login_id)
    login = assembly.storage.read(chosen.id)
    answer = login.unread if login else None
    if login is None or answer is None:
        msg = f"login {chosen.short_id} keeps no answer"
        raise NotFound(msg, hint=Hint("status", chosen.provider))
    body = answer.body.reveal().encode("latin-1").decode("utf-8", "surrogateescape")
    if terminal.json:
        members = {"login": chosen.short_id, "provider": chosen.provider}
        from ...engine.moments import timestamp  # noqa: PLC0415  for JSON alone

        answered = {"status": answer.status, "received_at": timestamp(answer.received_at)}
        shown = body.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        terminal.answer_json("answer/1", {**members, **answered, "body": shown})
    elif sys.stdout.isatty():
        terminal.answer_line(body)
    else:
        sys.stdout.buffer.write(body.encode("utf-8", "surrogateescape"))
        sys.stdout.flush()


def _show(
    app: App,
    finished: list[Summary],
    pending: list[Summary],
    active: Mapping[str, bool | None],
    *,
    wide: bool,
) -> None:
    if app.terminal.json:
        answer = _members(app, finished, pending)
        for one, members in zip(finished, answer["logins"], strict=True):
            if one.id in active:
                members["active"] = active[one.id]
        app.terminal.answer_json("status/1", answer)
        return
    detailed = finished if app.terminal.verbose else []
    for one in detailed:
        _details(app, one)
        if one is not detailed[-1] or pending:
            app.terminal.answer("")
    if pending or not detailed:
        _table(app, pending if detailed else [*finished, *pending], wide=wide)
    for one in finished:
        if one.id in active:
            app.terminal.answer_words(f"{one.provider}: {_ASKED[active[one.id]]}")
        _remark(app, one)


def _remark(app: App, one: Summary) -> None:
    """Say what a user would want to know of ``one`` unasked."""
    who = f"{one.provider}{option(one.account)}"
    if (left := _refresh_left(app, one)) is not None:
        said = f"the refresh token of {who} ends in {span(left)}; sign in again before"
        app.terminal.say(said, mark="warn")
    if more := _unasked(app, one):
        said = f"{who} was granted more than you asked for: {' '.join(more)}"
        app.terminal.say(said, mark="warn")


def _listed(app: App, offset: int, limit: int | None) -> list[Summary]:
    """The logins of one page: the finished ones come first.

    A large store pages them itself, in its own order, because names are sealed in it.
    """
    paged = app.assembly().overview.page(offset, limit)
    if paged is not None:
        return [
            one._replace(state=State.EXPIRED) if _has_expired(app, one) else one for one in paged
        ]
    finished, pending = _collect(app, None)
    return [*finished, *pending][offset : None if limit is None else offset + limit]


_ASKED = {
    True: "the provider says the token is active",
    False: "the provider says the token is not active",
    None: "the provider has no introspection endpoint to ask",
}


def _damaged(app: App) -> bool:
    """Whether the storage is damaged, or older than it was; if so, a message says what is wrong."""
    upkeep = capabilities_of(app.assembly().storage).upkeep
    damage = upkeep.damage if upkeep else None
    if damage is None:
        return False
    app.terminal.say(f"the vault is not as it was saved: {damage.message}", mark="warn")
    app.terminal.suggest("stayfast store mend")
    return True


def _check_active(app: App, one: Summary) -> bool | None:
    """Whether the provider says that the access token of ``one`` is active (RFC 7662)."""
    login = app.assembly().storage.read(one.id)
    if login is None or login.tokens is None:
        return None
    from ...engine.oauth.token_status import (  # noqa: PLC0415  for --check alone
        introspection_request,
        judge_introspection,
    )

    request = introspection_request(login.config, login.tokens.access_token, "access_token")
    if request is None:
        return None
    with app.terminal.working(f"asking {one.provider} about the token"):
        return judge_introspection(login.config, app.assembly().http.send(request)).active


def _collect(app: App, provider: str | None) -> tuple[list[Summary], list[Summary]]:
    """Finished and pending logins; a finished one whose token has expired becomes ``expired``."""
    assembly = app.assembly()
    finished: list[Summary] = []
    pending: list[Summary] = []
    for one in assembly.overview.summaries():
        if provider not in {None, one.provider}:
            continue
        if one.holds_tokens:
            finished.append(one)
        elif one.pending:
            pending.append(one)
    expired = [place for place, one in enumerate(finished) if _has_expired(app, one)]
    for place in expired:
        # few are noted for good; a look at a large store must not write for each of its logins
        one = finished[place]
        few = len(expired) <= _FEW
        finished[place] = _observed(app, one) if few else one._replace(state=State.EXPIRED)
    return sorted(finished, key=lambda one: (one.provider, one.account)), pending


def _unasked(app: App, one: Summary) -> list[str]:
    """The scopes that were granted and not asked for, as the reason of the login says."""
    if one.reason is None:
        return []
    from ...engine.reasons import Reason  # noqa: PLC0415  few logins have one

    if one.reason != Reason.SCOPE_WIDER.value:
        return []
    try:
        login = app.assembly().storage.read(one.id)
    except Damaged:
        return []
    from ...engine.oauth.grant_request import scopes_unasked  # noqa: PLC0415  for few logins

    return scopes_unasked(login.config, login.tokens) if login and login.tokens else []


def _has_expired(app: App, one: Summary) -> bool:
    return one.state is State.AUTHENTICATED and not one.serves(app.assembly().clock.now())


def _observed(app: App, one: Summary) -> Summary:
    assembly = app.assembly()
    try:
        login = assembly.storage.read(one.id)
    except Damaged:
        return one
    return assembly.conductor.refresh.observe(login).summary() if login else one


def _serves(app: App, one: Summary) -> bool:
    """Whether there is a token without the user: a usable one, or one that can be refreshed."""
    return one.serves(app.assembly().clock.now()) or (
        one.state in {State.EXPIRED, State.EXCHANGING} and one.refreshable
    )


def _next(app: App, one: Summary) -> str:
    if one.pending:
        return f"stayfast resume {one.short_id}"
    command = "token" if _serves(app, one) else "login"
    return f"stayfast {command} {one.provider}{option(one.account)}"


def _members(app: App, finished: list[Summary], pending: list[Summary]) -> dict[str, Any]:
    from ...engine.moments import timestamp  # noqa: PLC0415  for JSON alone

    now = app.assembly().clock.now()
    return {
        "logins": [
            {
                "provider": one.provider,
                "account": one.account,
                "state": one.state.value,
                "status": status_of(one, usable=one.serves(now)).value,
                "identity": one.identity.label if one.identity else None,
                "issuer": one.issuer,
                "scopes": list(one.scopes),
                "expires_at": timestamp(one.expires_at),
                "refreshable": one.refreshable,
                "refresh_expires_at": timestamp(one.refresh_expires_at),
                **_particulars(app, one, few=len(finished) <= _FEW),
                "storage": app.assembly().storage.description,
                "login": one.short_id,
                "reason": one.reason,
                "scopes_unasked": _unasked(app, one),
                "next": _next(app, one),
            }
            for one in finished
        ],
        "pending": [
            {
                "login": one.short_id,
                "provider": one.provider,
                "account": one.account,
                "state": one.state.value,
                "via": one.transport,
                "deadline": timestamp(one.deadline),
                "next": _next(app, one),
            }
            for one in pending
        ],
    }


def _particulars(app: App, one: Summary, *, few: bool) -> dict[str, Any]:
    """What a provider's own ways add to a login, where the whole records of a ``few`` are opened for it."""
    if one.plain:
        return {}
    try:
        login = app.assembly().storage.read(one.id) if few else None
    except Damaged:
        return {}
    if login is None or login.tokens is None:
        return {}
    from ...engine.moments import timestamp  # noqa: PLC0415  for JSON alone
    from ...engine.oauth.token_extras import (  # noqa: PLC0415  for whole records
        api_url,
        callback_extras,
        further_tokens,
    )

    config, tokens = login.config, login.tokens
    further = [
        {
            "resource": other.resource,
            "scopes": list(other.scopes),
            "expires_at": timestamp(other.expires_at),
            "refreshable": other.refreshable,
        }
        for other in further_tokens(config, tokens)
    ]
    members: dict[str, Any] = {
        "pkce": "off" if config.pkce == "off" else None,
        "api_url": api_url(config, tokens),
        "callback": dict(callback_extras(tokens)) or None,
        "further_tokens": further or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _refresh_left(app: App, one: Summary) -> float | None:
    """Seconds until the refresh token of ``one`` ends, if that is soon enough to say it unasked.

    One that never lives longer than that is renewed with each refresh: of it there is nothing to say.
    """
    end = one.refresh_expires_at
    if end is None or end - (one.issued_at or one.created_at) <= _SOON:
        return None
    left = end - app.assembly().clock.now()
    return left if 0 < left < _SOON else None


def _refresh_said(login: Login, one: Summary, now: float) -> str:
    """What is known of the refresh token: its end, and what a refresh does to it."""
    if not one.refreshable:
        return "none"
    said, end, config = "present", one.refresh_expires_at, login.config
    if end is not None:
        left = f"{span(end - now)} left" if end > now else f"{span(now - end)} ago"
        said += f", ends {clock_time(end, now)} ({left})"
    if config.refresh_rotates == "yes":
        said += ", a new one with each refresh"
        if config.refresh_grace:
            said += f" (the old one serves {span(config.refresh_grace)} more)"
    elif config.refresh_rotates == "no":
        said += ", the same after each refresh"
    return said


def _table(app: App, logins: list[Summary], *, wide: bool) -> None:
    if not logins:
        app.terminal.say("nobody is signed in")
        if not say_moved(app):
            app.terminal.suggest("stayfast login")
        return
    _STATUS.show(app.terminal, (_row(app, one) for one in logins), wide=wide)


def _row(app: App, one: Summary) -> Row:
    state = f"{app.terminal.symbol(_MARKS.get(one.state, 'wait'))} {one.state.value}"
    return Row(
        (
            one.provider,
            state,
            _whose(one),
            _when(app, one),
            "" if one.pending else app.assembly().storage.description.partition(":")[0],
        ),
        style=STATE_STYLES.get(one.state, ""),
        styled=1,
        next="" if one.state is State.AUTHENTICATED else _next(app, one),
    )


def _whose(one: Summary) -> str:
    if not one.pending:
        return known_as(one)
    account = "" if one.account == DEFAULT_ACCOUNT else f" ({one.account})"
    return f"login {one.short_id}{account}"


def _when(app: App, one: Summary) -> str:
    now = app.assembly().clock.now()
    if one.state is State.REFRESH_FAILED:
        return one.oauth_error or one.reason or ""
    end = one.deadline if one.pending else one.expires_at
    if end is None:
        return "lifetime unknown"
    return f"{span(end - now)} left" if end > now else f"{span(now - end)} ago"


def _details(app: App, one: Summary) -> None:
    assembly, terminal = app.assembly(), app.terminal
    login = assembly.storage.read(one.id)
    if login is None:
        return
    for name, value in _fields(app, login, one):
        terminal.answer_words(f"  {name:<10} {value}", 13)


def _ways(login: Login) -> list[tuple[str, str]]:
    """What the provider's own ways add to a login, a line each."""
    tokens, config = login.tokens, login.config
    if tokens is None:
        return []
    lines = [("pkce", "off, as this provider is configured")] if config.pkce == "off" else []
    from ...engine.oauth.token_extras import (  # noqa: PLC0415  as above
        api_url,
        callback_extras,
        further_tokens,
    )

    where = api_url(config, tokens)
    lines += [("API", where)] if where else []
    lines += [(name, value) for name, value in callback_extras(tokens).items()]
    lines += [("also for", one.resource) for one in further_tokens(config, tokens)]
    return [(presentable(name) or "", presentable(value) or "") for name, value in lines]


def _fields(app: App, login: Login, one: Summary) -> list[tuple[str, str]]:
    assembly = app.assembly()
    now = assembly.clock.now()
    who = login.identity
    end = one.expires_at
    access = "lifetime unknown"
    if end is not None:
        left = f"{span(end - now)} left" if end > now else f"{span(now - end)} ago"
        access = f"expires {clock_time(end, now)} ({left})"
    account = one.account + (
        ""
        if who is None
        else f", {who.name} (sub {who.subject})"
        if who.name
        else f", sub {who.label}"
    )
    return [
        (
            "provider",
            one.provider
            if login.config.title in {None, "", one.provider}
            else f"{one.provider} ({login.config.title})",
        ),
        (
            "state",
            f"{one.state.value} since {clock_time(one.changed_at, now)} (version {one.version})",
        ),
        *([("reason", one.reason)] if one.reason else []),
        ("account", account),
        ("issuer", one.issuer or "not configured"),
        ("scopes", " ".join(one.scopes) or "not said"),
        ("access", access),
        *([("clock", f"was {off} when it came")] if (off := clock_said(login)) else []),
        ("refresh", _refresh_said(login, one, now)),
        *_ways(login),
        ("sealed", sealed(assembly.storage.description)),
        ("next", _next(app, one)),
    ]
