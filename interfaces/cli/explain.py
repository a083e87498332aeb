"""``--explain``: shows the protocol of a login step by step, as its events are recorded.

No secret is shown: of a code, a state or a verifier only the length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from ...engine.oauth.authorization_request import authorization_parameters
from ...engine.oauth.dpop import thumbprint
from ...engine.oauth.grant_request import GRANT_TYPES
from ...engine.oauth.request_object import signs_requests
from ...engine.table import TABLE, State, Trigger
from ..http_lines import SHOWN_PARAMETERS

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded, Scalar
    from ...engine.record import Login
    from .terminal.tty import Terminal

_MEANING: Final = {(row.trigger.value, row.source.value): (row.meaning, row.rfc) for row in TABLE}
_NAME: Final = 16  # columns of a fact's name


class Explainer:
    """An observer that explains each transition after it was saved."""

    def __init__(self, terminal: Terminal) -> None:
        """Explain on ``terminal``."""
        self._terminal = terminal
        self._before: Login | None = None
        self._step = 0
        self._first: int | None = None
        self._last = 0

    def start_from(self, login: Login | None) -> None:
        """Explain what follows on ``login``, which was saved earlier."""
        self._before = login

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Explain what has just been saved."""
        for one in recorded:
            members = one.members
            if login is not None and members.get("login") not in {login.id, None}:
                continue
            self._first = self._first or one.seq
            self._last = one.seq
            if "trigger" in members:
                self._transition(members, login)
            elif members.get("event") == "login.refused":
                self._say(f" -  refused: {members.get('reason')}")
                self._fact("changed", "nothing; the login goes on waiting")
        if login is not None:
            self._before = login

    def finish(self) -> None:
        """Name the records of the audit log that hold all of this."""
        if self._first is not None:
            said = f"--since {self._first} --until {self._last}"
            self._terminal.suggest(f"stayfast audit show {said}")

    def _transition(self, members: Mapping[str, Scalar], login: Login | None) -> None:
        self._step += 1
        line, arrow = ("─", "▶") if self._terminal.unicode else ("-", ">")
        trigger = str(members["trigger"])
        head = f"{members['from']} {line} {trigger} {line}{arrow} {members['to']}"
        duration = members.get("duration")
        took = f"after {_seconds(duration)}" if isinstance(duration, int | float) else ""
        self._say(f"{self._step:>2}  {head:<56} {took}".rstrip())
        meaning, rfc = _MEANING.get((trigger, str(members["from"])), ("", ""))
        facts = _FACTS.get(trigger)
        if facts is not None and login is not None:
            for name, value in facts(members, self._before, login):
                self._fact(name, value)
        for name in ("reason", "http_status", "oauth_error", "detail"):
            if name in members:
                self._fact(name, str(members[name]))
        self._fact("why", f"{meaning} ({rfc})" if rfc else meaning)
        self._say("")

    def _fact(self, name: str, value: str) -> None:
        if value:
            self._say(f"    {name:<{_NAME}} {value}")

    def _say(self, line: str) -> None:
        self._terminal.say(line, hang=5 + _NAME)


Facts = list[tuple[str, str]]


def _begin(members: Mapping[str, Scalar], before: Login | None, after: Login) -> Facts:
    del members, before
    challenge = after.challenge
    if challenge is None:
        return []
    facts = [
        ("code_verifier", f"{len(challenge.verifier.reveal())} random characters, stays here"),
        ("code_challenge", "BASE64URL(SHA-256(code_verifier)), method S256"),
    ]
    if after.config.pkce == "off":
        facts = [("pkce", "off, as this provider is configured: a stolen code is of use to others")]
    if challenge.state is not None:
        facts.append(
            ("state", f"{len(challenge.state.reveal())} random characters: ties the answer to it")
        )
    return facts


def _present(members: Mapping[str, Scalar], before: Login | None, after: Login) -> Facts:
    del members, before
    shown, config = after.presentation, after.config
    if shown is None:
        return []
    if shown.device is not None:
        config = config.of_device_flow()
        scope = config.asked_scope
        left = shown.device.expires_at - after.changed_at
        return [
            ("transport", shown.transport),
            ("POST", _bare(config.device_url)),
            ("with", f"client_id={config.client_id}  scope={scope}"),
            ("answered", "device_code=(hidden)  user_code=(shown to the user only)"),
            ("verification", _bare(shown.device.verification_uri)),
            ("polls", f"every {shown.device.interval:g} s, for {left:.0f} s"),
        ]
    if shown.pushed is not None:
        left = shown.pushed.expires_at - after.changed_at
        return [
            ("transport", shown.transport),
            ("POST", _bare(config.par_url)),
            ("with", _asked(after)),
            ("answered", f"request_uri=(hidden), for {left:.0f} s"),
            ("GET", f"{_bare(config.auth_url)} with client_id and request_uri alone"),
        ]
    return [
        ("transport", shown.transport),
        ("GET", _bare(config.auth_url)),
        ("with", _asked(after)),
    ]


def _asked(login: Login) -> str:
    """Each parameter of the authorization request of ``login``, with what is no secret of it."""
    challenge, shown = login.challenge, login.presentation
    if challenge is None or challenge.state is None or shown is None or shown.redirect_uri is None:
        return ""
    asked = authorization_parameters(
        login.config,
        challenge,
        shown.redirect_uri,
        dpop_jkt=thumbprint(login.proof_key) if login.proof_key is not None else None,
    )
    signed = (
        [f"request=(signed, {len(asked)} parameters in it)"] if signs_requests(login.config) else []
    )
    return "  ".join(signed + [f"{name}={_shown(name, value)}" for name, value in asked])


def _shown(name: str, value: str) -> str:
    if name == "redirect_uri":
        return _bare(value)
    return value if name in SHOWN_PARAMETERS else "(hidden)"


def _receive(members: Mapping[str, Scalar], before: Login | None, after: Login) -> Facts:
    del members, before
    config = after.config
    checked = ["parameters once each", "state in constant time"]
    if config.iss_required:
        checked.insert(0, f"iss = {config.issuer}")
    facts = [("checked", ", ".join(checked))]
    code = after.exchange.code if after.exchange else None
    if code is not None:
        facts.append(("code", f"(hidden, {len(code.reveal())} characters, for one use)"))
    return facts


def _tokens(members: Mapping[str, Scalar], before: Login | None, after: Login) -> Facts:
    grant = "authorization_code"
    if members.get("from") == State.AWAITING_CALLBACK.value:
        grant = "device_code"
    elif before is not None and before.exchange is not None and before.exchange.kind == "refresh":
        grant = "refresh_token"
    elif before is not None and before.sends_grant:
        grant = GRANT_TYPES.get(after.config.grant, after.config.grant)
    facts = [("POST", _bare(after.config.token_url)), ("with", f"grant_type={grant}")]
    tokens = after.tokens
    if tokens is None:
        return facts
    got = [f"token_type={tokens.token_type}"]
    if "expires_in" in members:
        got.append(f"expires_in={members['expires_in']:g}")
    got.append("access_token=(hidden)")
    got += ["refresh_token=(hidden)"] if tokens.refresh_token else []
    facts.append(("answered", "  ".join(got)))
    scopes = members.get("scopes")
    if isinstance(scopes, tuple):
        facts.append(("granted", " ".join(scopes)))
    if tokens.id_token and after.identity is not None:
        checked = ["signature", f"iss = {after.config.issuer}", "aud", "exp"]
        checked += (
            ["nonce"] if grant == "authorization_code" else []
        )  # only that request carried one
        facts.append(("id_token", f"checked: {', '.join(checked)}"))
    return facts


def _sent(members: Mapping[str, Scalar], before: Login | None, after: Login) -> Facts:
    del members, before
    return [("POST", _bare(after.config.token_url))]


_FACTS: Final[Mapping[str, Callable[[Mapping[str, Scalar], Login | None, Login], Facts]]] = {
    Trigger.BEGIN.value: _begin,
    Trigger.RECHALLENGE.value: _begin,
    Trigger.PRESENT.value: _present,
    Trigger.PUSH_AGAIN.value: _present,
    Trigger.RECEIVE_CALLBACK.value: _receive,
    Trigger.ACCEPT_TOKENS.value: _tokens,
    Trigger.REJECT_CODE.value: _sent,
    Trigger.REJECT_GRANT.value: _sent,
}


def _bare(url: str | None) -> str:
    """An address without its query, which may hold a secret."""
    return urlunsplit(urlsplit(url or "")._replace(query="", fragment=""))


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
