"""The processors a program adds to its own structlog chain: no token gets through them."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import structlog
from stayfast import OAuthTokens, audit_processors
from stayfast.engine.secret import Secret

KEY = b"k" * 32
CANARY = "canary-3f9a8b7c6d5e"
TOKENS = OAuthTokens(access_token=CANARY, refresh_token=CANARY + "-r", issued_at=1.0)


def processed(entries: list[dict[str, Any]], **settings: Any) -> list[dict[str, Any]]:
    """What a program's log holds after ``entries``, through a chain as the documentation shows."""
    written = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(written),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            *audit_processors(key=KEY, **settings),
            structlog.processors.JSONRenderer(),
        ],
    )
    for entry in entries:
        log.info(**entry)
    assert CANARY not in written.getvalue()
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_secrets_become_fingerprints_that_tie_lines_together() -> None:
    """By type and by name, at any depth: one value, one fingerprint, and another for another."""
    first, second, third = processed(
        [
            {"event": "a", "access_token": CANARY},
            {
                "event": "b",
                "nested": {"deep": [{"Access-Token": CANARY, "accessToken": CANARY}]},
                "plain": Secret(CANARY),
            },
            {"event": "c", "tokens": TOKENS, "provider": "acme"},
        ]
    )
    mark = first["access_token"]
    assert mark.startswith("fp:")
    assert second["nested"]["deep"][0] == {"Access-Token": mark, "accessToken": mark}
    assert second["plain"] == mark
    assert third["tokens"]["access_token"] == mark != third["tokens"]["refresh_token"]
    assert third["provider"] == "acme"


def test_only_listed_names_are_written() -> None:
    """With a list, what is not on it is dropped, and counted."""
    (line,) = processed(
        [{"event": "a", "body": "x", "provider": "p"}], fields={"event", "provider"}
    )
    assert line == {"event": "a", "provider": "p"}
    _, listed, _ = audit_processors(fields={"event"})
    listed(None, "info", {"event": "a", "x": 1, "y": 2})
    assert listed.dropped == 2


def test_a_secret_in_a_text_is_found_last() -> None:
    """In a message, an exception, a key: what was seen as a secret, was named, or looks like one."""
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
    long_one = base64.urlsafe_b64encode(bytes(range(7, 60))).decode().rstrip("=")
    try:
        raise ValueError(f"token was {CANARY}")
    except ValueError as error:
        (_, line, other) = processed(
            [
                {"event": "seen", "access_token": CANARY},
                {
                    "event": f"got {CANARY}",
                    "exc_info": error,
                    "url": "http://h/cb?code=abc&state=de",
                },
                {"event": f"Bearer abcdef {jwt} {long_one}", CANARY: "named my-own-secret"},
            ],
            secrets=["my-own-secret"],
        )
    assert line["event"] == "got [redacted]"
    assert "[redacted]" in line["exception"]
    assert line["url"] == "http://h/cb?code=[redacted]&state=[redacted]"
    assert other["event"] == "Bearer [redacted] [redacted] [redacted]"
    assert other["[redacted]"] == "named [redacted]"


def test_what_is_no_secret_is_left_alone() -> None:
    """Numbers, paths, addresses, ids and words pass as they are."""
    entry = {
        "event": "refreshed in 12 ms",
        "count": 3,
        "ok": True,
        "path": "/home/ada/.local/state/stayfast/vault.db",
        "url": "https://login.acme.example/authorize",
        "login": "01J9ZK4Q0V7F3KTWX2A8B5C6DE",
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    }
    (line,) = processed([entry])
    assert line == {**entry, "level": "info"}
