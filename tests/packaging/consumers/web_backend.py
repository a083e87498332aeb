"""A web backend: logins of many users, in two steps, in a database."""

from __future__ import annotations

from stayfast import (
    AsyncOAuthService,
    Failure,
    MemoryStorage,
    OAuthService,
    PostgresStorage,
    SignedIn,
    Started,
    Storage,
    Success,
)


def storage(url: str | None) -> Storage:
    return PostgresStorage(url) if url else MemoryStorage()


def service(url: str | None) -> OAuthService:
    return OAuthService(app="backend", storage=storage(url), audit="none")


def begin(backend: OAuthService, session: dict[str, str]) -> str:
    begun = backend.begin("github", redirect_uri="https://backend.example/callback")
    if isinstance(begun, Failure):
        raise SystemExit(str(begun.hint or begun.error))
    started: Started = begun.value
    session["login"] = started.login_id
    return started.address


def finish(backend: OAuthService, session: dict[str, str], address: str) -> str | None:
    done = backend.complete(address, login_id=session.pop("login"))
    if not isinstance(done, Success):
        return None
    signed_in: SignedIn = done.value
    return signed_in.access_token


async def call(backend: AsyncOAuthService, user: str) -> str | None:
    result = await backend.get_bearer_token("github", account=user)
    return result.value if isinstance(result, Success) else None
