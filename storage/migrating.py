"""Finished logins moved from one storage to another, so that one of them renews each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ..engine.flows.ledger import Ledger
from ..engine.login_id import new_login_id
from ..engine.reasons import Reason
from ..engine.record import DEFAULT_ACCOUNT, Challenge, Exchange, Login, Presentation, account_alias
from ..engine.secret import Secret
from ..engine.table import State, Trigger
from .host import SystemClock, SystemRandomness, origin

if TYPE_CHECKING:
    from ..engine.oauth.provider import OAuthConfig
    from ..engine.oauth.tokens import OAuthTokens
    from ..engine.ports import Change, Storage
    from ..engine.record import Summary


_WAIT = 60.0  # seconds for a refresh that is under way


def migrate(source: Storage, destination: Storage) -> tuple[list[Login], list[Summary]]:
    """Move what is finished; gives what was moved, and what waits for its user and stays.

    Each login is saved in ``destination`` before it is ended in ``source``. Stopped in between,
    it is in both; run again, it is seen to be there already and only ended here.

    Raises:
        LoginBusy: Another process holds a login and did not finish in time.
        StorageError: One of the two cannot be used; what was moved stays moved.
    """
    destination.probe()
    moved: list[Login] = []
    left: list[Summary] = []
    for summary in source.summaries():
        if summary.pending:
            left.append(summary)
        if not summary.holds_tokens:
            continue
        with source.lease(summary.id, wait=_WAIT):
            login = source.read(summary.id)
            if login is None or login.tokens is None:
                continue
            there = destination.find(account_alias(login.provider, login.account))
            if there is None or there.tokens != login.tokens:
                import_tokens(destination, login.config, login.tokens, login.account)
            forget_login(source, login)
            moved.append(login)
    return moved, left


# Tokens that somebody else obtained, made a finished login by legal transitions.


TRANSPORT: Final = "import"
"""What the audit log names as the way these tokens came."""


def ledger_over(storage: Storage) -> Ledger:
    """A ledger for what a storage does on behalf of its caller."""
    return Ledger(storage, SystemClock(), origin())


def import_tokens(
    storage: Storage, config: OAuthConfig, tokens: OAuthTokens, account: str = DEFAULT_ACCOUNT
) -> Login:
    """Make ``tokens`` the finished login of ``account``; an older one makes room.

    The table has no shortcut to ``authenticated``, and gets none for this: the login is begun,
    presented, answered and accepted like any other, in one commit, by a transport named
    ``import``. So the log says truthfully that the tokens did not come from a provider's answer.

    Raises:
        StorageConflict: Somebody else changed the older login meanwhile.
        StorageError: They could not be saved.
    """
    ledger = ledger_over(storage)
    now = time.time()
    login = Login(
        id=new_login_id(SystemRandomness()),
        version=0,
        state=State.IDLE,
        config=config,
        account=account,
        created_at=now,
        changed_at=now,
    )
    nothing = Challenge(verifier=Secret(""), state=None, nonce=Secret(""))
    changes: list[Change] = []
    older = storage.find(account_alias(config.service_name, account))
    if older is not None:
        changes.extend(ledger.ending(older, Trigger.SUPERSEDE, Reason.NEWER_LOGIN))
    changes.append(ledger.draft(login, Trigger.BEGIN, challenge=nothing))
    shown = Presentation(transport=TRANSPORT)
    changes.append(ledger.draft(changes[-1].login, Trigger.PRESENT, presentation=shown))
    received = Exchange(kind="code", started_at=now)
    changes.append(ledger.draft(changes[-1].login, Trigger.RECEIVE_CALLBACK, exchange=received))
    changes.append(
        ledger.draft(
            changes[-1].login,
            Trigger.ACCEPT_TOKENS,
            tokens=tokens,
            challenge=None,
            presentation=None,
            exchange=None,
        )
    )
    ledger.commit(changes)
    return changes[-1].login


def forget_login(storage: Storage, login: Login) -> None:
    """Erase the tokens of ``login`` here; nobody is told.

    Raises:
        StorageConflict: Somebody else changed it meanwhile.
        StorageError: They could not be erased.
    """
    ledger = ledger_over(storage)
    ledger.commit(ledger.ending(login, Trigger.LOGOUT, Reason.SIGNED_OUT))
