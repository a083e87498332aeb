"""What a check of the audit log found: typed, with the number of the record it is about."""

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
    """Records between two others are not there."""
    ADDED = "added"
    """A record that the log does not know of."""
    TRUNCATED = "truncated"
    """Records are missing from the end."""
    HEAD = "head"
    """What is kept beside the log about its end was changed."""
    SET_ASIDE = "set_aside"
    """A damaged part that was left behind when the log went on."""
    UNREADABLE = "unreadable"
    """A record that follows the one before it and makes no sense."""
    ILLEGAL_TRANSITION = "illegal_transition"
    """A transition the machine does not have."""
    BROKEN_HISTORY = "broken_history"
    """A transition does not start where the login was, or at its version."""
    NO_BEGINNING = "no_beginning"
    """The first transition of a login is not its beginning."""
    VAULT_DIFFERS = "vault_differs"
    """The log and the vault tell different things of a login."""
    NO_HISTORY = "no_history"
    """A login is in the vault and the log does not tell of it."""
    VANISHED = "vanished"
    """The log tells of a login that is not in the vault."""
    CHECKPOINT_SIGNATURE = "checkpoint_signature"
    """A checkpoint was not signed with the key of this vault."""
    CHECKPOINT_CUT = "checkpoint_cut"
    """The log ends before a checkpoint that was made of it."""
    CHECKPOINT_REWRITTEN = "checkpoint_rewritten"
    """The log is not the one a checkpoint was made of."""
    FORWARD_KEY = "forward_key"
    """The key the log goes on with does not come from its first key."""


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
"""The findings from which on nothing that stands behind can be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        code: What it is.
        message: The same for a person.
        seq: The record it is about, or the first of several; ``None`` if it is about none.
        last: The last of several records; equal to ``seq`` for one.
        login: The login it is about.
        expected: The link that should be there, in hexadecimal.
        found: The link that is there.
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
