"""Finished logins moved from one storage to another, so that one of them renews each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.record import account_alias
from .importing import forget_login, import_tokens

if TYPE_CHECKING:
    from ..engine.ports import Storage
    from ..engine.record import Login, Summary

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
