"""For programs that use the ``mcp`` package: an auth object, and a storage for the package's own.

:class:`McpAuth` is the simpler way: it attaches the token of a login to each request, refreshes it,
and answers a challenge for more by another sign-in. Agents that share a storage share one refresh.

:class:`McpTokenStorage` is for programs that keep the ``OAuthClientProvider`` of the package. Its
tokens and its client registration get their place in the sealed storage. The provider is given no
refresh token: a token is refreshed here, once for all, before it is handed out. The package asks its
storage once, when a provider is first used. One that lives longer than a token is a
:class:`McpProvider`, which asks at each request.
"""

# The package is optional, and its HTTP library is one of two
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import anyio.to_thread
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from ...engine.errors import AuthFailed, AuthRequired, StayfastError
from ...engine.hints import Hint
from ...engine.oauth.protected_resource import canonical_resource
from ...engine.oauth.tokens import OAuthTokens
from ...engine.result import Failure
from ...engine.summary import DEFAULT_ACCOUNT
from ...storage.capabilities import capabilities_of
from ...storage.migrating import import_tokens
from .bearer import Bearer, Origin, stronger, token_in
from .one_request import attach, sendable_again

if TYPE_CHECKING:
    from ...engine.oauth.www_authenticate import AuthChallenge
    from ...engine.result import Result
    from ..assembly import Assembly
    from .bearer import TokenSource

T = TypeVar("T")

MOST_SIGN_INS: Final = 2
"""How often in a row one resource can make its user sign in again; then it is refused for good."""

# The package brings its HTTP library, whose auth objects are of that library's own base class
# (httpx or its successor): the package's own auth object says which.
_Auth: Any = OAuthClientProvider.__mro__[-2]
_library: Any = import_module(_Auth.__module__.partition(".")[0])


class SignIn(Protocol):
    """How a program signs its user in again; the default is a browser."""

    def __call__(self, address: str, challenge: str | None, account: str, /) -> Result[Any]:
        """Sign in to ``address``, so that it answers ``challenge``."""
        ...


class Keeper(Protocol):
    """What the token storage needs of :class:`stayfast.OAuthService`."""

    @property
    def assembly(self) -> Assembly:
        """Its parts."""
        ...

    def ensure_valid_token(self, service: str, *, account: str = ...) -> Result[OAuthTokens]:
        """Tokens that are good now."""
        ...


class McpAuth(_Auth):  # type: ignore[misc]  # the base class is the library's, found at run time
    """An auth object for the HTTP clients of the ``mcp`` package.

    ::

        auth = McpAuth(OAuthService(), "https://mcp.example.com/mcp")
        async with streamable_http_client(url, http_client=create_mcp_http_client(auth=auth)): ...

    A request raises a :class:`stayfast.StayfastError` if there is no token for it.
    """

    def __init__(
        self,
        service: TokenSource,
        address: str,
        *,
        account: str = DEFAULT_ACCOUNT,
        sign_in: SignIn | None = None,
    ) -> None:
        """Attach the tokens of one login.

        Args:
            service: Hands out tokens: an :class:`stayfast.OAuthService`.
            address: The address of the MCP server; no other origin gets the token.
            account: Which of several accounts.
            sign_in: Called where nobody is signed in, or where the server asks for more scopes or
                another way of signing in: with the address, the challenge (``None`` for the first
                sign-in) and the account. It answers as :meth:`stayfast.OAuthService.authenticate`
                does, which takes all three. Without it such a request raises ``AuthRequired``, or
                ``StepUpRequired``, which is one.

        Raises:
            ConfigInvalid: ``address`` is no ``https`` address.
        """
        self._address = canonical_resource(address)
        self._bearer = Bearer.for_hosts(service, self._address, account, ())
        self._origin = Origin.of(self._address)
        self._sign_in = sign_in
        self._signed_in = 0

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """See the base class."""
        flow = self._flow(request)
        call = next(flow)
        while True:
            try:
                call = flow.send((yield call) if not callable(call) else call())
            except StopIteration:
                return

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """See the base class; what waits does so in a thread, and the event loop is free."""
        flow = self._flow(request)
        call = next(flow)
        while True:
            try:
                if callable(call):
                    call = flow.send(await anyio.to_thread.run_sync(call, abandon_on_cancel=True))
                else:
                    call = flow.send((yield call))
            except StopIteration:
                return

    def _flow(self, request: Any) -> Generator[Any, Any, None]:
        """What happens to one request: calls that wait, and requests that are sent, in their order."""
        method, url = str(request.method), str(request.url)
        if Origin.of(url) != self._origin:
            yield request  # a redirect, or another server: our token is not for it
            return
        headers: dict[str, str] = yield partial(self._headers, method, url)
        response = yield _with(request, headers)
        self._heard(url, response)
        if _refused(response, headers):
            answered = response.headers
            proved = yield partial(self._bearer.proved_anew, method, url, headers, answered)
            if proved is not None and _sendable_again(request):
                headers = proved
                response = yield _with(request, headers)
                self._heard(url, response)
        if _refused(response, headers):
            token = token_in(headers.get("Authorization")) or ""
            fresh = yield partial(self._bearer.another, token, method, url)
            if fresh is not None and _sendable_again(request):
                response = yield _with(request, fresh)
                if _refused(response, fresh):
                    self._bearer.refused_again(fresh, url)
        while (challenge := _stronger(response)) is not None:
            after = yield partial(self._after, challenge, method, url)
            if not _sendable_again(request):
                return  # the next request has the new login
            response = yield _with(request, after)
        if response.status_code < 400:
            self._signed_in = 0

    def _heard(self, url: str, response: Any) -> None:
        if _carried(response) is not None:
            self._bearer.heard(url, response.headers)

    def _headers(self, method: str, url: str) -> dict[str, str]:
        try:
            return self._bearer.headers(method, url) or {}
        except AuthRequired:
            if self._sign_in is None:
                raise
        return self._after(None, method, url)

    def _after(self, challenge: AuthChallenge | None, method: str, url: str) -> dict[str, str]:
        """The headers after another sign-in.

        Raises:
            StepUpRequired: Nobody may be asked; or the resource asked too often in a row.
            AuthRequired: The sign-in left no login, again and again.
            StayfastError: The sign-in failed.
        """
        account = self._bearer.account
        if self._sign_in is None or self._signed_in >= MOST_SIGN_INS:
            if challenge is not None:
                again = Hint(
                    "mcp auth", self._address, "--challenge", challenge.header(), account=account
                )
                raise self._bearer.step_up(challenge, again)
            raise AuthRequired(
                f"nobody is signed in to {self._address} after {self._signed_in} sign-ins",
                hint=Hint("mcp auth", self._address, account=account),
            )
        self._signed_in += 1
        said = None if challenge is None else challenge.header()
        done = self._sign_in(self._address, said, account)
        if isinstance(done, Failure):
            error: StayfastError = done.cause or AuthFailed(done.error, hint=done.hint)
            raise error
        return self._bearer.headers(method, url) or {}


def _with(request: Any, headers: dict[str, str]) -> Any:
    return attach(request, headers)


def _refused(response: Any, headers: dict[str, str]) -> bool:
    """Whether ``response`` refuses the token in ``headers``, and does not ask for a stronger one."""
    carried = _carried(response)
    ours = token_in(headers.get("Authorization"))
    same = carried is not None and carried == ours
    return response.status_code == HTTPStatus.UNAUTHORIZED and same and _stronger(response) is None


def _stronger(response: Any) -> AuthChallenge | None:
    """The challenge with which ``response`` asks for more scopes, or another way of signing in."""
    if _carried(response) is None:  # a redirect led to a server that our token is not for
        return None
    return stronger(response.status_code, response.headers.get("WWW-Authenticate", ""))


def _carried(response: Any) -> str | None:
    """The token that the server of ``response`` got, the last one after all redirects."""
    return token_in(response.request.headers.get("Authorization"))


def _sendable_again(request: Any) -> bool:
    return sendable_again(request, _library.ByteStream)


class McpProvider(OAuthClientProvider):
    """The provider of the package, with the token that its storage has at each request.

    ::

        storage = McpTokenStorage(OAuthService(), url)
        auth = McpProvider(url, metadata, storage, redirect_handler, callback_handler)

    So it never uses a refresh token itself, and any number of agents share one refresh.
    """

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """See the base class."""
        kept = await self.context.storage.get_tokens()
        if kept is not None:
            self.context.current_tokens = kept
            self.context.update_token_expiry(kept)
        flow = super().async_auth_flow(request)
        try:
            outgoing = await flow.__anext__()
            while True:
                response = yield outgoing
                outgoing = await flow.asend(response)
        except StopAsyncIteration:
            return
        finally:
            await flow.aclose()


class McpTokenStorage:
    """The ``TokenStorage`` of the ``mcp`` package over ours, for one server.

    The package keeps a refresh token in the memory of each provider, and uses it without asking
    anybody. Two providers would use one that rotates twice, and a server that sees this ends the
    login for both (RFC 9700 §4.14.2). So it is kept here, and the tokens that are handed out have
    none: a token that has ended is refreshed before it is handed out, by one process for all.

    Attributes:
        address: The address of the MCP server.
    """

    def __init__(self, service: Keeper, address: str, account: str = DEFAULT_ACCOUNT) -> None:
        """Keep what belongs to the server at ``address``.

        Raises:
            ConfigInvalid: It is no ``https`` address.
        """
        self.address = canonical_resource(address)
        self._service = service
        self._account = account

    async def get_tokens(self) -> OAuthToken | None:
        """The token as it is good now, refreshed if need be; ``None`` if nobody is signed in."""
        return await _in_thread(self._tokens)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep tokens that the package has obtained; they become the login of the account.

        Raises:
            StayfastError: They could not be kept.
        """
        await _in_thread(partial(self._keep, tokens))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """The client that the package has registered, or that our own login uses."""
        return await _in_thread(self._client)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep the client that the package has registered, sealed.

        Raises:
            StorageError: It could not be kept.
        """
        text = client_info.model_dump_json(exclude_none=True).encode()
        await _in_thread(partial(self._put_client, text))

    def _tokens(self) -> OAuthToken | None:
        given = self._service.ensure_valid_token(self.address, account=self._account)
        if isinstance(given, Failure):
            if isinstance(given.cause, AuthRequired) or given.code == "AUTH_REQUIRED":
                return None
            raise given.cause or AuthFailed(given.error, hint=given.hint)
        tokens = given.value
        left = None if tokens.expires_at is None else max(int(tokens.expires_at - time.time()), 0)
        return OAuthToken(
            access_token=tokens.access_token,
            expires_in=left,
            scope=" ".join(tokens.scopes) or None,
        )

    def _keep(self, tokens: OAuthToken) -> None:
        assembly, client = self._service.assembly, self._client()
        config = assembly.resource_logins.config(
            self.address,
            client_id=client.client_id if client else None,
            client_secret=client.client_secret if client else None,
            scopes=(tokens.scope or "").split(),
            resource_only=True,
        )
        given = OAuthTokens(
            access_token=tokens.access_token,
            token_type=tokens.token_type,
            refresh_token=tokens.refresh_token,
            expires_in=tokens.expires_in,
            scope=tokens.scope,
        )
        import_tokens(assembly.storage, config, given, self._account)

    def _client(self) -> OAuthClientInformationFull | None:
        assembly = self._service.assembly
        entries = capabilities_of(assembly.storage).entries
        kept = entries.entry(self._entry) if entries else None
        if kept is not None:
            return OAuthClientInformationFull.model_validate(json.loads(kept))
        login = assembly.resource_logins.login(self.address, self._account)
        if login is None:
            return None
        bound = {"issuer": login.config.issuer}  # from version 2 of the package on
        known = OAuthClientInformationFull.model_fields
        members: dict[str, Any] = {
            **{name: value for name, value in bound.items() if name in known},
            "client_id": login.config.client_id,
            "client_secret": login.config.client_secret,
            "redirect_uris": [login.config.redirect_uri],
        }
        return OAuthClientInformationFull.model_validate(members)

    def _put_client(self, text: bytes) -> None:
        entries = capabilities_of(self._service.assembly.storage).entries
        if entries is not None:
            entries.put_entry(self._entry, text)

    @property
    def _entry(self) -> str:
        return f"mcp-client {self.address}"


async def _in_thread(call: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(call)
