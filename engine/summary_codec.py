"""The summary of a login as bytes, and what all parts of a login have in common in that form.

A list of many logins opens only the summaries, which hold no secret. Each part has a schema number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from . import cbor
from .errors import Damaged, NewerFormat, StayfastError
from .hints import Hint
from .summary import Identity, Summary
from .table import State

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA: Final = 4
"""The number of this layout.

Number 2 has pushed requests and keys of proofs, number 3 grants without a user, number 4 the
dialects of providers. A login without them is written as number 1, which older versions read.

A reader refuses a higher number: it could drop members that it does not know when it saves the
login again. Members may be added under the same number only if their loss does no harm.
"""

T = TypeVar("T")
_STATES: Final = {state.value: state for state in State}


def decode_summary(meta: bytes) -> Summary:
    """The summary in the first part that :func:`~.codec.encode_login` gives.

    Raises:
        NewerFormat: A newer version wrote it.
        Damaged: The bytes are not a summary.
    """
    return decoded(meta, _summary)


def decoded(data: bytes, build: Callable[[Mapping[str, Any]], T]) -> T:
    """What ``build`` makes of the members in ``data``.

    Raises:
        NewerFormat: A newer version wrote it.
        Damaged: The bytes are not what it wants.
    """
    try:
        members = cast("dict[str, Any]", cbor.decode_map(data))
        if members["schema"] > SCHEMA:
            raise NewerFormat(
                "this login was written by a newer version of Stayfast",
                hint="in a newer clone of Stayfast: pip install .",
            )
        return build(members)
    except (cbor.CborError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged("a login cannot be read", hint=Hint("list")) from error
    except NewerFormat:
        raise
    except StayfastError as error:  # the saved configuration has a value that is refused today
        raise Damaged("a login cannot be read", hint=Hint("list")) from error


def present(**members: Any) -> dict[str, Any]:
    """The members that are not ``None``: an absent member and ``None`` mean the same."""
    return {name: value for name, value in members.items() if value is not None}


def identity_members(identity: Identity | None) -> dict[str, Any] | None:
    """``identity`` as members of a map."""
    return present(subject=identity.subject, name=identity.name) if identity else None


def summary_members(summary: Summary) -> dict[str, Any]:
    """``summary`` as members of a map."""
    return present(
        schema=1,
        id=summary.id,
        version=summary.version,
        state=summary.state.value,
        provider=summary.provider,
        account=summary.account,
        created_at=float(summary.created_at),
        changed_at=float(summary.changed_at),
        deadline=summary.deadline,
        reason=summary.reason,
        oauth_error=summary.oauth_error,
        transport=summary.transport,
        issuer=summary.issuer,
        holds_tokens=summary.holds_tokens,
        expires_at=summary.expires_at,
        issued_at=summary.issued_at,
        scopes=list(summary.scopes),
        refreshable=summary.refreshable,
        refresh_expires_at=summary.refresh_expires_at,
        identity=identity_members(summary.identity),
        plain=summary.plain or None,
    )


def identity_of(members: Mapping[str, Any] | None) -> Identity | None:
    """The identity in ``members``."""
    return Identity(subject=members["subject"], name=members.get("name")) if members else None


def _summary(members: Mapping[str, Any]) -> Summary:
    get = members.get
    return Summary(
        id=members["id"],
        version=members["version"],
        state=_STATES[members["state"]],
        provider=members["provider"],
        account=members["account"],
        created_at=members["created_at"],
        changed_at=members["changed_at"],
        deadline=get("deadline"),
        reason=get("reason"),
        oauth_error=get("oauth_error"),
        transport=get("transport"),
        issuer=get("issuer"),
        holds_tokens=members["holds_tokens"],
        expires_at=get("expires_at"),
        issued_at=get("issued_at"),
        scopes=tuple(members["scopes"]),
        refreshable=members["refreshable"],
        refresh_expires_at=get("refresh_expires_at"),
        identity=identity_of(get("identity")),
        plain=get("plain") is True,
    )
