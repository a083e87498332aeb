"""`get_bearer_token` of a valid token, in a process that has it in memory, and the same in threads."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from postgres_server import PostgresServer, binaries
from ratios import row
from stayfast import MemoryStorage, OAuthService, Success
from stayfast.engine.ports import Storage
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.tokens_at_hand import TokensAtHand
from stayfast.storage.host import CLOCK
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing.storage_contract import finished, saved
from transitions_of import vault_in

TIMES, THREADS, ROUNDS = 500, 16, 40
NAME = "valid token, 500 times: "


def service_over(storage: Storage, *, in_memory: bool = True) -> Callable[[], object]:
    """A call of `get_bearer_token`, with a valid token in ``storage``."""
    assembly = Assembly(storage, Catalogue(environ={}), environ={})
    if not in_memory:
        assembly.at_hand = TokensAtHand(None, assembly.clock)
    service = OAuthService(assembly=assembly)
    assert isinstance(service.get_bearer_token("demo"), Success)
    return lambda: service.get_bearer_token("demo")


def keep_one(storage: Storage) -> None:
    login = finished("demo")
    assert login.tokens is not None
    saved(storage, [replace(login, tokens=replace(login.tokens, issued_at=time.time()))])


def often(call: Callable[[], object]) -> Callable[[], None]:
    def calls() -> None:
        for _ in range(TIMES):
            call()

    return calls


def at_once(call: Callable[[], object]) -> Callable[[], None]:
    """``call`` as often, by threads that all begin together."""

    def calls() -> None:
        each = often(call)
        threads = [threading.Thread(target=each) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return calls


def of_msal(place: str | None) -> Callable[[], object] | None:
    """The same call of MSAL, with the token in memory or in the file of msal-extensions at ``place``."""
    try:
        import msal  # noqa: PLC0415  not everywhere
        import msal_extensions  # noqa: PLC0415  nor this one
    except ImportError:
        return None
    cache: Any = msal.TokenCache()
    if place is not None:
        cache = msal_extensions.PersistedTokenCache(
            msal_extensions.FilePersistence(f"{place}/msal.json")
        )
    about = base64.urlsafe_b64encode(b'{"uid":"u","utid":"t"}').decode()
    authority = "https://login.microsoftonline.com/common"
    published = {
        "authorization_endpoint": f"{authority}/authorize",
        "token_endpoint": f"{authority}/token",
        "issuer": authority,
        "device_authorization_endpoint": f"{authority}/device",
    }
    answer = SimpleNamespace(
        status_code=200, text=json.dumps(published), headers={}, raise_for_status=lambda: None
    )
    http = SimpleNamespace(
        get=lambda *_, **__: answer, post=lambda *_, **__: answer, close=lambda: None
    )
    program = msal.PublicClientApplication(
        "client", authority=authority, token_cache=cache, http_client=http
    )
    claims = {"sub": "s", "oid": "u", "tid": "t", "preferred_username": "ada", "aud": "client"}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
    cache.add(
        {
            "client_id": "client",
            "scope": ["read"],
            "token_endpoint": f"{authority}/token",
            "environment": "login.microsoftonline.com",
            "response": {
                "access_token": "t" * 900,
                "refresh_token": "r",
                "expires_in": 3600,
                "token_type": "Bearer",
                "client_info": about,
                "id_token": f"e30.{payload}.s",
            },
        }
    )
    (account,) = program.get_accounts()

    def call() -> object:
        return program.acquire_token_silent(["read"], account=account)["access_token"]

    assert call()
    return call


def settled() -> None:
    """Wait until the file was written long enough ago."""
    CLOCK.sleep(0.05)


def main() -> None:
    with tempfile.TemporaryDirectory() as place, closing(vault_in(place)) as vault:
        keep_one(vault)
        settled()
        read = service_over(vault, in_memory=False)
        kept = service_over(vault)
        row(f"{NAME}against reading the vault", often(read), often(kept), ROUNDS)
        path = os.path.join(place, "s", "vault.db")
        row(f"{NAME}against a bare stat", often(lambda: os.stat(path)), often(kept), ROUNDS)
        memory = MemoryStorage()
        keep_one(memory)
        row(f"{NAME}in memory, against the vault", often(kept), often(service_over(memory)), ROUNDS)
        for kind, at in (("memory", None), ("a file", place)):
            theirs = of_msal(at)
            if theirs is not None:
                row(f"{NAME}against MSAL in {kind}", often(theirs), often(kept), ROUNDS)
                row(f"the same, {THREADS} threads", at_once(theirs), at_once(kept), 15)
    if binaries() is None:
        return
    server = PostgresServer(durable=True)
    try:
        server.start()
        with tempfile.TemporaryDirectory() as place:
            storage = PostgresStorage(
                server.url(server.new_database()),
                config_dir=f"{place}/c", state_dir=f"{place}/s", environ={},
            )  # fmt: skip
            keep_one(storage)
            read, kept = service_over(storage, in_memory=False), service_over(storage)
            row(f"{NAME}PostgreSQL, against reading it", often(read), often(kept), 10)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
