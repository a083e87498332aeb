"""Findings of a check of the audit log: typed, with the number of the record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FindingCode(StrEnum):
    """What is wrong. The list only grows: programs match on it."""

    CHANGED = "changed"
    """A record, or its link, is not as it was written."""
    MOVED = "moved"
    """A record stands where another one should."""
    COPIED = "copied"
    """A record stands in the log twice."""
    MISSING = "missing"
    """Records are missing between two others."""
    ADDED = "added"
    """A record is in the table and not in the chain."""
    TRUNCATED = "truncated"
    """Records are missing from the end."""
    HEAD = "head"
    """The last number or link that the vault keeps apart was changed."""
    SET_ASIDE = "set_aside"
    """A part of the log was damaged. It was set aside, and the log went on after it."""
    UNREADABLE = "unreadable"
    """A record has a right link and is not an event that can be read."""
    ILLEGAL_TRANSITION = "illegal_transition"
    """A transition that the table does not have."""
    BROKEN_HISTORY = "broken_history"
    """A transition does not start where the login was, or at its version."""
    NO_BEGINNING = "no_beginning"
    """The first transition of a login is not its beginning."""
    VAULT_DIFFERS = "vault_differs"
    """A login has another state or version in the vault than in the log."""
    NO_HISTORY = "no_history"
    """A login is in the vault and not in the log."""
    VANISHED = "vanished"
    """A login is in the log and not in the vault."""
    CHECKPOINT_SIGNATURE = "checkpoint_signature"
    """A checkpoint was not signed with the key of this vault."""
    CHECKPOINT_CUT = "checkpoint_cut"
    """The log ends before a checkpoint that was made of it."""
    CHECKPOINT_REWRITTEN = "checkpoint_rewritten"
    """The log was rewritten after a checkpoint was made of it."""
    FORWARD_KEY = "forward_key"
    """The present key of the log does not descend from its first key."""
    ROLLED_BACK = "rolled_back"
    """An older copy of the storage was put back: it was once further than it is now."""


CHAIN: Final = frozenset(
    {
        FindingCode.CHANGED,
        FindingCode.MOVED,
        FindingCode.COPIED,
        FindingCode.MISSING,
        FindingCode.ADDED,
        FindingCode.TRUNCATED,
    }
)
"""The findings that break the chain: no later record can be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: What is wrong, for programs.
        message: The same for a person.
        seq: The record, or the first of several. ``None`` if it is not about a record.
        last: The last of several records; equal to ``seq`` for one.
        login: The login, if it is about one.
        expected: The right link, in hexadecimal.
        found: The link in the log, in hexadecimal.
    """

    code: FindingCode
    message: str
    seq: int | None = None
    last: int | None = None
    login: str | None = None
    expected: str | None = None
    found: str | None = None


def records(first: int, last: int) -> str:
    """``record 5`` or ``records 5-9``."""
    return f"record {first}" if first == last else f"records {first}-{last}"
