"""The auth object for ``httpx``, of its clients with and without ``await``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread
import httpx
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

from .bearer import token_in
from .one_request import attach, sendable_again

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

    A request raises a :class:`stayfast.StayfastError` if there is no token for it, and
    :class:`stayfast.StepUpRequired` if the API asks for a stronger login.
    """

    def __init__(self, bearer: Bearer) -> None:
        """Attach the tokens of ``bearer``."""
        self._bearer = bearer

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """See :class:`httpx.Auth`."""
        headers = self._bearer.headers(request.method, str(request.url))
        response = yield _with(request, headers)
        self._heard(headers, response)
        if headers is None or not _refused(response, headers):
            return
        proved = self._proved_anew(response)
        if proved is not None and _sendable_again(response.request):
            headers, response = proved, (yield _with(response.request, proved))
            self._heard(headers, response)
            if not _refused(response, headers):
                return
        fresh = self._another(headers, response)
        if fresh is not None and _sendable_again(response.request):
            self._judge(fresh, (yield _with(response.request, fresh)))

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """See :class:`httpx.Auth`."""
        asked = partial(self._bearer.headers, request.method, str(request.url))
        headers = self._bearer.kept_headers(str(request.url)) or await _in_thread(asked)
        response = yield _with(request, headers)
        self._heard(headers, response)
        if headers is None or not _refused(response, headers):
            return
        proved = await _in_thread(partial(self._proved_anew, response))
        if proved is not None and _sendable_again(response.request):
            headers, response = proved, (yield _with(response.request, proved))
            self._heard(headers, response)
            if not _refused(response, headers):
                return
        fresh = await _in_thread(partial(self._another, headers, response))
        if fresh is not None and _sendable_again(response.request):
            self._judge(fresh, (yield _with(response.request, fresh)))

    def _heard(self, headers: dict[str, str] | None, answer: httpx.Response) -> None:
        """Remember what the server says, if it is one that got our token.

        Raises:
            StepUpRequired: It asks for a stronger login.
        """
        if headers is not None and _carries(answer, headers):
            self._bearer.heard(str(answer.request.url), answer.headers)
            self._bearer.require_enough(answer.status_code, answer.headers)

    def _proved_anew(self, answer: httpx.Response) -> dict[str, str] | None:
        sent = answer.request
        return self._bearer.proved_anew(sent.method, str(sent.url), sent.headers, answer.headers)

    def _another(self, headers: dict[str, str], answer: httpx.Response) -> dict[str, str] | None:
        token = token_in(headers.get("Authorization")) or ""
        return self._bearer.another(token, answer.request.method, str(answer.request.url))

    def _judge(self, fresh: dict[str, str], answer: httpx.Response) -> None:
        self._heard(fresh, answer)
        if _refused(answer, fresh):
            self._bearer.refused_again(fresh, str(answer.request.url))


def _with(request: httpx.Request, headers: dict[str, str] | None) -> httpx.Request:
    if headers is not None:
        attach(request, headers)
    return request


def _carries(response: httpx.Response, headers: dict[str, str]) -> bool:
    """Whether the token in ``headers`` went to the server of ``response``, the last one after all redirects.

    A redirect to another origin has lost the header, and must not get one here.
    """
    carried = token_in(response.request.headers.get("Authorization"))
    return carried is not None and carried == token_in(headers.get("Authorization"))


def _refused(response: httpx.Response, headers: dict[str, str]) -> bool:
    """Whether ``response`` refuses the token in ``headers``."""
    return response.status_code == HTTPStatus.UNAUTHORIZED and _carries(response, headers)


def _sendable_again(request: httpx.Request) -> bool:
    return sendable_again(request, httpx.ByteStream)


async def _in_thread(call: Callable[[], T]) -> T:
    """The value of ``call``, from a thread: where the task is cancelled, the call ends by itself."""
    try:
        limiter = _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(_THREADS)  # ours: the program's own threads may all be waiting
        _limiter.set(limiter)
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=limiter)
