"""What goes between a courier and the process that sent it: jobs, events, outcomes, as CBOR.

It travels through a socket that only the two of them have, and holds secrets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from ...engine import cbor, errors
from ...engine.audit.events import Recorded
from ...engine.codec import decode_login, encode_login
from ...engine.errors import StayfastError
from ...engine.flows.job import Job, JobKind
from ...engine.hints import Hint
from ...engine.ports import Lease, Verdict, VerdictKind
from ...engine.reasons import Refusal
from ...engine.record import Login, TokensNotSaved
from ...engine.result import ErrorCode

if TYPE_CHECKING:
    from ...engine.audit.events import Scalar
    from ...engine.flows.job import JobOutcome

_BESIDES: Final = (
    "oauth_error", "status", "reason", "kept", "challenge", "scopes", "acr_values", "max_age",
)  # fmt: skip
"""Attributes that some errors have besides their message."""

_KINDS: Final[Mapping[str, type[Any]]] = {
    kind.__name__: kind
    for kind in [*vars(errors).values(), TokensNotSaved]
    if isinstance(kind, type) and issubclass(kind, StayfastError)
}
"""Every class of error by its name. The one that holds a login is defined beside the login."""


def pack_job(job: Job) -> bytes:
    """``job``, for a process that has the same storage open."""
    return cbor.encode(
        {
            "job": job.kind.value,
            "login": _bytes_of(job.login),
            "lease": job.lease.login_id,
            "fence": job.lease.fence,
            "lent_until": job.lease.lasting(),
            "again": job.again,
            "courier": job.courier,
        }
    )


def unpack_job(members: Mapping[str, Any]) -> Job:
    """The job that :func:`pack_job` wrote."""
    return Job(
        kind=JobKind(members["job"]),
        login=decode_login(members["login"]),
        lease=Lease(members["lease"], members["fence"], members["lent_until"]),
        again=members["again"],
        courier=members["courier"],
    )


def pack_events(recorded: Sequence[Recorded], login: Login | None) -> bytes:
    """Events that have just become durable, for the observers."""
    events: list[cbor.Plain] = [
        {
            "seq": event.seq,
            "members": _plain(event.members),
            "prev": event.prev,
            "mac": event.mac,
            "store": event.store,
        }
        for event in recorded
    ]
    return cbor.encode({"events": events, "login": _bytes_of(login) if login else None})


def unpack_events(members: Mapping[str, Any]) -> tuple[list[Recorded], Login | None]:
    """What :func:`pack_events` wrote."""
    recorded = [
        Recorded(
            event["seq"], _scalars(event["members"]), event["prev"], event["mac"], event["store"]
        )
        for event in members["events"]
    ]
    return recorded, decode_login(members["login"]) if members["login"] else None


def pack_lines(lines: Sequence[str]) -> bytes:
    """What may be shown of a request that was sent: ``lines``, to be read back as they are."""
    return cbor.encode({"lines": list[cbor.Plain](lines)})


def pack_outcome(outcome: JobOutcome | StayfastError) -> bytes:
    """How a job turned out."""
    if isinstance(outcome, StayfastError):
        return cbor.encode({"error": _error_members(outcome)})
    if isinstance(outcome, Login):
        return cbor.encode({"done": _bytes_of(outcome)})
    return cbor.encode(
        {
            "verdict": {
                "kind": outcome.kind.value,
                "message": outcome.message,
                "reason": None if outcome.reason is None else outcome.reason.value,
                "who": outcome.who,
                "interval": None if outcome.interval is None else float(outcome.interval),
            }
        }
    )


def unpack_outcome(members: Mapping[str, Any]) -> JobOutcome:
    """How a job turned out.

    Raises:
        StayfastError: The job failed with this error.
    """
    if "error" in members:
        raise _error(members["error"])
    if "done" in members:
        return decode_login(members["done"])
    verdict: dict[str, Any] = dict(members["verdict"])
    kind, reason = VerdictKind(verdict.pop("kind")), verdict.pop("reason")
    if reason is not None:
        reason = Refusal(reason) if kind is VerdictKind.REFUSED else ErrorCode(reason)
    return Verdict(kind=kind, reason=reason, **verdict)


def tokens_not_saved(members: Mapping[str, Any], *, kept: bool = True) -> bool:
    """Whether the outcome is that tokens arrived and could not be saved yet.

    Args:
        members: A message with an outcome.
        kept: Whether that counts if they are kept, sealed, where other processes find them.
    """
    error = members.get("error")
    if error is None or error["class"] != TokensNotSaved.__name__:
        return False
    return kept or "kept" not in error


def pack_sending() -> bytes:
    """That the request leaves now."""
    return cbor.encode({"sending": True})


def pack_arrived(login: Login) -> bytes:
    """The login with tokens that have arrived, and are not saved yet."""
    return cbor.encode({"arrived": _bytes_of(login)})


def unpack_arrived(members: Mapping[str, Any]) -> Login:
    """What :func:`pack_arrived` wrote."""
    return decode_login(members["arrived"])


def _bytes_of(login: Login) -> bytes:
    return encode_login(login)[1]


def _plain(members: Mapping[str, Scalar]) -> dict[str, cbor.Plain]:
    return {
        name: cast("list[cbor.Plain]", list(value)) if isinstance(value, tuple) else value
        for name, value in members.items()
    }


def _scalars(members: Mapping[str, Any]) -> dict[str, Scalar]:
    return {
        name: tuple(cast("list[str]", value)) if isinstance(value, list) else value
        for name, value in members.items()
    }


def _error_members(error: StayfastError) -> dict[str, Any]:
    # an error of a third party's class is sent as its nearest base class of ours
    kind = next(k for k in type(error).__mro__ if _KINDS.get(k.__name__) is k)
    members: dict[str, Any] = {"class": kind.__name__, "message": error.message}
    if error.hint is not None:
        members["hint"] = str(error.hint)
        members["advice"] = error.hint.members()
    for name in ("why", *_BESIDES):
        value = getattr(error, name, None)
        if value is not None:
            members[name] = value
    login = getattr(error, "login", None)
    if isinstance(login, Login):
        members["login"] = _bytes_of(login)
    return members


def _as_sent(value: Any) -> Any:
    """``value``, a tuple again where CBOR knows lists only."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def _error(members: Mapping[str, Any]) -> StayfastError:
    kind = _KINDS[members["class"]]
    besides = {name: _as_sent(members[name]) for name in _BESIDES if name in members}
    if "hint" in members:
        besides["hint"] = Hint.of_members(members["hint"], members["advice"])
    if "login" in members:
        besides["login"] = decode_login(members["login"])
    error: StayfastError = kind(members["message"], **besides)
    error.why = members.get("why")
    return error
