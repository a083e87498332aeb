"""What one login asks of the provider and its user, beside what is configured for all of them.

The wishes become part of the login's own configuration, which is saved with it: whoever resumes it
asks for the same, and the answer is held against it (:mod:`.id_token`). They go with the
authorization request, and with the device request of a login by device code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

from ..errors import ConfigInvalid
from ..hints import Hint
from .provider import OAuthConfig
from .settings_check import fault_of, require_sendable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .www_authenticate import AuthChallenge

P = TypeVar("P", bound=OAuthConfig)


class LoginWishes(TypedDict, total=False):
    """The wishes; one that is ``None`` or absent leaves what is configured.

    Attributes:
        resources: What the tokens are for (RFC 8707 §2); one text is one resource.
        authorization_details: What exactly is asked for (RFC 9396 §2): objects, or their JSON.
        prompt: ``login``, ``consent``, ``select_account``, ``none`` or several of them
            (OpenID Connect Core §3.1.2.1).
        login_hint: Who is expected to sign in: an email address, say.
        max_age: Seconds since the user last signed in; an older sign-in is refused.
        acr_values: Ways of signing in that will do, the most welcome first (RFC 9470 §4).
        ui_locales: Languages of the provider's pages, the most welcome first.
        client_auth: How the client proves itself (``token_endpoint_auth_method``).
        client_key: Its private key itself, PEM or a JWK: a secret, which is sealed with the login.
        client_key_file: The file of its private key.
        client_certificate_file: The file of its TLS certificate.
        dpop: ``auto``, ``required`` or ``off``: whether tokens are bound to a key (RFC 9449).
        request_object: ``auto``, ``required`` or ``off``: whether the request is signed (RFC 9101).
        par: ``auto``, ``required`` or ``off``: whether the request is pushed (RFC 9126).
        grant: How tokens are asked for (``OAuthProvider.grant``); all but ``authorization-code``
            need no user.
        subject: The login whose token is exchanged, or is the assertion: ``PROVIDER/ACCOUNT``.
        subject_token: That token itself: a secret, which serves once.
        subject_token_file: The file that holds it, read at each request.
        subject_token_type: Its type (RFC 8693 §3).
        assertion: The assertion itself of ``jwt-bearer`` (RFC 7523 §2.1); as ``subject_token``.
        assertion_file: The file that holds it; as ``subject_token_file``.
        actor: The login whose token says who acts (RFC 8693 §2.1).
        actor_token: That token itself; it serves once.
        actor_token_file: The file that holds it.
        actor_token_type: Its type.
        requested_token_type: The type of token that the exchange is to bring.
        assertion_subject: Whom an assertion speaks of that the client signs itself.
        audience: The API or server that the tokens are for.
    """

    resources: Sequence[str] | str | None
    authorization_details: Sequence[Mapping[str, Any]] | str | None
    prompt: Sequence[str] | str | None
    login_hint: str | None
    max_age: float | str | None
    acr_values: Sequence[str] | str | None
    ui_locales: Sequence[str] | str | None
    client_auth: str | None
    client_key: str | None
    client_key_file: str | None
    client_certificate_file: str | None
    par: str | None
    dpop: str | None
    request_object: str | None
    grant: str | None
    subject: str | None
    subject_token: str | None
    subject_token_file: str | None
    subject_token_type: str | None
    assertion: str | None
    assertion_file: str | None
    actor: str | None
    actor_token: str | None
    actor_token_file: str | None
    actor_token_type: str | None
    requested_token_type: str | None
    assertion_subject: str | None
    audience: str | None


WISHES: Final = frozenset(LoginWishes.__annotations__)
"""Their names."""
_SETTINGS: Final[Mapping[str, str]] = {
    "client_auth": "token_endpoint_auth_method",
    "client_key": "client_key",
    "client_key_file": "client_key_file",
    "client_certificate_file": "client_certificate_file",
    "par": "par",
    "dpop": "dpop",
    "request_object": "request_object",
    "grant": "grant",
    "subject": "subject_login",
    "subject_token": "subject_token",
    "subject_token_file": "subject_token_file",
    "subject_token_type": "subject_token_type",
    "assertion": "subject_token",
    "assertion_file": "subject_token_file",
    "actor": "actor_login",
    "actor_token": "actor_token",
    "actor_token_file": "actor_token_file",
    "actor_token_type": "actor_token_type",
    "requested_token_type": "requested_token_type",
    "assertion_subject": "assertion_subject",
    "audience": "audience",
}
"""The wishes that stand for a setting, and its name."""
_NAMES: Final = {setting: name for name, setting in reversed(list(_SETTINGS.items()))}
_ONE_OF: Final = (
    ("subject_login", "subject_token", "subject_token_file"),
    ("actor_login", "actor_token", "actor_token_file"),
)
"""Settings of which one takes the place of the others."""
_PARAMETERS_IN: Final = ("extra_auth_params", "extra_device_params")
"""The settings that the wishes go into which are parameters of the request."""
_PARAMETERS: Final = ("prompt", "login_hint", "max_age", "acr_values", "ui_locales")
_OF_GRANTS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(
        ("subject_login", "subject_token", "subject_token_file", "subject_token_type"),
        frozenset({"token-exchange", "jwt-bearer"}),
    ),
    **dict.fromkeys(
        ("actor_login", "actor_token", "actor_token_file", "actor_token_type"),
        frozenset({"token-exchange"}),
    ),
    "requested_token_type": frozenset({"token-exchange"}),
    "assertion_subject": frozenset({"jwt-bearer"}),
}
"""The settings that only some grants send, and those grants."""


def wishing(config: P, wishes: LoginWishes) -> P:
    """``config`` with ``wishes`` in place of what is configured.

    Raises:
        ConfigInvalid: A wish cannot be sent.
    """
    parameters = {
        name: _text(name, value) for name in _PARAMETERS if (value := wishes.get(name)) is not None
    }
    changed: dict[str, Any] = {
        setting: value
        for name, setting in _SETTINGS.items()
        if (value := wishes.get(name)) is not None
    }
    if "grant" in changed:  # as RFC 6749 spells it
        changed["grant"] = str(changed["grant"]).replace("_", "-")
    for each in _ONE_OF:
        if named := [setting for setting in each if setting in changed]:
            changed.update({setting: None for setting in each if setting not in named})
    if parameters:
        # a login may change from a browser to a device code: both ask for the same
        for kind in _PARAMETERS_IN:
            changed[kind] = {**getattr(config, kind), **parameters}
    resources, details = wishes.get("resources"), wishes.get("authorization_details")
    if resources is not None:
        listed: Iterable[str] = [resources] if isinstance(resources, str) else resources
        changed["resources"] = tuple(dict.fromkeys(listed))
    if details is not None:
        changed["authorization_details"] = details if isinstance(details, str) else _json(details)
    if not changed:
        return config
    wished = _changed(config, changed)
    _require_effect(wished, wishes, parameters)
    fault = fault_of(wished)
    if fault is not None:
        require_sendable(config)  # what was configured is not the fault of a wish
        raise _unsendable(*fault, parameters)
    return wished


def _require_effect(
    wished: OAuthConfig, wishes: LoginWishes, parameters: Mapping[str, str]
) -> None:
    """Refuse a wish that the grant of ``wished`` has no place for: it would be dropped unseen.

    Raises:
        ConfigInvalid: There is one.
    """
    for name, setting in _SETTINGS.items():
        grants = _OF_GRANTS.get(setting)
        if grants is not None and wishes.get(name) is not None and wished.grant not in grants:
            raise ConfigInvalid(
                f"{name} belongs to the grant {' or '.join(sorted(grants, reverse=True))}, and"
                f" {wished.grant} has no place for it",
                hint=Hint("login", wished.service_name, "--grant", max(grants)),
            )
    if parameters and wished.needs_no_user:
        raise ConfigInvalid(
            f"the grant {wished.grant} has no user of whom {min(parameters)} could be asked",
            hint=Hint("login --help"),
        )


def _changed(config: P, changed: Mapping[str, Any]) -> P:
    """``config`` with ``changed`` settings, each of which comes from a wish.

    Raises:
        ConfigInvalid: A value can be none of its setting; the message names the wish.
    """
    try:
        return replace(config, **changed)
    except ConfigInvalid:
        for setting, value in changed.items():
            try:
                replace(config, **{setting: value})
            except ConfigInvalid:
                raise _wrong(_NAMES.get(setting, setting)) from None
        raise


def _unsendable(setting: str, why: str, parameters: Mapping[str, str]) -> ConfigInvalid:
    """The error that ``setting`` has a fault, in terms of the wish that it comes from."""
    if setting in _PARAMETERS_IN:
        meant = [name for name in parameters if name in why.split()]
        setting = meant[0] if meant else " or ".join(parameters)
        why = why.replace(f"has a {setting} that ", "")
    return ConfigInvalid(f"{_NAMES.get(setting, setting)} {why}", hint=Hint("login --help"))


def challenged(wishes: LoginWishes, challenge: AuthChallenge | None) -> LoginWishes:
    """``wishes`` with what ``challenge`` says of how the user must have signed in (RFC 9470 §4).

    What the caller wishes stays. An age goes with every such challenge that names one, because the
    server would answer the present sign-in again.
    """
    if challenge is None:
        return wishes
    merged: LoginWishes = {**wishes}
    if challenge.acr_values and merged.get("acr_values") is None:
        merged["acr_values"] = challenge.acr_values
    if challenge.max_age is not None and merged.get("max_age") is None:
        merged["max_age"] = challenge.max_age
    return merged


def _text(name: str, value: object) -> str:
    """``value`` as a parameter: the parts of a list are joined by blanks."""
    if name == "max_age" and isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < 1e10:
            raise _wrong(name)
        return str(int(value))
    if isinstance(value, str):
        parts = [value]
    elif isinstance(value, Sequence) and name != "login_hint":
        parts = [part for part in value if isinstance(part, str)]  # pyright: ignore[reportUnknownVariableType]
    else:
        parts = []
    text = " ".join(parts).strip()
    if not text:
        raise _wrong(name)
    return text


def _json(details: Sequence[Mapping[str, Any]]) -> str:
    try:
        return json.dumps(list(details), separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise _wrong("authorization_details") from None


def _wrong(name: str) -> ConfigInvalid:
    return ConfigInvalid(f"{name} has a value that cannot be sent", hint=Hint("login --help"))
