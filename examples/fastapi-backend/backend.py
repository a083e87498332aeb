"""A web backend whose visitors sign in. Their logins are in PostgreSQL, for any number of workers.

    export SHOP_STORE=postgresql://shop@db.example.com/logins
    uvicorn --factory backend:make_app --workers 4

With the extra otel, an operator sees each step of a login as a span of OpenTelemetry:

    opentelemetry-instrument uvicorn --factory backend:make_watched_app --workers 4

Two cookies hold all that a browser has to show. LOGIN is the login that this browser has begun. SESSION
is the account that its tokens are kept under; nobody can guess it, and nobody else gets it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Cookie, FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from stayfast import AsyncOAuthService, Failure, OAuthConfig, OAuthService, OpenTelemetryObserver

# __Host-: only this very host can have set it, over https, for all paths (RFC 6265bis §4.1.3.2)
LOGIN, SESSION = "__Host-login", "__Host-session"


def keep(response: Response, name: str, value: str) -> None:
    """Lax: the cookie comes along when the provider sends the browser back, and not with a foreign form."""
    response.set_cookie(name, value, path="/", httponly=True, secure=True, samesite="lax")


def make_watched_app() -> FastAPI:
    return make_app(observers=[OpenTelemetryObserver()])


def make_app(  # noqa: C901  the handlers of one page
    provider: OAuthConfig | None = None,
    api: str | None = None,
    observers: Sequence[OpenTelemetryObserver] = (),
) -> FastAPI:
    config = provider or OAuthConfig(
        service_name="acme",
        issuer=os.environ["ACME_ISSUER"],
        client_id=os.environ["ACME_CLIENT_ID"],
        redirect_uri=os.environ["SHOP_CALLBACK"],  # https://shop.example.com/callback
        scopes=("openid", "offline_access"),
    )
    name, api = config.service_name, api or os.environ["ACME_API"]
    service = AsyncOAuthService(
        OAuthService(app="shop", providers={name: config}, observers=observers)
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with service:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/login")
    async def login() -> Response:
        begun = await service.begin(
            name, account=secrets.token_hex(16), redirect_uri=config.redirect_uri
        )
        if isinstance(begun, Failure):
            raise HTTPException(502, begun.error)
        response = RedirectResponse(begun.value.address)
        keep(response, LOGIN, begun.value.login_id)
        return response

    @app.get("/callback")
    async def callback(
        request: Request, begun: Annotated[str | None, Cookie(alias=LOGIN)] = None
    ) -> Response:
        if begun is None:  # never complete() without it: the answer may be an attacker's
            raise HTTPException(403, "this browser has begun no login")
        done = await service.complete(request.url.query, login_id=begun)
        if isinstance(done, Failure):
            raise HTTPException(403 if done.code == "CALLBACK_REFUSED" else 502, done.error)
        response = RedirectResponse("/me")
        response.delete_cookie(LOGIN, path="/", secure=True, httponly=True)
        keep(response, SESSION, done.value.account)
        return response

    @app.get("/me")
    async def me(session: Annotated[str | None, Cookie(alias=SESSION)] = None) -> object:
        if session is None:
            raise HTTPException(401, "not signed in")
        async with httpx.AsyncClient(auth=service.httpx_auth(name, account=session)) as client:
            answer = await client.get(api)
        if answer.status_code != 200:
            raise HTTPException(401, "sign in again")
        return answer.json()

    @app.post("/logout")
    async def logout(session: Annotated[str | None, Cookie(alias=SESSION)] = None) -> Response:
        if session is not None:
            await service.logout(name, account=session)
        response = RedirectResponse("/", status_code=303)
        response.delete_cookie(SESSION, path="/", secure=True, httponly=True)
        return response

    return app
