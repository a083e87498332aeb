"""Tokens that come from elsewhere than a provider: moved from another storage, or brought by a program.

They become a finished login by the transitions of the table, like any other: begun, presented,
answered, accepted. The transport is named ``import``, so the log does not claim that a provider
answered. A login that moves is saved at its new place before it ends at the old one, because two
storages that renew one login would lose it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..engine.flows.ledger import Circumstances, Ledger
from ..engine.login_id import new_login_id
from ..engine.reasons import Reason
from ..engine.record import Challenge, Exchange, Login, Presentation
from ..engine.secret import Secret
from ..engine.summary import DEFAULT_ACCOUNT, account_alias
from ..engine.table import State, Trigger
from .capabilities import capabilities_of
from .host import CLOCK, SystemRandomness, origin

if TYPE_CHECKING:
    from ..engine.oauth.provider import OAuthConfig
    from ..engine.oauth.tokens import OAuthTokens
    from ..engine.ports import Change, Storage
    from ..engine.summary import Identity, Summary

TRANSPORT: Final = "import"
"""What the audit log names as the way these tokens came."""
_TO: Final = "to="
_WAIT: Final = 60.0  # seconds for a refresh that is under way


def place_of(storage: Storage) -> str:
    """Where ``storage`` is: the directory of a vault, else what the storage says of itself."""
    vault = capabilities_of(storage).vault
    return vault.directory if vault is not None else storage.description


def migrate(source: Storage, destination: Storage) -> tuple[list[Login], list[Summary]]:
    """Move finished logins. Returns the moved ones, and the pending ones, which stay.

    Each login is saved in ``destination`` before it ends in ``source``, whose log says where it
    went. If the move is interrupted, a login may be in both; another move then only ends it here.
    Where there is nothing to move, ``destination`` is not touched, and not made.

    Raises:
        LoginBusy: Another process holds a login and did not finish in time.
        StorageError: One of the two cannot be used; what was moved stays moved.
    """
    summaries = source.summaries()
    here = capabilities_of(source).entries
    if not any(one.holds_tokens for one in summaries) and not (here and any(here.entries())):
        return [], [one for one in summaries if one.pending]
    destination.probe()
    _take_entries_along(source, destination)
    went = Circumstances(detail=f"{_TO}{place_of(destination)}")
    moved: list[Login] = []
    left: list[Summary] = []
    for summary in summaries:
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
                import_tokens(
                    destination, login.config, login.tokens, login.account, login.identity
                )
            forget_login(source, login, Reason.MOVED, went)
            moved.append(login)
    return moved, left


def moved_to(storage: Storage, provider: str | None = None) -> dict[str, int]:
    """Where finished logins of ``storage`` were moved, and how many to each place, the latest last.

    With ``provider``, only its logins count.

    Its log is read, and only if a login that was moved is the latest of its account here.

    Raises:
        StorageError: The log cannot be read.
    """
    ordered = sorted(storage.summaries(), key=lambda one: one.changed_at)
    latest = {(one.provider, one.account): one for one in ordered}
    moved = [one for one in latest.values() if one.reason == Reason.MOVED]
    gone = {one.id for one in moved if provider in {None, one.provider}}
    found: dict[str, int] = {}
    after = 0
    while gone and (batch := storage.events(after=after)):
        after = batch[-1].seq
        for one in batch:
            if one.members.get("reason") == Reason.MOVED and one.members.get("login") in gone:
                place = str(one.members.get("detail", "")).removeprefix(_TO)
                found[place] = found.pop(place, 0) + 1
    return found


def _take_entries_along(source: Storage, destination: Storage) -> None:
    """Copy what belongs to providers; what the other place has already stays there."""
    here, there = capabilities_of(source).entries, capabilities_of(destination).entries
    for name, value in here.entries() if here and there else ():
        if there is not None and there.entry(name) is None:
            there.put_entry(name, value)


def ledger_over(storage: Storage) -> Ledger:
    """A ledger for the transitions that a storage makes on behalf of its caller."""
    return Ledger(storage, CLOCK, origin())


def import_tokens(
    storage: Storage,
    config: OAuthConfig,
    tokens: OAuthTokens,
    account: str = DEFAULT_ACCOUNT,
    identity: Identity | None = None,
) -> Login:
    """Make ``tokens`` the finished login of ``account``, in one commit; an older one ends.

    Args:
        storage: Where to.
        config: The provider and the client they belong to.
        tokens: What to keep.
        account: Which of several accounts at one provider.
        identity: Whose they are, if an ID token said so when they were obtained.

    Raises:
        StorageConflict: Somebody else changed the older login meanwhile.
        StorageError: They could not be saved.
    """
    ledger = ledger_over(storage)
    now = CLOCK.now()
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
            identity=identity,
            challenge=None,
            presentation=None,
            exchange=None,
        )
    )
    ledger.commit(changes)
    return changes[-1].login


def forget_login(
    storage: Storage,
    login: Login,
    reason: Reason = Reason.SIGNED_OUT,
    circumstances: Circumstances | None = None,
) -> None:
    """Erase the tokens of ``login`` here, without a request to the provider.

    Raises:
        StorageConflict: Somebody else changed it meanwhile.
        StorageError: They could not be erased.
    """
    ledger = ledger_over(storage)
    added = Circumstances() if circumstances is None else circumstances
    ledger.commit(ledger.ending(login, Trigger.LOGOUT, reason, added))
