"""Importers: what people have from other programs becomes a login, and nothing else does."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from stayfast import (
    AuthStatus,
    ErrorCode,
    Failure,
    MemoryStorage,
    OAuthConfig,
    OAuthProvider,
    OAuthService,
    OAuthTokens,
    SignedIn,
    Success,
    import_tokens,
)
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import OAUTH_PROVIDERS, Catalogue
from stayfast.interfaces.importers import google
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer

HOUR = 3600.0


def service_for(**providers: OAuthProvider) -> OAuthService:
    catalogue = Catalogue(providers={**OAUTH_PROVIDERS, **providers}, environ={})
    return OAuthService(assembly=Assembly(MemoryStorage(), catalogue))


@pytest.fixture
def service() -> OAuthService:
    """A service with the shipped providers and one of the program's own."""
    acme = OAuthConfig(
        service_name="acme",
        auth_url="https://login.acme.example/authorize",
        token_url="https://login.acme.example/token",
        client_id="acme-cli",
    )
    return service_for(acme=acme)


def imported(result: Any) -> SignedIn:
    assert isinstance(result, Success), result
    value = result.value
    assert isinstance(value, SignedIn)
    return value


def failed(result: Any) -> Failure:
    assert isinstance(result, Failure), result
    assert result.hint
    return result


# --- gh ----------------------------------------------------------------------------------------------

GH_NEW = """\
github.com:
    users:
        monalisa:
            oauth_token: gho_monalisa
        hubot:
            oauth_token: gho_hubot
    git_protocol: https
    oauth_token: gho_monalisa
    user: monalisa
ghe.acme.example:
    users:
        mona:
            oauth_token: gho_other_server
    user: mona
    oauth_token: gho_other_server
"""
GH_OLD = "github.com:\n    oauth_token: gho_old\n    user: monalisa\n    git_protocol: ssh\n"
GH_KEYRING = (
    "github.com:\n    users:\n        monalisa:\n    git_protocol: https\n    user: monalisa\n"
)


@pytest.mark.parametrize(
    ("text", "user", "token"),
    [
        (GH_NEW, "monalisa", "gho_monalisa"),
        (GH_NEW, "hubot", "gho_hubot"),
        (GH_OLD, None, "gho_old"),
    ],
)
def test_hosts_of_gh(
    service: OAuthService, tmp_path: Path, text: str, user: str | None, token: str
) -> None:
    """A user's token at GitHub is served from then on; it has no end that anybody knows."""
    (tmp_path / "hosts.yml").write_text(text)

    signed_in = imported(import_tokens(service, "github", tmp_path / "hosts.yml", user=user))

    assert signed_in.access_token == token
    assert service.get_bearer_token("github") == Success(token)
    assert signed_in.identity is None


def test_a_token_that_gh_keeps_elsewhere(service: OAuthService, tmp_path: Path) -> None:
    """The error says where it is and how it can be had."""
    (tmp_path / "hosts.yml").write_text(GH_KEYRING)

    failure = failed(import_tokens(service, "github", tmp_path / "hosts.yml"))
    assert failure.code is ErrorCode.CONFIG_INVALID
    assert "gh auth token" in str(failure.hint)


# --- Google ------------------------------------------------------------------------------------------

ADC = {
    "account": "",
    "client_id": "764086051850.apps.googleusercontent.com",
    "client_secret": "not-so-secret",
    "quota_project_id": "acme",
    "refresh_token": "1//refresh",
    "type": "authorized_user",
    "universe_domain": "googleapis.com",
}
TOKEN_JSON = {
    "token": "ya29.access",
    "refresh_token": "1//refresh",
    "token_uri": "https://oauth2.googleapis.com/token",
    "client_id": "own.apps.googleusercontent.com",
    "client_secret": "own-secret",
    "scopes": ["https://www.googleapis.com/auth/drive"],
    "universe_domain": "googleapis.com",
    "account": "",
}


def test_credentials_of_an_application_of_gcloud(service: OAuthService) -> None:
    """There is a refresh token only: nothing is handed out before it was renewed."""
    signed_in = imported(import_tokens(service, "google", ADC))

    assert signed_in.refresh_token == "1//refresh"
    assert service.get_status("google") == Success(AuthStatus.TOKEN_EXPIRED)
    login = service.assembly.storage.read(signed_in.login_id)
    assert login is not None
    assert (login.config.client_id, login.config.client_secret) == (
        ADC["client_id"],
        ADC["client_secret"],
    )


def test_a_token_file_of_google_auth(service: OAuthService) -> None:
    """Its expiry is UTC without saying so; a token that lasts serves until then."""
    end = datetime.fromtimestamp(time.time() + HOUR, tz=UTC).replace(tzinfo=None)
    for spelt in (end.isoformat() + "Z", end.isoformat(), end.replace(tzinfo=UTC).isoformat()):
        members = {**TOKEN_JSON, "expiry": spelt}
        signed_in = imported(import_tokens(service, "google", members, replace=True))
        assert signed_in.expires_in == pytest.approx(HOUR, abs=60)
        assert service.get_bearer_token("google") == Success("ya29.access")
        assert signed_in.scope == "https://www.googleapis.com/auth/drive"


def test_the_database_of_gcloud(service: OAuthService, tmp_path: Path) -> None:
    """One of several users is chosen by name; accounts of services are none."""
    path = tmp_path / "credentials.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
        rows = [
            ("ada@acme.example", json.dumps({**ADC, "refresh_token": "1//ada"})),
            ("bob@acme.example", json.dumps({**ADC, "refresh_token": "1//bob"})),
            ("robot@acme.example", json.dumps({"type": "service_account", "private_key": "x"})),
            ("torn@acme.example", "{"),
        ]
        database.executemany("INSERT INTO credentials VALUES (?, ?)", rows)

    several = failed(import_tokens(service, "google", path))
    assert "ada@acme.example" in several.error
    assert "robot" not in several.error
    assert imported(
        import_tokens(service, "google", path, user="bob@acme.example")
    ).refresh_token == ("1//bob")


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE VIEW credentials AS SELECT * FROM endless",
        "CREATE VIEW Credentials AS SELECT * FROM endless",
        "CREATE VIRTUAL TABLE credentials USING fts5(account_id, value, content='endless')",
        "CREATE TABLE credentials (account_id, value AS (CAST(zeroblob(900000000) AS TEXT)))",
        "CREATE TABLE others (account_id, value)",
    ],
)
def test_a_database_that_is_a_program_is_not_run(
    service: OAuthService, tmp_path: Path, statements: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query without an end, and a value without measure, are refused at once."""
    monkeypatch.setattr(google, "_SECONDS", 60.0)  # not only after the time that reading may take
    path = tmp_path / "credentials.db"
    endless = (
        "CREATE VIEW endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        " SELECT x AS rowid, x AS account_id, '{}' AS value FROM n;"
    )
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(endless + statements)
        with suppress(sqlite3.Error):
            database.execute("INSERT INTO credentials (account_id) VALUES ('a')")

    began = time.monotonic()
    assert failed(import_tokens(service, "google", path)).code is ErrorCode.CONFIG_INVALID
    assert time.monotonic() - began < 20


# --- MSAL --------------------------------------------------------------------------------------------


def msal_cache(environment: str = "login.microsoftonline.com") -> dict[str, Any]:
    own = {"home_account_id": "u.t", "environment": environment, "client_id": "az-client"}
    now = int(time.time())
    return {
        "AccessToken": {
            "a": {
                **own, "credential_type": "AccessToken", "secret": "eyJ.short", "realm": "t",
                "target": "User.Read", "token_type": "Bearer", "expires_on": str(now + 60),
            },
            "b": {
                **own, "credential_type": "AccessToken", "secret": "eyJ.long", "realm": "t",
                "target": "https://management.core.windows.net//.default", "token_type": "Bearer",
                "cached_at": str(now), "expires_on": str(now + 3600),
            },
        },
        "RefreshToken": {
            "r": {**own, "credential_type": "RefreshToken", "secret": "0.refresh", "family_id": "1"}
        },
        "Account": {"u": {**own, "username": "ada@acme.example", "realm": "t"}},
        "IdToken": {"i": {**own, "secret": "eyJ.unchecked"}},
        "AppMetadata": {},
    }  # fmt: skip


@pytest.mark.parametrize("environment", ["login.microsoftonline.com", "login.windows.net"])
def test_a_cache_of_msal(service: OAuthService, tmp_path: Path, environment: str) -> None:
    """The token that lasts longest, its scopes, its client and what renews it."""
    (tmp_path / "token_cache.json").write_text(json.dumps(msal_cache(environment)))

    signed_in = imported(
        import_tokens(
            service, "microsoft", str(tmp_path / "token_cache.json"), user="ada@acme.example"
        )
    )

    assert signed_in.access_token == "eyJ.long"
    assert signed_in.refresh_token == "0.refresh"
    assert signed_in.scope == "https://management.core.windows.net//.default"
    assert signed_in.id_token is None
    login = service.assembly.storage.read(signed_in.login_id)
    assert login is not None
    assert login.config.client_id == "az-client"


# --- token responses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "left"),
    [
        (lambda now: {"expires_at": now + HOUR, "expires_in": 7200}, HOUR),
        (lambda now: {"expires_at": str(now + HOUR)}, HOUR),
        (lambda now: {"issued_at": now - 600, "expires_in": HOUR}, HOUR - 600),
        (lambda now: {"issued_at": now - 7200, "expires_in": HOUR}, None),
        (lambda now: {"expires_at": now - 10}, None),
        (lambda now: {"expires_in": HOUR}, None),
        (lambda now: {"expires_in": "nonsense", "expires_at": True}, None),
        (lambda now: {}, None),
    ],
)
def test_how_long_a_kept_response_lasts(
    service: OAuthService, times: Callable[[float], Mapping[str, Any]], left: float | None
) -> None:
    """A token that can be renewed is served only as long as the file can know that it lasts."""
    members = {
        "access_token": "old",
        "refresh_token": "r",
        "scope": ["a", "b"],
        **times(time.time()),
    }

    signed_in = imported(import_tokens(service, "acme", members))

    assert signed_in.scope == "a b"
    if left is None:
        assert service.get_status("acme") == Success(AuthStatus.TOKEN_EXPIRED)
    else:
        assert service.get_bearer_token("acme") == Success("old")
        assert signed_in.expires_at == pytest.approx(time.time() + left, abs=60)


def test_the_file_of_the_api_page(service: OAuthService, tmp_path: Path) -> None:
    """`tokens/{service}.json` is what `to_dict` writes."""
    tokens = OAuthTokens(access_token="t", expires_in=HOUR, refresh_token="r", scope="a b")
    path = tmp_path / "tokens" / "acme.json"
    path.parent.mkdir()
    path.write_text(json.dumps(tokens.to_dict()))

    signed_in = imported(import_tokens(service, "acme", path, account="work"))

    assert signed_in.account == "work"
    assert service.get_bearer_token("acme", account="work") == Success("t")


def test_an_expired_token_is_renewed_at_its_first_use() -> None:
    """What was imported refreshes like any login, with the client that it was issued to."""
    with AuthorizationServer() as server:
        here = service_for(acme=server.config(service_name="acme"))
        started = here.begin("acme").value
        callback = user_agent.fetch_only(started.address)
        tokens = here.complete(callback, login_id=started.login.id).value
        moved = service_for(acme=replace(server.config(service_name="acme"), client_id=""))

        alone = failed(import_tokens(moved, "acme", {"refresh_token": tokens.refresh_token}))
        assert alone.code is ErrorCode.CONFIG_MISSING, "no client could renew it"
        members = {
            "type": "authorized_user",
            "refresh_token": tokens.refresh_token,
            "client_id": server.config().client_id,
            "token_uri": f"{server.issuer}/token",
        }
        imported(import_tokens(moved, "acme", members))
        renewed = moved.get_bearer_token("acme")

        assert isinstance(renewed, Success)
        assert renewed.value not in {tokens.access_token, ""}


# --- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "source"),
    [
        ("gitlab", {"github.com": {"oauth_token": "gho_x", "user": "mona"}}),
        ("acme", ADC),
        ("acme", msal_cache()),
        ("google", {**TOKEN_JSON, "token_uri": "https://evil.example/token"}),
        ("microsoft", msal_cache("login.evil.example")),
    ],
)
def test_tokens_of_another_server_are_refused(
    service: OAuthService, provider: str, source: Mapping[str, Any]
) -> None:
    """A refresh would send them to a server that they are not of."""
    assert failed(import_tokens(service, provider, source)).code is ErrorCode.CONFIG_INVALID
    assert service.get_status(provider) == Success(AuthStatus.NOT_AUTHENTICATED)


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"[]", b"{}", b"null", b"\x00\xff", b"[" * 100_000, b"- a\n- b\n", b"a: [b", b"\x80: x",
        b'{"access_token": ""}', b'{"access_token": 7}', b'{"access_token": "a\\nb"}',
        b'{"access_token": "a", "refresh_token": "r\\u0000"}', b'{"type": "service_account"}',
        b'{"AccessToken": {"a": []}}', b'{"github.com": {"users": []}}',
        b"SQLite format 3\x00 and no more", b"&a [*a]", b"github.com: {oauth_token: [1]}",
    ],
)  # fmt: skip
def test_what_holds_no_tokens_is_refused(
    service: OAuthService, tmp_path: Path, octets: bytes
) -> None:
    """One error and one hint for every other file; no login comes of it."""
    path = tmp_path / "file"
    path.write_bytes(octets)

    for provider in ("acme", "github"):
        assert failed(import_tokens(service, provider, path)).code is ErrorCode.CONFIG_INVALID
        assert service.get_status(provider) == Success(AuthStatus.NOT_AUTHENTICATED)


ANSWERS = {ErrorCode.CONFIG_INVALID, ErrorCode.CONFIG_MISSING, ErrorCode.NOT_FOUND}


@pytest.mark.parametrize("odd", [["x"], {}, 5, None, 1.5, True, [[["y"]]]])
def test_a_member_of_an_odd_type_is_no_exception(service: OAuthService, odd: object) -> None:
    """Whatever stands in the place of a text, the answer is a login or a failure with a hint."""
    cache = msal_cache()
    sources: list[Any] = [
        *({**ADC, name: odd} for name in (*ADC, "token", "expiry", "scopes", "account")),
        *({"access_token": "a", name: odd} for name in ("scope", "expires_in", "issued_at")),
        {"github.com": odd},
        {"github.com": {"users": odd, "user": odd, "oauth_token": odd}},
    ]
    for part, entries in cache.items():
        for name, members in entries.items():
            sources += [{**cache, part: {**entries, name: odd}}, {**cache, part: odd}]
            sources += [
                {**cache, part: {**entries, name: {**members, member: odd}}} for member in members
            ]
    for source in sources:
        for provider in ("google", "microsoft", "github"):
            result = import_tokens(service, provider, source, replace=True)
            assert isinstance(result, Success) or failed(result).code in ANSWERS


@pytest.mark.parametrize(
    "source",
    [
        {"AccessToken": {"a": {"home_account_id": ["x"], "client_id": {}, "secret": "s"}}},
        {"AccessToken": {}, "Account": {"x": {"home_account_id": ["q"]}}},
        {"type": ["authorized_user"]}, 5, None, b"token.json", ["a"],
    ],
)  # fmt: skip
def test_a_source_of_an_odd_type_holds_no_tokens(service: OAuthService, source: Any) -> None:
    """A program that hands in something else gets a failure, and no exception."""
    result = failed(import_tokens(service, "microsoft", source))
    assert result.code is ErrorCode.CONFIG_INVALID


def test_a_file_that_is_not_there(service: OAuthService, tmp_path: Path) -> None:
    """A missing file is not found; a folder, and a pipe without a writer, are no files."""
    assert failed(import_tokens(service, "acme", tmp_path / "x")).code is ErrorCode.NOT_FOUND
    assert failed(import_tokens(service, "acme", tmp_path)).code is ErrorCode.CONFIG_INVALID
    assert failed(import_tokens(service, "nobody", {})).code is ErrorCode.NOT_FOUND
    unknown = failed(
        import_tokens(service, "github", {"github.com": {"oauth_token": "x"}}, user="a")
    )
    assert unknown.code is ErrorCode.NOT_FOUND


def test_a_login_makes_room_only_if_asked_to(service: OAuthService) -> None:
    """Nothing that somebody is signed in with is replaced by an import on its own."""
    imported(import_tokens(service, "acme", {"access_token": "first"}))

    refused = failed(import_tokens(service, "acme", {"access_token": "second"}))
    assert refused.code is ErrorCode.CONFIG_INVALID
    assert service.get_bearer_token("acme") == Success("first")
    imported(import_tokens(service, "acme", {"access_token": "second"}, replace=True))
    assert service.get_bearer_token("acme") == Success("second")


def test_no_token_is_in_a_failure(service: OAuthService) -> None:
    """What an error shows of a file are names, never what it keeps secret."""
    for source in ({"access_token": "secret\n"}, {"refresh_token": "secret", **ADC}):
        failure = failed(import_tokens(service, "acme", source))
        assert "secret" not in failure.error + str(failure.hint)


@pytest.mark.parametrize("content", [b"nonsense", b"{", b"", b"a: b\n", b"\xff\xfe", b"<html>"])
def test_a_broken_file_needs_no_library(
    service: OAuthService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """What is no file of `gh` holds no tokens, whether or not its library is installed."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    broken = tmp_path / "old.json"
    broken.write_bytes(content)

    refused = import_tokens(service, "acme", broken)

    assert isinstance(refused, Failure)
    assert refused.code is ErrorCode.CONFIG_INVALID


@pytest.mark.parametrize(
    ("members", "warned"),
    [
        ({"expires_in": 3600}, True),
        ({"expires_in": 3600, "refresh_token": "r"}, True),
        ({"expires_in": 3600, "issued_at": "soon"}, True),
        ({"expires_in": 3600, "issued_at": 1.0}, False),
        ({"expires_in": 3600, "expires_at": "2040-01-01"}, False),
        ({"refresh_token": "r"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_lifetime_that_counts_from_nowhere_is_warned_of(
    service: OAuthService, members: dict[str, Any], *, warned: bool
) -> None:
    """Nobody takes such a token for one whose end is known."""
    result = import_tokens(service, "acme", {"access_token": "t", **members})

    assert isinstance(result, Success)
    assert (result.warning is not None) is warned


def test_an_account_that_is_taken_may_make_room(service: OAuthService) -> None:
    """The hint names the argument by which it does."""
    import_tokens(service, "acme", {"access_token": "t"})
    refused = import_tokens(service, "acme", {"access_token": "u"})

    assert isinstance(refused, Failure)
    assert "replace=True" in (refused.hint or "")
    assert isinstance(import_tokens(service, "acme", {"access_token": "u"}, replace=True), Success)
