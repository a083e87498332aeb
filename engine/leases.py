"""What is done under a lease: a request sent while it is sure to last, a user waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import Fenced, NetworkError, StorageError

if TYPE_CHECKING:
    from .ports import Http, HttpRequest, HttpResponse, Lease


def send_under(lease: Lease, http: Http, request: HttpRequest) -> HttpResponse:
    """The answer to ``request``, sent only if ``lease`` outlasts it.

    Raises:
        Fenced, StorageError: The lease does not; nothing was sent.
        NetworkError: No usable answer.
    """
    lease.keep()
    return http.send(request)


def send_twice(
    lease: Lease, http: Http, request: HttpRequest, *, again: bool
) -> tuple[HttpResponse, bool]:
    """The answer, asking once more at once when none came; and whether it was asked before.

    Inside any grace period the provider may have, the second request brings the answer of the
    first; where it has none, an answer that was lost on the way cannot be had back anyway.

    Raises:
        Fenced, StorageError: As for :func:`send_under`.
        NetworkError: No usable answer to either.
    """
    try:
        return send_under(lease, http, request), again
    except NetworkError:
        return send_under(lease, http, request), True


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
