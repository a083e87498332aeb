"""The service for asyncio: every call can be awaited, and there is one implementation.

A call of :class:`AsyncOAuthService` runs the call of :class:`OAuthService` of the same name in a thread.
So the event loop is free while another process refreshes, the disk is slow, or a user signs in.

Cancellation. A task that is cancelled stops waiting at once. A call that no thread has begun is never
made. One that has begun goes on to its end, as a refresh must: new tokens are saved, and the next call
finds them. ``kill -9`` loses nothing either, since a courier sends what must not be lost
(:mod:`stayfast.interfaces.couriers`). Only a wait for a user ends with its task, and with it the login: its
port is closed. An answer that has come by then is exchanged, and its tokens are saved.

Threads. Calls that end by themselves share a few threads of this service's own: a program whose default
executor is full still gets its tokens. A call that waits for a user may take minutes, so it has a thread
to itself, and a thousand users who hesitate keep no refresh waiting. Such a thread does not keep the
program alive: the login it waits for is saved, and can be resumed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar, cast

from ..engine.result import Failure
from ..engine.summary import DEFAULT_ACCOUNT
from ..storage.forks import begins_anew
from ..transports.cancelling import in_own_thread
from .answers import refusal_of
from .arguments import COUNT, require
from .service import OAuthService, require_service

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from ..engine.result import Result
    from ..transports.cancelling import CancelToken
    from .auth.httpx import HttpxAuth

P = ParamSpec("P")
T = TypeVar("T")

THREADS: Final = 16
"""Threads for calls that end by themselves. Most of a call is waiting, for the disk or a provider."""


def _awaited(
    method: Callable[Concatenate[OAuthService, P], T],
) -> Callable[Concatenate[AsyncOAuthService, P], Coroutine[Any, Any, T]]:
    """``method`` of the service, to be awaited."""

    @wraps(method)
    async def call(self: AsyncOAuthService, /, *args: P.args, **kwargs: P.kwargs) -> T:
        work = _Work(partial(method, self.service, *args, **kwargs))
        try:
            begun = self.threads.submit(work)
        except RuntimeError as error:
            work.called_off = True  # it may be in the queue all the same
            return cast("T", _answered(error))
        return await asyncio.wrap_future(begun)

    return call


def _awaiting_user(
    method: Callable[Concatenate[OAuthService, P], T],
) -> Callable[Concatenate[AsyncOAuthService, P], Coroutine[Any, Any, T]]:
    """``method`` of the service, which waits for a user until the task that awaits it is cancelled."""

    @wraps(method)
    async def call(self: AsyncOAuthService, /, *args: P.args, **kwargs: P.kwargs) -> T:
        ended = _EitherSet(cast("CancelToken | None", kwargs.get("cancel")))
        given: dict[str, Any] = {**kwargs, "cancel": ended}
        wait: Callable[..., T] = method
        try:
            begun = in_own_thread(partial(wait, self.service, *args, **given))
        except RuntimeError as error:
            return cast("T", _answered(error))
        try:
            return await asyncio.wrap_future(begun)
        except asyncio.CancelledError:
            ended.own.set()
            raise

    return call


class _Work:
    """One call for a thread, unless it was called off before it began."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self.called_off = False

    def __call__(self) -> Any:
        return None if self.called_off else self._call()


def _answered(error: RuntimeError) -> Failure:
    """The answer where no thread can be had; what is a mistake of the program is raised."""
    refused = refusal_of(error)
    if refused is None:
        raise error
    return Failure.of(refused)


class _EitherSet:
    """A token that is set with the program's own, or when the task is cancelled."""

    def __init__(self, given: CancelToken | None) -> None:
        self.own = threading.Event()
        self._given = given

    def is_set(self) -> bool:
        """See :class:`stayfast.transports.cancelling.CancelToken`."""
        return self.own.is_set() or (self._given is not None and self._given.is_set())


class _Pool:
    """The threads of one process; a forked child would wait for its parent's, which it does not have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.leave_to_parent()
        begins_anew(self)

    def leave_to_parent(self) -> None:
        """Begin with no thread."""
        self.threads = ThreadPoolExecutor(self._most, thread_name_prefix="stayfast")


class AsyncOAuthService:
    """:class:`OAuthService`, with calls that can be awaited; the loop is free meanwhile.

    Each method has the arguments, the answer and the failures of the one it is named after. Any number
    of tasks, event loops and threads may share one::

        service = AsyncOAuthService(OAuthService(app="acme", providers=PROVIDERS))
        result = await service.ensure_valid_token("acme")

    A task that is cancelled stops waiting, and what its call had begun is finished: no token is lost.
    A login that still waited for its user ends.

    Attributes:
        service: The service whose calls these are.
    """

    check = _awaited(OAuthService.check)
    get_status = _awaited(OAuthService.get_status)
    get_tokens = _awaited(OAuthService.get_tokens)
    client_certificate = _awaited(OAuthService.client_certificate)
    further_token = _awaited(OAuthService.further_token)
    authenticate = _awaiting_user(OAuthService.authenticate)
    begin = _awaited(OAuthService.begin)
    complete = _awaited(OAuthService.complete)
    resume = _awaiting_user(OAuthService.resume)
    cancel = _awaited(OAuthService.cancel)
    logins = _awaited(OAuthService.logins)
    find_login = _awaited(OAuthService.find_login)
    ensure_valid_token = _awaited(OAuthService.ensure_valid_token)
    request_headers = _awaited(OAuthService.request_headers)
    identity = _awaited(OAuthService.identity)
    refresh_tokens = _awaited(OAuthService.refresh_tokens)
    logout = _awaited(OAuthService.logout)
    sign_out = _awaited(OAuthService.sign_out)

    def __init__(self, service: OAuthService | None = None, *, threads: int = THREADS) -> None:
        """Await the calls of ``service``.

        Args:
            service: Whose calls; one with every default if not given.
            threads: How many calls may be under way at once, besides those that wait for a user.

        Raises:
            ConfigInvalid: ``service`` is no :class:`OAuthService`, or ``threads`` no number above 0.
        """
        require({"threads": COUNT}, [("threads", threads)], ())
        self.service = OAuthService() if service is None else require_service(service)
        self._pool = _Pool(threads)

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Where the calls run, but for those that wait for a user."""
        return self._pool.threads

    async def get_bearer_token(
        self, service: str, *, account: str = DEFAULT_ACCOUNT
    ) -> Result[str]:
        """See below."""
        at_hand = self.service.at_hand
        kept = None if at_hand is None else at_hand.bearer(service, account)  # needs no thread
        return await self._bearer_token(service, account=account) if kept is None else kept

    get_bearer_token.__doc__ = OAuthService.get_bearer_token.__doc__
    _bearer_token = _awaited(OAuthService.get_bearer_token)

    def httpx_auth(
        self, service: str, *, account: str = "default", hosts: str | Sequence[str] = ()
    ) -> HttpxAuth:
        """An auth object for ``httpx.AsyncClient``: :meth:`OAuthService.httpx_auth`."""
        return self.service.httpx_auth(service, account=account, hosts=hosts)

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first call."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """See :meth:`aclose`."""
        await self.aclose()

    async def aclose(self) -> None:
        """Let the threads end once their calls have, and wait for that; no further call is possible.

        Calls that wait for a user are not waited for.
        """
        await asyncio.wrap_future(in_own_thread(self.threads.shutdown))
