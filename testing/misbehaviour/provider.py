"""What real servers, proxies and attackers answer, and what a client must make of each.

Each :class:`Trial` is one fault at one endpoint, with the outcome that is right. They come from
public bug reports and from the security considerations of the specifications. A new one is a row:
nothing else has to change, and :mod:`stayfast.testing.sign_in_contract` tries it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from ..authorization_server import CLIENT_ID
from .faults import NULL, Fault, FaultKind, Signature


class Expected(StrEnum):
    """What a client must make of an answer."""

    READ = "read"
    """It is odd, but says everything: the client takes it, and sends nothing twice."""
    REFUSED = "refused"
    """It must not be believed: no token that came with it is ever used."""
    TROUBLE = "trouble"
    """It is no answer to what was sent: nothing is given up, and a later try succeeds."""
    DROPPED = "dropped"
    """The access token may be used. The ID token that came with it is refused or dropped:
    afterwards the program hands on the earlier one, or no ID token."""
    EITHER = "either"
    """Reading and refusing are both sound. The client does not break, and a later try succeeds."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One thing that goes wrong at a provider.

    Attributes:
        name: A few words with hyphens, unique in its list.
        endpoint: Where, as in :meth:`AuthorizationServer.misbehave`.
        fault: What happens there.
        expected: What a client must make of it.
        why: Who does this, or which attack it is, or the section that decides.
        pause: Seconds that must pass before a later try, as ``Retry-After`` asks.
        times: How often it happens; ``None`` as long as the trial lasts.
    """

    name: str
    endpoint: str
    fault: Fault
    expected: Expected
    why: str
    pause: float = 0.0
    times: int | None = None

    def __str__(self) -> str:
        return self.name


_JSON: Final = {"Content-Type": "application/json"}
_PAGE: Final = b"<!doctype html><title>Blocked</title><h1>Request blocked</h1>Request ID: 42"
_DECADE: Final = 3650 * 86400.0
_LONG_AGO: Final = "Thu, 15 Jan 2015 08:00:00 GMT"


def _token(
    name: str, expected: Expected, why: str, kind: FaultKind = FaultKind.TEXT, **fault: Any
) -> Trial:
    return Trial(
        name=name,
        endpoint="token",
        fault=Fault(kind=kind, **fault),
        expected=expected,
        why=why,
    )


def _members(name: str, expected: Expected, why: str, **members: Any) -> Trial:
    return _token(name, expected, why, FaultKind.MEMBERS, members=members)


def _instead(
    name: str, status: int, body: bytes | Mapping[str, Any], why: str, **headers: str
) -> Trial:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"Content-Type": "text/html"} if body is _PAGE else _JSON
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    fault = Fault(kind=FaultKind.ANSWER, status=status, body=sent, headers={**kind, **named})
    return Trial(
        name=name,
        endpoint="token",
        fault=fault,
        expected=Expected.TROUBLE,
        why=why,
        pause=float(named.get("Retry-After", "0")),
    )


def _id_token(name: str, expected: Expected, why: str, **fault: Any) -> Trial:
    return _token(name, expected, why, FaultKind.ID_TOKEN, **fault)


def _keys(name: str, expected: Expected, why: str, kind: FaultKind, **fault: Any) -> Trial:
    return Trial(
        name=name, endpoint="jwks", fault=Fault(kind=kind, **fault), expected=expected, why=why
    )


def _metadata(name: str, expected: Expected, why: str, **members: Any) -> Trial:
    return Trial(
        name=name,
        endpoint="metadata",
        fault=Fault(kind=FaultKind.MEMBERS, members=members),
        expected=expected,
        why=why,
    )


_READ, _REFUSED, _EITHER = Expected.READ, Expected.REFUSED, Expected.EITHER
_DROPPED: Final = Expected.DROPPED

TOKENS: Final[tuple[Trial, ...]] = (
    _token("byte-order-mark", _READ, "servers on Windows; RFC 8259 §8.1", before=b"\xef\xbb\xbf"),
    _token("utf-16", _READ, "the charset is named, so the text can be read", charset="utf-16"),
    _token("text-after-the-object", _READ, "a proxy's comment", after=b"\n<!-- node 7 -->"),
    _token("raw-line-end", _READ, "templates that do not escape", inserted='"note": "a\nb\tc"'),
    _token("long-integer", _READ, "Python refuses 4,301 digits", inserted='"n": ' + "9" * 6000),
    _token(
        "deep-nesting",
        _READ,
        "a recursive parser overflows in a member nobody needs",
        inserted='"x": ' + "[" * 10_000 + "]" * 10_000,
    ),
    _token("form-encoded", _READ, "GitHub", FaultKind.FORM),
    _members("bearer-in-capitals", _READ, "RFC 6749 §5.1: any case", token_type="BEARER"),
    _members("lifetime-as-text", _READ, "many servers send a text", expires_in="3600"),
    _members("lifetime-without-end", _READ, "WSO2 says never so", expires_in=9223372036854775),
    _members("lifetime-of-1e300", _READ, "more than any calendar holds", expires_in=1e300),
    _members("no-lifetime", _READ, "RFC 6749 §5.1: recommended only", expires_in=None),
    _members("unknown-members", _READ, "RFC 6749 §5.1: ignored", a=1, b=[{}], c={"d": None}),
    _members("negative-lifetime", _EITHER, "a server whose clock is wrong", expires_in=-3600),
    _members("type-mac", _REFUSED, "RFC 6749 §7.1: not understood, not used", token_type="mac"),
    _members("type-dpop", _REFUSED, "RFC 9449 §5: nobody asked for it", token_type="DPoP"),
    _members("type-with-line-end", _REFUSED, "a header is split", token_type="Bearer\r\nX: 1"),
    _members("token-with-line-end", _REFUSED, "a header is split", access_token="a\r\nX-Evil: 1"),
    _members("token-with-escape", _REFUSED, "a terminal obeys", access_token="a\x1b]0;owned\x07"),
    _members("token-with-nul", _REFUSED, "no environment can hold it", access_token="a\x00b"),
    _members("token-not-ascii", _REFUSED, "RFC 6749 §A.12: VSCHAR", access_token="tökén"),
    _members("token-lone-surrogate", _REFUSED, "no encoder takes it", access_token="a\ud800"),
    _members("token-empty", _REFUSED, "RFC 6749 §A.12: at least one", access_token=""),
    _members("token-is-a-list", _REFUSED, "RFC 6749 §5.1: a text", access_token=["a"]),
    _members("refresh-token-with-line-end", _EITHER, "RFC 6749 §A.17", refresh_token="a\nb"),
)
"""Token answers; the provider has acted, so the code or refresh token is spent."""

GATEWAYS: Final[tuple[Trial, ...]] = (
    _instead("page-with-200", 200, _PAGE, "a captive portal"),
    _instead("page-with-400", 400, _PAGE, "a firewall"),
    _instead("page-with-401", 401, _PAGE, "a proxy that wants a sign-in of its own"),
    _instead("page-with-403", 403, _PAGE, "a web application firewall"),
    _instead("page-with-502", 502, _PAGE, "a load balancer"),
    _instead("gateway-json", 403, {"message": "Forbidden"}, "an API gateway"),
    _instead("empty-body", 200, b"", "a connection that was cut by a proxy"),
    _instead("empty-object", 200, {}, "a cache"),
    _instead("maintenance", 200, {"status": "maintenance"}, "a maintenance window"),
    _instead("rate-limit-code", 403, {"error": "rate_limit_exceeded"}, "rate limits"),
    _instead("slack-rate-limit", 200, {"ok": False, "error": "ratelimited"}, "Slack"),
    _instead("internal-error-code", 400, {"error": "internal_error"}, "a broken server"),
    _instead("temporarily", 400, {"error": "temporarily_unavailable"}, "RFC 6749 §4.1.2.1"),
    _instead("busy", 503, b"", "RFC 9110 §10.2.3", Retry_After="1"),
    _instead("too-many", 429, {"error": "slow_down"}, "RFC 6585 §4", Retry_After="1"),
    _instead("redirect", 302, b"", "RFC 9700 §4.11: a code must not follow it", Location="/x"),
    _instead("ten-megabytes", 200, b"x" * 10_000_000, "a body without an end"),
    _instead("half-an-object", 200, b'{"access_token": "', "a connection that was cut"),
    _instead("a-list", 200, b"[1, 2]", "JSON, but no object"),
    _token(
        "retry-after-many-years",
        _EITHER,
        "a number that no clock can add; how long to wait is the client's choice",
        FaultKind.ANSWER,
        status=503,
        headers={"Retry-After": "9" * 400},
    ),
    _token("connection-cut-before", Expected.TROUBLE, "nothing was done", FaultKind.DROP_BEFORE),
)
"""Answers of somebody between the client and the token endpoint; the provider has not acted."""

ID_TOKENS: Final[tuple[Trial, ...]] = (
    _id_token("audience-twice", _READ, "a list may repeat", members={"aud": [CLIENT_ID] * 2}),
    _id_token("another-issuer", _REFUSED, "§3.1.3.7 rule 2", members={"iss": "https://evil.test"}),
    _id_token("another-audience", _REFUSED, "§3.1.3.7 rule 3", members={"aud": "another"}),
    _id_token("no-audience", _REFUSED, "§2: required", members={"aud": None}),
    _id_token("another-party", _REFUSED, "§3.1.3.7 rule 5", members={"azp": "another"}),
    _id_token("over-since-an-hour", _REFUSED, "§3.1.3.7 rule 9", shifted={"exp": -7200, "iat": -7200}),
    _id_token("without-an-end", _REFUSED, "§2: required", members={"exp": None}),
    _id_token(
        "replayed-with-its-date",
        _REFUSED,
        "an old token, and a Date that makes it look new",
        shifted={"exp": -_DECADE, "iat": -_DECADE},
        headers={"Date": _LONG_AGO},
    ),
    _id_token("another-nonce", _REFUSED, "§3.1.3.7 rule 11", members={"nonce": "another"}),
    _id_token("no-nonce", _REFUSED, "§3.1.3.7 rule 11: it was sent", members={"nonce": None}),
    _id_token("another-access-token", _REFUSED, "§3.1.3.8", members={"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    _id_token("no-subject", _REFUSED, "§2: required", members={"sub": None}),
    _id_token("subject-is-a-number", _REFUSED, "§2: a text", members={"sub": 7}),
    _id_token("unsigned", _REFUSED, "RFC 8725 §3.1", signature=Signature.NONE),
    _id_token("signature-cut-off", _REFUSED, "RFC 8725 §3.1", signature=Signature.ABSENT),
    _id_token("signature-spoiled", _REFUSED, "§3.1.3.7 rule 6", signature=Signature.SPOILED),
    _id_token("signed-by-another", _REFUSED, "§3.1.3.7 rule 6", signature=Signature.FOREIGN),
    _id_token(
        "published-key-as-secret",
        _REFUSED,
        "RFC 8725 §2.1: one key, two algorithms",
        signature=Signature.PUBLIC_KEY_AS_SECRET,
    ),
    _id_token("critical-header", _REFUSED, "RFC 7515 §4.1.11", header={"crit": ["x"], "x": 1}),
    _id_token(
        "claims-nested-deep",
        _REFUSED,
        "a recursive parser overflows",
        inserted='"x": ' + "[" * 10_000 + "]" * 10_000,
    ),
    _members("not-a-token", _REFUSED, "three parts and a signature", id_token="garbage"),
    _members("id-token-is-a-list", _EITHER, "a text", id_token=["a", "b"]),
    _members("no-id-token", _EITHER, "asked with openid, and not sent", id_token=None),
)  # fmt: skip
"""ID tokens of a sign-in (sections are those of OpenID Connect Core)."""

KEYS: Final[tuple[Trial, ...]] = (
    _keys("mark-before-keys", _READ, "servers on Windows", FaultKind.TEXT, before=b"\xef\xbb\xbf"),
    _keys("member-is-null", _READ, "JWK libraries that write it", FaultKind.KEYS, members={"x5c": NULL}),
    _keys("use-is-null", _READ, "JWK libraries that write it", FaultKind.KEYS, members={"use": NULL}),
    _keys("two-keys-of-one-name", _READ, "RFC 7517 §4.5: should be distinct", FaultKind.KEYS, impostor=True),
    _keys("key-without-name", _EITHER, "RFC 7517 §4.5: optional", FaultKind.KEYS, members={"kid": None}),
    _keys("key-for-encryption", _REFUSED, "RFC 7517 §4.2", FaultKind.KEYS, members={"use": "enc"}),
    _keys("no-keys", _REFUSED, "nothing can be checked", FaultKind.MEMBERS, members={"keys": []}),
    _keys("keys-are-a-page", _EITHER, "a captive portal", FaultKind.HTML),
    _keys("keys-are-gone", _EITHER, "a path that was moved", FaultKind.ANSWER, status=404),
    _keys("keys-without-end", _EITHER, "a body without an end", FaultKind.HUGE),
)  # fmt: skip
"""Published keys of a sign-in."""

METADATA: Final[tuple[Trial, ...]] = (
    Trial(
        name="mark-before-metadata",
        endpoint="metadata",
        fault=Fault(kind=FaultKind.TEXT, before=b"\xef\xbb\xbf"),
        expected=_READ,
        why="servers on Windows",
    ),
    Trial(
        name="metadata-in-utf-16",
        endpoint="metadata",
        fault=Fault(kind=FaultKind.TEXT, charset="utf-16"),
        expected=_READ,
        why="the charset is named, so the text can be read",
    ),
    Trial(
        name="metadata-is-a-page",
        endpoint="metadata",
        fault=Fault(kind=FaultKind.HTML),
        expected=_REFUSED,
        why="a captive portal",
    ),
    _metadata("metadata-of-another", _REFUSED, "RFC 8414 §3.3", issuer="https://evil.test"),
    _metadata("no-issuer", _REFUSED, "RFC 8414 §2: required", issuer=None),
    _metadata("no-token-endpoint", _REFUSED, "RFC 8414 §2: required", token_endpoint=None),
    _metadata("token-endpoint-in-clear", _REFUSED, "RFC 6749 §3.2", token_endpoint="http://evil.test/t"),
    _metadata("token-endpoint-is-a-file", _REFUSED, "RFC 6749 §3.2", token_endpoint="file:///etc/passwd"),
    _metadata("token-endpoint-is-a-list", _REFUSED, "RFC 8414 §2: a text", token_endpoint=["a"]),
    _metadata("plain-challenges-only", _REFUSED, "RFC 9700 §2.1.1", code_challenge_methods_supported=["plain"]),
    _metadata("unknown-metadata", _READ, "RFC 8414 §2: ignored", x=1, y=[[]], z={"a": None}),
)  # fmt: skip
"""Metadata, for programs that find a provider's endpoints by its issuer."""

CALLBACKS: Final[tuple[Trial, ...]] = (
    Trial(
        name="callback-of-another-issuer",
        endpoint="callback",
        fault=Fault(kind=FaultKind.CALLBACK, members={"iss": "https://evil.test"}),
        expected=_REFUSED,
        why="RFC 9207 §2.4: a mix-up",
    ),
    Trial(
        name="callback-of-another-login",
        endpoint="callback",
        fault=Fault(kind=FaultKind.CALLBACK, members={"state": "another"}),
        expected=_REFUSED,
        why="RFC 6749 §10.12",
    ),
    Trial(
        name="callback-without-state",
        endpoint="callback",
        fault=Fault(kind=FaultKind.CALLBACK, members={"state": None}),
        expected=_REFUSED,
        why="RFC 6749 §4.1.2: required, as it was sent",
    ),
    Trial(
        name="callback-with-another-code",
        endpoint="callback",
        fault=Fault(kind=FaultKind.CALLBACK, members={"code": "another"}),
        expected=_REFUSED,
        why="RFC 6749 §5.2: invalid_grant",
    ),
)
"""What the browser brings back."""

_ACTED: Final = tuple(
    # After a 200 the code may be spent, and a second use may revoke the tokens (RFC 6749 §4.1.2). So
    # a client may give the code up and send its user to the sign-in page again.
    replace(trial, expected=_EITHER) if trial.fault.status == 200 else trial
    for trial in GATEWAYS
)
SIGN_IN: Final = (*TOKENS, *_ACTED, *ID_TOKENS, *KEYS, *CALLBACKS)
"""Trials of a sign-in."""

_POLL: Final = "urn:ietf:params:oauth:grant-type:device_code"


def _device(name: str, expected: Expected, why: str, **members: Any) -> Trial:
    return Trial(
        name=name,
        endpoint="device_authorization",
        fault=Fault(kind=FaultKind.MEMBERS, members=members),
        expected=expected,
        why=why,
    )


def _poll(name: str, expected: Expected, why: str, status: int, body: bytes) -> Trial:
    fault = Fault(kind=FaultKind.ANSWER, grant=_POLL, status=status, body=body)
    return Trial(name=name, endpoint="token", fault=fault, expected=expected, why=why, times=1)


DEVICE: Final[tuple[Trial, ...]] = (
    _device("device-lifetime-missing", _READ, "some leave it out", expires_in=None),
    _device("device-lifetime-0", _READ, "some send it for never", expires_in=0),
    _device("device-lifetime-1e300", _READ, "more than any calendar holds", expires_in=1e300),
    _device("interval-missing", _READ, "RFC 8628 §3.2: 5 seconds", interval=None),
    _device("no-complete-address", _READ, "RFC 8628 §3.2: optional", verification_uri_complete=None),
    _device("no-device-code", _REFUSED, "RFC 8628 §3.2: required", device_code=None),
    _device("no-user-code", _REFUSED, "RFC 8628 §3.2: required", user_code=None),
    _device("no-address", _REFUSED, "RFC 8628 §3.2: required", verification_uri=None,
            verification_uri_complete=None),
    _device("address-in-clear", _REFUSED, "anybody on the way sees the code",
            verification_uri="http://evil.test/device", verification_uri_complete=None),
    _device("address-is-a-script", _REFUSED, "a QR reader runs it",
            verification_uri="javascript:alert(1)", verification_uri_complete=None),
    _device("user-code-with-escape", _REFUSED, "a terminal obeys", user_code="AB\x1b]0;x\x07"),
    _poll("page-at-a-poll", _READ, "a firewall, once", 403, _PAGE),
    _poll("busy-at-a-poll", _READ, "a load balancer, once", 503, b""),
    _poll("slow-down-at-a-poll", _READ, "RFC 8628 §3.5", 400, b'{"error": "slow_down"}'),
    _poll("expired-at-a-poll", _REFUSED, "RFC 8628 §3.5", 400, b'{"error": "expired_token"}'),
    _poll("denied-at-a-poll", _REFUSED, "RFC 8628 §3.5", 400, b'{"error": "access_denied"}'),
)  # fmt: skip
"""Trials of a sign-in by device code (RFC 8628)."""

REFRESHED_IDENTITIES: Final[tuple[Trial, ...]] = (
    _id_token("refreshed-as-another", _REFUSED, "§12.2: sub", members={"sub": "mallory"}),
    _id_token("refreshed-by-another-issuer", _DROPPED, "§12.2: iss", members={"iss": "https://evil.test"}),
    _id_token("refreshed-for-another", _DROPPED, "§12.2: aud", members={"aud": "another"}),
    _id_token("refreshed-unsigned", _DROPPED, "RFC 8725 §3.1", signature=Signature.NONE),
    _id_token("refreshed-with-spoiled-signature", _DROPPED, "§12.2", signature=Signature.SPOILED),
    _id_token("refreshed-long-over", _DROPPED, "§12.2", shifted={"exp": -_DECADE, "iat": -_DECADE}),
    _members("refreshed-with-garbage", _DROPPED, "§12.2", id_token="garbage"),
    _members("refreshed-without-id-token", _READ, "§12.2: might not contain one", id_token=None),
    _members("scope-emptied", _READ, "RFC 6749 §6: means unchanged", scope=""),
    _members("no-new-refresh-token", _READ, "RFC 6749 §6: may", refresh_token=None),
    _instead("refresh-scope", 400, {"error": "invalid_scope"}, "ours to mend; the token is fine"),
    _instead("refresh-target", 400, {"error": "invalid_target"}, "RFC 8707 §2; the token is fine"),
)  # fmt: skip
"""What comes with a refresh only."""

REFRESH: Final = (*TOKENS, *GATEWAYS, *REFRESHED_IDENTITIES)
"""Trials of a refresh."""
