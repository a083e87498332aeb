"""What is done under a lease: a request sent while it is sure to last, a user waited for, an outcome told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..errors import (
    Fenced,
    NetworkError,
    StorageError,
)
from ..oauth.dpop import nonce_in, send_with_nonce
from ..record import TokensNotSaved
from .ledger import Circumstances
from .moved import MOVED

if TYPE_CHECKING:
    from ..ports import Http, HttpRequest, HttpResponse, Lease
    from ..record import Login, ProofKey
    from .job import Job

NO_COURIER: Final = "no_courier"
"""The detail of an ``accept_tokens``: no process could be had that outlives the caller."""


def send_under(job: Job, http: Http, request: HttpRequest) -> HttpResponse:
    """The answer to ``request``, sent only if the lease of ``job`` outlasts it.

    Raises:
        Fenced, StorageError: The lease does not; nothing was sent.
        NetworkError: No usable answer.
    """
    job.lease.keep()
    job.progress.sending()
    return send_with_nonce(http, request, job.lease.keep)


def bound(login: Login, request: HttpRequest) -> HttpRequest:
    """``request`` with a proof of the key of ``login`` to be made when it is sent, if it has one."""
    return replace(request, proof_key=login.proof_key) if login.proof_key else request


def renewed_key(login: Login, response: HttpResponse | None) -> ProofKey | None:
    """The key of ``login`` with the nonce that the server wants next (RFC 9449 §8.2)."""
    nonce = nonce_in(response) if response is not None else None
    key = login.proof_key
    return replace(key, nonce=nonce) if key is not None and nonce is not None else key


def send_twice(job: Job, http: Http, request: HttpRequest) -> tuple[HttpResponse, bool]:
    """The answer, and whether the request was sent before. It is sent again at once if none came.

    Inside any grace period the provider may have, the second request brings the answer of the
    first; where it has none, an answer that was lost on the way cannot be had back anyway.

    Raises:
        Fenced, StorageError: As for :func:`send_under`.
        NetworkError: No usable answer to either.
    """
    try:
        return send_under(job, http, request), job.again
    except NetworkError as first:
        try:
            return send_under(job, http, request), job.again or first.sent
        except NetworkError as second:
            second.sent = second.sent or first.sent
            raise


def keep_waiting(lease: Lease) -> None:
    """Keep ``lease`` while its user is waited for.

    A storage that does not answer for a moment must not end a login that needs nothing of it yet.

    Raises:
        Fenced: Another process has gone on with this login.
    """
    try:
        lease.keep()
    except Fenced:
        raise
    except StorageError:
        return


def circumstances_of(job: Job) -> Circumstances:
    """What the log says of tokens that were saved: whether a courier had the job, and where it went."""
    return Circumstances(detail=MOVED if job.moved else None if job.courier else NO_COURIER)


def not_saved(what: str, error: StorageError, arrived: Login) -> TokensNotSaved:
    """The error for tokens of ``arrived`` that could not be saved after ``what``."""
    return TokensNotSaved(
        f"{what}, but the tokens could not be saved yet: {error.message}",
        hint=error.hint,
        login=arrived,
        kept=error.kept,
    )
