"""``--set NAME=VALUE`` of ``provider add`` and ``provider edit``: settings that have no option of their own.

A list is written as words with blanks between them, a table by a name for each of its members
(``parameter_names.scope=scopes``), the rest as it is. What is refused comes with the whole line that
does it, with the option where the setting has one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from ...engine.errors import ConfigInvalid
from ...engine.hints import Hint
from ...engine.oauth.setting_types import ENDPOINTS, EXTRA_PARAMETERS, Form, check, form_of
from ..catalogue import made_provider
from ..provider_file import KNOWN
from .wrong_words import may_be_said

if TYPE_CHECKING:
    from ..catalogue import Template

_SECRETS: Final = {
    "client_secret": ("--client-secret-file", "FILE"),
    "client_secret_for_device": ("--set", "client_secret_for_device_file=FILE"),
}
"""Settings that are secrets, and what is typed instead."""
_FILES: Final = frozenset({"client_secret_for_device_file"})
_NUMBERS: Final = frozenset({"ports"})
_NOT_SET: Final = frozenset({"kind", "template", "service_name"})
_ONLY_ON: Final = frozenset({"iss_required"})
"""Checks of an answer: metadata or the user may ask for one, and nobody switches it off."""
_TRUTH: Final = {"true": True, "yes": True, "false": False, "no": False}
_STAY: Final = frozenset({"issuer", *ENDPOINTS})
"""Settings with an option that is never empty: without them the provider would be another one."""
_EXAMPLES: Final = {
    "client_id": "ID",
    "redirect_uri": "http://127.0.0.1:8765/callback",
    "scopes": "openid",
    "ports": "8765 8766",
}
_SECRET_WORDS: Final = ("secret", "password", "token", "assertion", "key")


_NO_BLANKS: Final[Mapping[str, Template]] = {}


class Again(Protocol):
    """Says the command that was typed again, with other words for one setting."""

    def __call__(self, setting: str, /, *words: str) -> Hint:
        """The line with ``words`` in place of all that was said of ``setting``."""
        ...


def given_again(context: click.Context, setting: str, *words: str) -> list[str]:
    """What was typed behind the words of the command, with ``words`` for ``setting``.

    A value that may be a secret is left for the reader to fill in.
    """
    arguments: list[str] = []
    options: list[str] = []
    setting = _plain_name(setting)
    for param in context.command.params:
        name = param.name or ""
        source = context.get_parameter_source(name)
        if source is not click.core.ParameterSource.COMMANDLINE or name == setting:
            continue
        value: Any = context.params[name]
        many: list[Any] = [value]
        if isinstance(value, tuple):
            many[:] = value
        if not isinstance(param, click.Option):
            arguments += map(str, many)
        elif param.count or name == "as_json":
            continue
        elif isinstance(value, bool):
            options.append(param.opts[-1] if value else param.secondary_opts[-1])
        else:
            for one in map(str, many):
                if name == "values" and _plain_name(one.partition("=")[0]) == setting:
                    continue
                options += [param.opts[-1], _pair(one) if name in _PAIRED else one]
    return [*arguments, *options, *words]


_PAIRED: Final = frozenset({"values", *EXTRA_PARAMETERS})
"""Parameters of the command that are NAME=VALUE, and whose value may be a secret."""


def _pair(typed: str) -> str:
    """``NAME=VALUE``, with the value left out where it may be a secret."""
    name, equals, value = typed.partition("=")
    return f"{name}={_shown(name, value)}" if equals else name


def _shown(name: str, text: str, instead: str = "…") -> str:
    """``text`` as the value of ``name`` in a hint; ``instead`` where it may be a secret, or is none."""
    secret = any(word in name for word in _SECRET_WORDS) and not name.endswith("_file")
    fine = text and not secret and all(map(may_be_said, text.split()))
    return text if fine else instead


def _plain_name(typed: str) -> str:
    """The setting that ``typed`` is about: without a member, and written as in the file."""
    return typed.strip().partition(".")[0].replace("-", "_")


def values_of(
    typed: Collection[str],
    options: Collection[click.Parameter],
    blanks: Mapping[str, Template],
    again: Again,
) -> dict[str, str]:
    """What ``--set`` gives, by name.

    Args:
        typed: The words.
        options: The options of the command.
        blanks: What the kind of the provider asks for.
        again: Says the command again.

    Raises:
        ConfigInvalid: One is not NAME=VALUE, two are about the same, or one is not what the kind asks for.
    """
    found: dict[str, str] = {}
    for one in typed:
        name, equals, value = (part.strip() for part in one.partition("="))
        if not equals or not name:
            raise ConfigInvalid(
                "--set takes NAME=VALUE", hint=_hint(name, "", options, blanks, again)
            )
        if name in found:
            raise ConfigInvalid(
                f"--set names {name[:40]} twice", hint=_hint(name, value, options, blanks, again)
            )
        if name in blanks:
            try:
                blanks[name].checked(value)
            except ConfigInvalid as error:
                error.hint = _filled_in(blanks[name], again, name)
                raise
        found[name] = value
    return found


def settable(options: Collection[click.Parameter]) -> list[str]:
    """The settings that ``--set`` takes where there are ``options``, in order."""
    return sorted(KNOWN - _NOT_SET - _SECRETS.keys() - {option.name for option in options})


def settings_of(
    values: Mapping[str, str],
    options: Collection[click.Parameter],
    before: Mapping[str, Any],
    again: Again,
    blanks: Mapping[str, Template] = _NO_BLANKS,
) -> dict[str, Any]:
    """``values`` as the provider file has them; ``None`` for a setting that is taken out.

    Args:
        values: What was typed, by name.
        options: The options of the command; what has one is not set otherwise, but it is taken out so.
        before: The settings that count now: a member of a table joins the others.
        again: Says the command again.
        blanks: What the kind of the provider asks for.

    Raises:
        ConfigInvalid: One is no setting, has an option, or has a value that cannot be read.
    """
    found: dict[str, Any] = {}
    for typed, text in values.items():
        name, _, member = typed.partition(".")
        option = _option_of(name, options)
        if option is not None and not text and not member and option.name not in _STAY:
            found[str(option.name)] = None
            continue
        _require_setting(typed, text, options, blanks, again)
        if form_of(name) is Form.TABLE:
            if not member:
                raise ConfigInvalid(
                    f"{name} is a table of names",
                    hint=again(name, "--set", f"{name}.NAME=VALUE"),
                )
            table: dict[str, str] = found.setdefault(name, dict(before.get(name) or {}))
            table.pop(member, None)
            if text:
                table[member] = text
        elif member:
            raise ConfigInvalid(
                f"{name} is not a table",
                hint=again(name, "--set", f"{name}={_fitting(name, text)}"),
            )
        else:
            found[name] = _value(name, text, again) if text else None
            if name in _ONLY_ON and not found[name]:
                raise ConfigInvalid(
                    f"{name} is not switched off: it keeps the answer of one provider from another",
                    hint=again(name, "--set", f"{name}=true"),
                )
    return found


def _require_setting(
    typed: str,
    text: str,
    options: Collection[click.Parameter],
    blanks: Mapping[str, Template],
    again: Again,
) -> None:
    name = typed.partition(".")[0]
    option = _option_of(name, options)
    if option is None and name in KNOWN - _NOT_SET - _SECRETS.keys():
        return
    if name in _SECRETS:
        message = (
            f"{name} is a secret, and every user of this machine can read the words of a command"
        )
    elif option is not None:
        message = _fault(option, typed.partition(".")[2], text) or (
            f"{option.name} has an option of its own"
        )
    else:
        message = f"there is no setting {name[:40]!r}"
    raise ConfigInvalid(message, hint=_hint(typed, text, options, blanks, again))


def _option_of(name: str, options: Collection[click.Parameter]) -> click.Parameter | None:
    """The option of the setting ``name``, which may also be written as the option is."""
    plain = name.strip("-").replace("-", "_")
    for option in options:
        if not isinstance(option, click.Option) or option.name not in KNOWN:
            continue
        if plain in {option.name, *(one.strip("-").replace("-", "_") for one in option.opts)}:
            return option
    return None


def _hint(
    typed: str,
    text: str,
    options: Collection[click.Parameter],
    blanks: Mapping[str, Template],
    again: Again,
) -> Hint:
    """The line that was probably meant by ``--set TYPED=TEXT``."""
    name, _, member = typed.partition(".")
    settable = KNOWN - _NOT_SET
    meant: str | None = name
    if name not in settable and name not in blanks and _option_of(name, options) is None:
        names = {str(one.name): one for one in options if isinstance(one, click.Option)}
        spelt = {word.strip("-"): one for one in names.values() for word in one.opts}
        words = [*blanks, *settable, *(one for one in spelt if _option_of(one, options))]
        meant = next(iter(get_close_matches(name, words, n=1)), None)
    if meant is None:
        blank = next(iter(blanks), None)
        return _filled_in(blanks[blank], again, name) if blank else Hint("help providers")
    if meant in _SECRETS:
        return again(name, *_SECRETS[meant])
    if meant in blanks:
        return again(name, "--set", f"{meant}={_shown(name, text)}")
    option = _option_of(meant, options)
    if option is not None:
        return again(name, *_by_option(option, member, text))
    if form_of(meant) is Form.TABLE:
        pair = f"{member}={_shown(member, text)}" if member else "NAME=VALUE"
        return again(name, "--set", f"{meant}.{pair}")
    return again(name, "--set", f"{meant}={_fitting(meant, text)}")


def _filled_in(blank: Template, again: Again, instead_of: str) -> Hint:
    """The line that gives an example for what a kind asks for."""
    return again(instead_of, "--set", f"{blank.name}={blank.example or '…'}")


def _by_option(option: click.Parameter, member: str, text: str) -> list[str]:
    """The words that give the setting of ``option`` by it; an example where ``text`` does not fit."""
    name, spelt = str(option.name), option.opts[-1]
    if option.secondary_opts:
        return [spelt if _TRUTH.get(text.lower(), True) else option.secondary_opts[-1]]
    if name in EXTRA_PARAMETERS:
        pair = f"{member}={text}" if member else text
        return [
            spelt,
            _pair(pair) if "=" in pair and not _fault(option, member, text) else "NAME=VALUE",
        ]
    choices = [str(one) for one in getattr(option.type, "choices", ())]
    if choices:
        return [spelt, *(get_close_matches(text.lower(), choices, n=1) or choices)[:1]]
    example = _example(name)
    return [spelt, example if _fault(option, member, text) else _shown(name, text, example)]


def _fault(option: click.Parameter, member: str, text: str) -> str | None:
    """Why the setting of ``option`` cannot be ``text``; ``None`` if it can."""
    name = str(option.name)
    choices = [str(one) for one in getattr(option.type, "choices", ())]
    if choices:
        return None if text in choices else f"{name} is one of {', '.join(choices)}"
    if option.secondary_opts:
        return None if text.lower() in _TRUTH else f"{name} is true or false"
    value: object = text
    if name in EXTRA_PARAMETERS:
        named, _, value = (f"{member}={text}" if member else text).partition("=")
        value = {named: value} if named and value else None
        if value is None:
            return "a request parameter is NAME=VALUE"
    elif form_of(name) is Form.LIST:
        value = text.split()
    try:
        made_provider("x", {name: value})
    except ConfigInvalid as error:
        return error.message
    if name in _STAY and not text.startswith(("https://", "http://")):
        return f"{name} is an https address"
    return None


def _example(name: str) -> str:
    """What a reader fills in as the value of the setting ``name``."""
    if name in _STAY:
        return "https://…"
    return _EXAMPLES.get(name) or ("FILE" if name.endswith("_file") else "…")


def _fitting(name: str, text: str) -> str:
    """``text`` if the setting ``name`` can be that, else an example."""
    form = form_of(name)
    if form is Form.SWITCH:
        return text if text.lower() in _TRUTH else "true"
    if form is Form.SECONDS:
        return text if _is_number(text) else "86400"
    if isinstance(form, tuple):
        words = [word for word in form if word]
        return (get_close_matches(text.lower(), words, n=1) or words)[0]
    try:
        check(name, text.split() if form is Form.LIST else text)
    except ConfigInvalid:
        return _example(name)
    return _shown(name, text, _example(name))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _value(name: str, text: str, again: Again) -> object:
    form = form_of(name)
    hint = again(name, "--set", f"{name}={_fitting(name, text)}")
    if form is Form.LIST:
        words = text.split()
        numbers = name in _NUMBERS and all(map(_is_number, words))
        return [int(word[:18]) for word in words] if numbers else words
    if form is Form.SWITCH:
        if text.lower() not in _TRUTH:
            raise ConfigInvalid(f"{name} is true or false", hint=hint)
        return _TRUTH[text.lower()]
    if form is Form.SECONDS:
        if not _is_number(text):
            raise ConfigInvalid(f"{name} is a number of seconds", hint=hint)
        return int(text[:18])
    if isinstance(form, tuple) and text not in form:
        shown = ", ".join(word for word in form if word)
        raise ConfigInvalid(f"{name} is one of {shown}", hint=hint)
    return os.path.abspath(text) if name in _FILES else text
