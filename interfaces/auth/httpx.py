"""The auth object for ``httpx``, of its clients with and without ``await``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread
import httpx
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

from .bearer import Origin, header, token_in

if TYPE_CHECKING:
    from .bearer import Bearer

T = TypeVar("T")

_THREADS = 16
_limiter: RunVar[CapacityLimiter] = RunVar("stayfast_threads")


class HttpxAuth(httpx.Auth):
    """Attaches the access token of a login to requests, and renews it.

    Made by :meth:`stayfast.OAuthService.httpx_auth`. Threads, tasks and clients may share one. An
    ``AsyncClient`` waits for a refresh in a thread, on asyncio and on Trio: the event loop is free
    meanwhile, and a task that is cancelled does not stop the refresh::

        httpx.get("https://api.acme.example/me", auth=service.httpx_auth("acme"))

    A request raises a :class:`stayfast.StayfastError` if there is no token for it.
    """

    def __init__(self, bearer: Bearer) -> None:
        """Attach the tokens of ``bearer``."""
        self._bearer = bearer

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """See :class:`httpx.Auth`."""
        token = self._bearer.token(_origin(request))
        response = yield _with(request, token)
        if token is None or not _refused(response, token):
            return
        fresh = self._bearer.another(token, _origin(response.request))
        if fresh is not None and _sendable_again(response.request):
            self._judge(fresh, (yield _with(response.request, fresh)))

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """See :class:`httpx.Auth`."""
        token = await _in_thread(partial(self._bearer.token, _origin(request)))
        response = yield _with(request, token)
        if token is None or not _refused(response, token):
            return
        origin = _origin(response.request)
        fresh = await _in_thread(partial(self._bearer.another, token, origin))
        if fresh is not None and _sendable_again(response.request):
            self._judge(fresh, (yield _with(response.request, fresh)))

    def _judge(self, fresh: str, answer: httpx.Response) -> None:
        if _refused(answer, fresh):
            self._bearer.refused_again(fresh, _origin(answer.request))


def _origin(request: httpx.Request) -> Origin:
    return Origin.of(str(request.url))


def _with(request: httpx.Request, token: str | None) -> httpx.Request:
    if token is not None:
        request.headers["Authorization"] = header(token)
    return request


def _refused(response: httpx.Response, token: str) -> bool:
    """Whether ``response`` refuses ``token``. The last request counts, after all redirects.

    A redirect to another origin has lost the header, and must not get one here.
    """
    carried = token_in(response.request.headers.get("Authorization"))
    return response.status_code == 401 and carried == token


def _sendable_again(request: httpx.Request) -> bool:
    """Whether the body of ``request`` is in memory: any other may have been read to its end."""
    return isinstance(request.stream, httpx.ByteStream)


async def _in_thread(call: Callable[[], T]) -> T:
    """The value of ``call``, from a thread: where the task is cancelled, the call ends by itself."""
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(_THREADS)  # ours: the program's own threads may all be waiting
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=limiter)
