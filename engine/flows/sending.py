"""What is done under a lease: a request sent while it is sure to last, a user waited for, an outcome told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import (
    Fenced,
    NetworkError,
    StorageError,
)
from ..record import TokensNotSaved
from .ledger import Circumstances

if TYPE_CHECKING:
    from ..ports import Http, HttpRequest, HttpResponse, Lease
    from ..record import Login
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
    return http.send(request)


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
    return Circumstances(detail=None if job.courier else NO_COURIER)


def not_saved(what: str, error: StorageError, arrived: Login) -> TokensNotSaved:
    return TokensNotSaved(
        f"{what}, but the tokens could not be saved yet: {error.message}",
        hint=error.hint,
        login=arrived,
        kept=error.kept,
    )
