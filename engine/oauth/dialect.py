"""What a provider calls the parameters of requests and the members of answers, where not as the RFCs do.

Inside Stayfast everything has the name of its RFC. It is translated here, once on its way out and once
on its way in, by :attr:`~.provider.OAuthProvider.parameter_names`,
:attr:`~.provider.OAuthProvider.member_names` and :attr:`~.provider.OAuthProvider.error_codes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from .error_codes import refuses
from .setting_types import REGISTERED

if TYPE_CHECKING:
    from .provider import OAuthProvider

_CLIENT: Final = frozenset(
    {"client_id", "client_secret", "client_assertion", "client_assertion_type"}
)
_GRANTS: Final = frozenset(
    {"grant_type", "assertion", "subject_token", "subject_token_type", "actor_token"}
    | {"actor_token_type", "requested_token_type", "scope", "audience", "resource"}
    | {"authorization_details"}
)
_REQUESTS: Final = (
    ("extra_device_params", _CLIENT | {"scope", "audience", "authorization_details", "resource"}),
    (
        "extra_token_params",
        _CLIENT | {"grant_type", "code", "code_verifier", "redirect_uri", "resource"},
    ),
    ("extra_token_params", _CLIENT | {"grant_type", "device_code", "scope", "resource"}),
    ("extra_token_params", _CLIENT | _GRANTS),
    (
        "extra_refresh_params",
        _CLIENT | {"grant_type", "refresh_token", "scope", "redirect_uri", "resource"},
    ),
    ("extra_revoke_params", _CLIENT | {"token", "token_type_hint"}),
    ("extra_registration_params", REGISTERED),
)
"""Our parameters of one kind of request each, and the setting that adds others to it."""
_SIGNED_LATER: Final = frozenset({"client_assertion", "client_assertion_type", "assertion"})
_RENAMED: Final = frozenset[str]().union(*(ours for _, ours in _REQUESTS)) - _SIGNED_LATER
_SECRET: Final = frozenset(
    {"code", "code_verifier", "client_secret", "refresh_token", "device_code", "token"}
    | {"subject_token", "actor_token"}
)
_PLAIN: Final = frozenset(
    {"grant_type", "client_id", "redirect_uri", "scope", "audience", "resource", "response_type"}
    | {"token_type_hint", "subject_token_type", "code_challenge_method", "response_mode"}
    | {"acr_values", "max_age", "prompt", "ui_locales", "authorization_details"}
)
"""Parameters whose values are shown: they open no door and name nobody."""
_ERRORS: Final = frozenset({"error", "error_description"})
_MEMBERS: Final = (
    _ERRORS
    | {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in", "scope"}
    | {"id_token", "issued_token_type"},
    _ERRORS
    | {"device_code", "user_code", "verification_uri", "verification_uri_complete"}
    | {"expires_in", "interval"},
    _ERRORS | {"client_id", "client_secret", "client_secret_expires_at", "redirect_uris", "scope"},
)
"""The members of one kind of answer each: of the token endpoint, the device one, the registration."""
_SUCCESS: Final = frozenset({"access_token", "device_code", "client_id"})
_PENDING: Final = frozenset({"authorization_pending", "slow_down"})  # RFC 8628 §3.5
_NAME: Final = re.compile(r"[\x21-\x7E]{1,100}")
_PATH: Final = re.compile(r"[\x21-\x2D\x2F-\x7E]{1,100}(\.[\x21-\x2D\x2F-\x7E]{1,100}){0,3}")
_LONGEST_CODE: Final = 100


def in_their_names(
    provider: OAuthProvider, parameters: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """``parameters`` of a request, which have the names of the RFCs, as the provider calls them."""
    names = provider.parameter_names
    return [(names.get(name, name), value) for name, value in parameters]


def in_our_names(provider: OAuthProvider | None, members: dict[str, Any]) -> dict[str, Any]:
    """``members`` of an answer under the names of the RFCs, and its error in their words.

    Where the provider's own name is absent the RFC's serves: servers change, and few use one name
    everywhere.
    """
    if provider is None or not (provider.member_names or provider.error_codes):
        return members
    ours = dict(members)
    for name, theirs in provider.member_names.items():
        value = _at(members, theirs)
        if value is not None:
            ours.pop(theirs, None)
            ours[name] = value
    said = named_error(ours)
    if isinstance(said, str | int) and said not in (False, ""):
        word = str(said).strip()
        ours["error"] = provider.error_codes.get(word, word)
        if "error" not in members and not _known(ours["error"]) and _SUCCESS & ours.keys():
            del ours["error"]  # a greeting in the member that has the errors of other answers
    return ours


def _known(code: str) -> bool:
    return code in _PENDING or refuses(code)


def _at(members: Mapping[str, Any], path: str) -> object:
    """The member at ``path``, whose dots descend; ``None`` where there is none."""
    value: object = members
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = cast("dict[str, object]", value).get(name)
    return value


def named_error(members: Mapping[str, Any]) -> object:
    """Whatever ``members`` name as their error, before it is judged; ``None`` if nothing.

    Slack's ``ok: false`` and lists of ``errors`` count.
    """
    error = members.get("error")
    errors: object = members.get("errors")
    if isinstance(error, dict):  # {"error": {"code": …}} and its relatives
        nested = cast("dict[str, object]", error)
        error = nested.get("type") or nested.get("status") or nested.get("code") or "error"
    if error is None and members.get("ok") is False:
        error = "error"
    if error is None and isinstance(errors, list) and errors and "access_token" not in members:
        first = cast("list[object]", errors)[0]
        error = (
            cast("dict[str, object]", first).get("errorType") if isinstance(first, dict) else first
        )
    return error


def naming_fault(provider: OAuthProvider) -> tuple[str, str] | None:
    """The first setting of the dialect that no request can be made with, and why; else ``None``.

    Two parameters of one request cannot have one name, and none of ours can have the name of another:
    a code verifier would be sent as something that the provider keeps.
    """
    names, members, codes = provider.parameter_names, provider.member_names, provider.error_codes
    for setting, fine, why in (
        ("parameter_names", set(names) <= _RENAMED, "renames something that is no parameter of these requests"),
        ("parameter_names", all(map(_NAME.fullmatch, names.values())), "has a name that no parameter may have"),
        ("parameter_names", all(_apart(names, kind) for _, kind in _REQUESTS), "gives two parameters of one request one name"),
        ("parameter_names", all(names[name].lower() not in _PLAIN for name in _SECRET & names.keys()), "gives a secret the name of a parameter that traces show"),
        ("parameter_names", not _added_twice(provider), "gives a parameter the name of one that is added to the same request"),
        ("member_names", set(members) <= set[str]().union(*_MEMBERS), "renames something that is no member of these answers"),
        ("member_names", all(map(_PATH.fullmatch, members.values())), "has a name that no member may have"),
        ("member_names", all(_apart(members, kind) for kind in _MEMBERS), "takes two members of one answer from one name"),
        ("error_codes", all(0 < len(code.strip()) <= _LONGEST_CODE for code in codes), "has a code that is empty or too long"),
        ("error_codes", all(map(_known, codes.values())), "has a meaning that is no error code of an RFC"),
    ):  # fmt: skip
        if not fine:
            return setting, why
    return None


def _apart(names: Mapping[str, str], kind: frozenset[str]) -> bool:
    """Whether those of one ``kind`` keep apart, in letters of either case, and none takes another's name."""
    theirs = [names[name].lower() for name in kind if name in names]
    return len(set(theirs)) == len(theirs) and all(
        names[name].lower() not in kind - {name} for name in kind if name in names
    )


def _added_twice(provider: OAuthProvider) -> bool:
    """Whether a parameter that is added to a request has the name that one of ours has there."""
    return any(
        {provider.parameter_names.get(name, "").lower() for name in ours}
        & {name.strip().lower() for name in getattr(provider, setting)}
        for setting, ours in _REQUESTS
    )
