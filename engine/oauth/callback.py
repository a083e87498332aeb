"""The answer to an authorization request: whether it is this login's, and what it says.

The order of the checks is the point (RFC 9207 §2.4, RFC 9700 §4.4): who sent it, then whether it
answers our question, and only then what it says. An ``error`` that anybody could have sent to the
port must not end a login.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..errors import CallbackRefused, IllegalTransition
from ..foreign_text import quotable
from ..reasons import Refusal
from ..secret import Secret
from ..table import State
from .issuer import accepts_issuer

if TYPE_CHECKING:
    from ..record import Login

_WATCHED: Final = frozenset({"code", "state", "iss", "error", "error_description", "error_uri"})
_IMPLICIT: Final = frozenset({"access_token", "id_token", "token_type", "refresh_token"})
_ERROR: Final = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]{1,100}\Z")  # RFC 6749 §4.1.2.1
_EXTRA_LENGTH: Final = 500
_SEAL: Final = object()


class ValidatedCallback:
    """A code that passed every check; only this module can make one.

    Attributes:
        code: The authorization code.
        extras: Further parameters, of those that the provider's settings name.
    """

    __slots__ = ("code", "extras")

    def __init__(self, seal: object, code: Secret, extras: Mapping[str, str] | None = None) -> None:
        """Only for :func:`validate_callback` and :func:`saved_callback`."""
        if seal is not _SEAL:
            raise TypeError("a callback is validated by validate_callback()")
        self.code = code
        self.extras: Mapping[str, str] = extras or {}


@dataclass(frozen=True, slots=True)
class Denial:
    """A valid answer that says no.

    Attributes:
        error: The error code (RFC 6749 §4.1.2.1).
        description: What the provider says about it, fit to be shown.
    """

    error: str
    description: str | None = None


def validate_callback(
    parameters: Sequence[tuple[str, str]], login: Login
) -> ValidatedCallback | Denial:
    """The code in ``parameters``, or the provider's no, if they answer ``login``.

    Args:
        parameters: Decoded, in order, duplicates kept.
        login: A login that awaits its callback.

    Raises:
        CallbackRefused: They do not; ``reason`` says why, and nothing may change for it.
    """
    values: dict[str, str] = {}
    kept = login.config.callback_extras
    for name, value in parameters:
        if name in {*_WATCHED, *kept} and name in values:
            raise _refused(Refusal.DUPLICATE_PARAMETER, f"that answer says {name!r} twice")
        values.setdefault(name, value)
    _check_issuer(values.get("iss"), login)
    _check_state(values.get("state"), login)
    if "error" in values:
        return _denial(values["error"], values.get("error_description"))
    if _IMPLICIT & values.keys():
        raise _refused(
            Refusal.IMPLICIT_RESPONSE, "that answer carries tokens, which were not asked for here"
        )
    code = values.get("code")
    if not code:
        raise _refused(Refusal.MISSING_CODE, "that answer carries no code")
    extras = {name: values[name] for name in kept if _fit(values.get(name, ""))}
    return ValidatedCallback(_SEAL, Secret(code), extras)


def _fit(value: str) -> bool:
    """Whether a parameter that nobody signed may be kept: short, and nothing a terminal acts upon."""
    return 0 < len(value) <= _EXTRA_LENGTH and value.isprintable()


def saved_callback(login: Login) -> ValidatedCallback:
    """The code of a ``login`` that is exchanging: it was validated before it was saved.

    Raises:
        IllegalTransition: There is no such code.
    """
    exchange = login.exchange
    if login.state is not State.EXCHANGING or exchange is None or exchange.code is None:
        raise IllegalTransition(f"login {login.short_id} has no code to send")
    return ValidatedCallback(_SEAL, exchange.code)


def digest_of(parameters: Sequence[tuple[str, str]]) -> str:
    """A digest of the state and the code in ``parameters``.

    A finished login keeps it: the same callback may come again, when its page is reloaded or when
    the process that received it has died, and no other callback may be taken for it.
    """
    given = [[name, value] for name, value in parameters if name in ("code", "state")]
    return hashlib.sha256(json.dumps(sorted(given)).encode()).hexdigest()


def _check_issuer(issuer: str | None, login: Login) -> None:
    expected = login.config.issuer
    if issuer is None:
        if expected and login.config.iss_required:
            raise _refused(
                Refusal.MISSING_ISSUER, "that answer does not say which provider it is from"
            )
    elif (expected and not accepts_issuer(login.config, issuer)) or (
        not expected and not _at_home(issuer, login)
    ):  # simple string comparison: RFC 9207 §2.4
        raise _refused(Refusal.WRONG_ISSUER, "that answer is from another provider")


def _at_home(issuer: str, login: Login) -> bool:
    """Whether ``issuer`` is at the host of an endpoint of ``login``, whose issuer is not known."""
    endpoints = (login.config.auth_url, login.config.token_url)
    try:
        return urlsplit(issuer).netloc.lower() in {
            urlsplit(one).netloc.lower() for one in endpoints
        }
    except ValueError:
        return False


def _check_state(state: str | None, login: Login) -> None:
    challenge = login.challenge
    if login.state is not State.AWAITING_CALLBACK or challenge is None or challenge.state is None:
        raise _refused(Refusal.NOT_WAITING, "this login is not waiting for an answer")
    if not state:
        if _shows_code(login):
            return
        raise _refused(
            Refusal.MISSING_STATE,
            "the address is cut off (no state in it); copy it from the address bar",
        )
    if Secret(state) != challenge.state:
        raise _refused(
            Refusal.WRONG_STATE, "that answer belongs to another login; nothing was sent"
        )


def _shows_code(login: Login) -> bool:
    """Whether ``login`` may be answered by a code alone, which a person copied.

    Only from a person: anybody on this machine can send a code to a port. And only because PKCE
    ties the code to this login (RFC 9700 §2.1.1); another login's is refused by the provider.
    """
    presentation, config = login.presentation, login.config
    by_hand = presentation is not None and presentation.transport == "manual"
    return config.shows_code and by_hand and config.pkce != "off"


def _denial(error: str, description: str | None) -> Denial:
    if not _ERROR.match(error):
        raise _refused(Refusal.MALFORMED_ERROR, "the answer's error code is malformed")
    return Denial(error, quotable(description))


def _refused(refusal: Refusal, message: str) -> CallbackRefused:
    return CallbackRefused(message, reason=refusal.value)
