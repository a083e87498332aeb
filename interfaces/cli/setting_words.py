"""``--set NAME=VALUE`` of ``provider add`` and ``provider edit``: settings that have no option of their own.

A list is written as words with blanks between them, a table by a name for each of its members
(``parameter_names.scope=scopes``), the rest as it is.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

import click

from ...engine.errors import ConfigInvalid
from ...engine.hints import Hint
from ...engine.oauth.setting_types import Form, form_of
from ..provider_file import KNOWN

_SECRETS: Final = {
    "client_secret": "--client-secret-file FILE",
    "client_secret_for_device": "--set client_secret_for_device_file=FILE",
}
"""Settings that are secrets, and what is typed instead."""
_FILES: Final = frozenset({"client_secret_for_device_file"})
_NOT_SET: Final = frozenset({"kind", "template", "service_name"})
_TRUTH: Final = {"true": True, "yes": True, "false": False, "no": False}


def settings_of(
    values: Mapping[str, str], options: Collection[click.Parameter], before: Mapping[str, Any]
) -> dict[str, Any]:
    """``values`` as the provider file has them; ``None`` for a setting that is taken out.

    Args:
        values: What was typed, by name.
        options: The options of the command; what has one is not set otherwise.
        before: The settings that count now: a member of a table joins the others.

    Raises:
        ConfigInvalid: One is no setting, has an option, or has a value that cannot be read.
    """
    found: dict[str, Any] = {}
    for typed, text in values.items():
        name, _, member = typed.partition(".")
        _require_setting(name, member, text, options)
        if form_of(name) is Form.TABLE:
            if not member:
                raise ConfigInvalid(f"{name} is a table of names", hint=f"--set {name}.NAME=VALUE")
            table: dict[str, str] = found.setdefault(name, dict(before.get(name) or {}))
            table.pop(member, None)
            if text:
                table[member] = text
        elif member:
            raise ConfigInvalid(f"{name} is not a table", hint=f"--set {name}=VALUE")
        else:
            found[name] = _value(name, text) if text else None
    return found


def _require_setting(
    name: str, member: str, text: str, options: Collection[click.Parameter]
) -> None:
    for option in options:
        if option.name == name:
            raise ConfigInvalid(
                f"{name} has an option of its own", hint=f"{option.opts[-1]} {text or '…'}"
            )
    if name in _SECRETS:
        raise ConfigInvalid(
            f"{name} is a secret, and every user of this machine can read the words of a command",
            hint=_SECRETS[name],
        )
    if name not in KNOWN or name in _NOT_SET:
        similar = get_close_matches(name, KNOWN - _NOT_SET - _SECRETS.keys(), n=1)
        raise ConfigInvalid(
            f"there is no setting {name[:40]!r}",
            hint=f"--set {similar[0]}{f'.{member}' if member else ''}=…"
            if similar
            else Hint("help providers"),
        )


def _value(name: str, text: str) -> object:
    form = form_of(name)
    if form is Form.LIST:
        return text.split()
    if form is Form.SWITCH:
        if text.lower() not in _TRUTH:
            raise ConfigInvalid(f"{name} is true or false", hint=f"--set {name}=true")
        return _TRUTH[text.lower()]
    if form is Form.SECONDS:
        if not (text.isascii() and text.isdigit()):
            raise ConfigInvalid(f"{name} is a number of seconds", hint=f"--set {name}=86400")
        return int(text[:18])
    if isinstance(form, tuple) and text not in form:
        shown = ", ".join(word for word in form if word)
        first = next(word for word in form if word)
        raise ConfigInvalid(f"{name} is one of {shown}", hint=f"--set {name}={first}")
    return os.path.abspath(text) if name in _FILES else text
