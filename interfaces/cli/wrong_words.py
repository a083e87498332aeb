"""What was typed wrongly, in one voice, and the line that was probably meant.

click says ``No such command 'statsu'. Did you mean 'status'?`` and names a page of help. Here the hint
is the whole line, ready to be run, with the words in it that other tools have for the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final

import click

from ...engine.errors import ConfigInvalid, ConfigMissing, StayfastError
from ...engine.hints import Hint

_COMMANDS: Final = {
    "access-token": "token",
    "accounts": "account",
    "auth": "login",
    "authenticate": "login",
    "config": "provider",
    "get-token": "token",
    "info": "status",
    "log-in": "login",
    "log-out": "logout",
    "ls": "list",
    "me": "whoami",
    "print-access-token": "token",
    "providers": "provider",
    "renew": "refresh",
    "revoke": "logout",
    "run": "exec",
    "setup-git": "setup git",
    "sign-in": "login",
    "sign-out": "logout",
    "signin": "login",
    "signout": "logout",
    "switch": "account use",
    "verify": "audit verify",
    "version": "--version",
}
"""Commands by the words that other tools have for them."""
_OPTIONS: Final = {
    "--browser": "--via loopback",
    "--code": "--callback-url",
    "--device": "--via device",
    "--device-auth": "--via device",
    "--device-code": "--via device",
    "--force": "--new",
    "--headless": "--no-browser",
    "--manual": "--via manual",
    "--no-launch-browser": "--no-browser",
    "--paste": "--via paste",
    "--use-device-code": "--via device",
    "--user": "--account",
    "--username": "--account",
    "--web": "--via loopback",
}
"""Options by the words that other tools have for them; each stands where the command has the new one."""
_WISHES: Final = frozenset(
    {
        *("--account", "--grant", "--scope", "--audience", "--resource", "--authorization-details"),
        *("--subject", "--assertion", "--subject-token-file", "--assertion-file"),
        *("--subject-token-type", "--actor", "--actor-token-file", "--actor-token-type"),
        *("--requested-token-type", "--assertion-subject", "--client-id", "--client-auth"),
        *("--client-key", "--client-cert", "--issuer", "--par", "--dpop", "--request-object"),
    }
)
"""Options of a login, each with a value, that say what is asked for. None of the values is a secret."""
_PREFIXES: Final = frozenset({"auth", "oauth"})
"""Groups of other tools: what stands in them is a command of its own here."""
_UNSAID: Final = frozenset({"--callback-url", "--challenge", "--param", "--set"})
"""Options whose value may be a secret: a line with one of them is not said again."""
_SECRETS: Final = (
    "--client-secret",
    "--client-secret-file",
    "--passphrase",
    "--password",
    "--secret",
)
"""Options that ours or other tools have: what stands behind one that resembles them may be a secret."""
_QUERY: Final = re.compile(r"(?<=[\w/])[?#][^\s'\")]+")  # of an address: a code, a state, a token
_OPAQUE: Final = re.compile(r"(?=[a-zA-Z_~+=-]*\d)[\w~+=-]{20,}")  # as codes and tokens are
_PLAIN: Final = re.compile(r"(?:--[\w-]+=)?[\w@.,:+/-]{1,60}")
_LONGEST: Final = 100  # characters of a line that is said again
_CLIENT: Final = ("provider edit", "--client-id")
_COMMAND: Final = re.compile(r"No such command '(.+)'")
_SURPLUS: Final = re.compile(r"Got unexpected extra arguments? \((\S+)(?: .*)?\)")
_SHOWS: Final = frozenset({"get", "list", "ls", "show"})
"""Words that ask for several of a kind, if the kind stands in the plural behind."""


class WrongUsage(StayfastError):
    """The command was called wrongly."""

    code = "USAGE"
    exit_code = 2


def wrong_usage(error: click.UsageError, arguments: Sequence[str]) -> WrongUsage:
    """``error`` of click in our words, with the line that was probably meant, else the page of help.

    Args:
        error: What click found.
        arguments: What was typed after the name of the program.
    """
    context = error.ctx
    path = context.command_path if context else "stayfast"
    page = f"{path} --help"
    meant: str | None = None
    message = " ".join(error.format_message().split()).rstrip(".")
    surplus = _SURPLUS.match(message)
    unknown = _COMMAND.match(message)
    if unknown and context and isinstance(context.command, click.Group):
        word = str(getattr(error, "command_name", unknown[1]))
        message = f"there is no command {word[:40]!r}"
        meant = _with_command(word, arguments, context)
    elif isinstance(error, click.NoSuchOption):
        message = f"there is no option {error.option_name[:40]!r} of {path}"
        meant = _with_option(error.option_name, arguments, context)
    elif isinstance(error, click.MissingParameter) and error.param is not None:
        names = ", ".join(_choices(error))
        named = error.param.metavar or (error.param.human_readable_name if not names else "")
        message = f"{_argument(error.param, named)} is missing" + (
            f": one of {names}" if names else ""
        )
    elif isinstance(error, click.BadParameter) and (choices := _choices(error)):
        typed = next((one for one in _values(arguments) if _is_about(error, one)), "")
        said = f"{typed[:40]!r}" if typed else error.message.partition(" is not ")[0]
        message = (
            f"the option {error.param.opts[-1]} takes no {said}"
            if isinstance(error.param, click.Option)
            else f"there is no {error.param.name if error.param else 'value'} {said}"
        ) + f"; one of {', '.join(choices)}"
        meant = _with_choice(typed, choices, arguments)
    else:
        message = message[:1].lower() + message[1:]
        if surplus and context and context.parent is not None and context.parent.parent is None:
            name = context.info_name or ""
            meant = _in_right_order(name, arguments, context.parent, before=surplus[1])
    return WrongUsage(_without_secrets(message), hint=meant or page)


def _choices(error: click.BadParameter) -> list[str]:
    """The values that there are, where they can be listed."""
    kind: Any = error.param.type if error.param is not None else None
    return [str(one) for one in getattr(kind, "choices", ())]


def _values(arguments: Sequence[str]) -> Iterable[str]:
    """What was typed as a value: a word, and what stands behind the ``=`` of an option."""
    for word in arguments:
        yield word.partition("=")[2] if word.startswith("--") and "=" in word else word


def _is_about(error: click.BadParameter, value: str) -> bool:
    return error.message.startswith(f"{value!r} is not ")


def _with_choice(typed: str, choices: Sequence[str], arguments: Sequence[str]) -> str | None:
    """The line with the value that was meant by ``typed``."""
    similar = get_close_matches(typed.lower(), choices, n=1) if typed else []
    if not similar:
        return None
    word = next(one for one in arguments if one == typed or one.endswith(f"={typed}"))
    return _said_again(arguments, word, f"{word.removesuffix(typed)}{similar[0]}")


def _without_secrets(message: str) -> str:
    """``message`` without what may be a code or a token among the words that were typed."""
    return _OPAQUE.sub("(hidden)", _QUERY.sub("?(hidden)", message))


def _argument(param: click.Parameter, named: str) -> str:
    if isinstance(param, click.Option):
        return f"the option {param.opts[-1]}"
    return f"the argument {named.strip('[]{}').removesuffix('...') or param.name}"


def right_name(error: StayfastError, arguments: Sequence[str]) -> StayfastError:
    """``error``, whose hint is the whole line where it names a provider that was probably meant."""
    hint = error.hint
    if not isinstance(hint, Hint) or hint.action or not hint.provider:
        return error
    # the nearest word: `git` in `setup git --provider gihub` resembles `github`, too
    words = {word.lower(): word for word in arguments if not word.startswith("-")}
    nearest = get_close_matches(hint.provider, list(words), n=1)
    line = _said_again(arguments, words[nearest[0]], hint.provider) if nearest else None
    if line is not None:
        error.hint = hint.worded(line)
    return error


def same_login(error: StayfastError, arguments: Sequence[str]) -> StayfastError:
    """``error`` of a login that failed; its hint asks for the same again, as it was asked for.

    Without its grant, scopes or resources the line would be that of another login.
    """
    hint = error.hint
    if not isinstance(hint, Hint) or hint.action != "login" or "login" not in arguments:
        return error
    refused = isinstance(error, ConfigInvalid | ConfigMissing) and "--grant" not in hint.options
    if refused or hint.provider not in arguments:
        return error
    there = {one.partition("=")[0] for one in hint.options}
    if hint.account is not None:
        there.add("--account")
    kept: list[str] = []
    for number, word in enumerate(arguments):
        name, equals, _ = word.partition("=")
        if name in _WISHES and name not in there:
            kept += [word] if equals else arguments[number : number + 2]
    error.hint = Hint("login", hint.provider, *hint.options, *kept, account=hint.account)
    return error


def right_client(error: StayfastError, arguments: Sequence[str]) -> StayfastError:
    """``error`` of a client that is not known; its hint corrects the id where it was taken from.

    That is the option of this login, or the variable, before the user's file.
    """
    hint = error.hint
    if (
        not isinstance(hint, Hint)
        or (hint.action, *hint.options[:1]) != _CLIENT
        or not hint.provider
    ):
        return error
    from ...engine.oauth.authorization_request import client_variable  # noqa: PLC0415  for this mistake alone

    variable = client_variable(hint.provider)
    if any(word.partition("=")[0] == "--client-id" for word in arguments) and "login" in arguments:
        error.hint = Hint("login", hint.provider, "--client-id", "ID")
    elif os.environ.get(variable, "").strip():
        error.hint = Hint.note(f"export {variable}=ID")
    return error


def _with_command(word: str, arguments: Sequence[str], context: click.Context) -> str | None:
    """The line with the command that was meant by ``word``."""
    group = context.command
    known = list(group.commands) if isinstance(group, click.Group) else []
    at_root = context.parent is None
    if at_root and (line := _in_right_order(word, arguments, context)):
        return line
    if at_root and word in _PREFIXES:
        place = arguments.index(word) if word in arguments else len(arguments)
        after = arguments[place + 1 : place + 2]
        if after and (after[0] in known or after[0] in _COMMANDS):
            return _said_again(arguments, f"{word} {after[0]}", _COMMANDS.get(after[0], after[0]))
    other = _COMMANDS.get(word.lower()) if at_root else None
    if other is None:
        other = next(iter(get_close_matches(word.lower(), known, n=1)), None)
    if other is None:
        return None
    alone = other if other.startswith("-") else f"{other} --help"
    return _said_again(arguments, word, other) or f"{context.command_path} {alone}"


def _in_right_order(
    word: str, arguments: Sequence[str], context: click.Context, before: str | None = None
) -> str | None:
    """The line in which the command stands first, and in its group: ``login acme``, ``provider show``.

    Args:
        word: Stands where a command was looked for: a provider, a command of a group, or a command
            that takes none of what stands behind it.
        arguments: The line.
        context: Of the whole command.
        before: Only if this word stands behind it.
    """
    after: Sequence[str] = arguments[arguments.index(word) + 1 :] if word in arguments else ()
    behind = after[0] if after and not after[0].startswith("-") else None
    if word not in arguments or (before is not None and behind != before):
        return None
    root = _below(context.command, context)
    pair = f"{word} {behind}"
    if behind is not None and (right := _of_group(word, behind, root, context)):
        return _said_again(arguments, pair, right)
    if word in root or word.lower() in {*_COMMANDS, *_PREFIXES}:
        return None
    if right := _in_group(word, root, context, alone=behind is None):
        return _said_again(arguments, word, right)
    right = _behind_command(word, behind, root) if behind is not None else None
    return _said_again(arguments, pair, right) if right else None


def _of_group(
    word: str, behind: str, root: Mapping[str, click.Command], context: click.Context
) -> str | None:
    """The words for ``show provider acme`` and ``list providers``, whose group stands behind."""
    group = behind if behind in root else behind.removesuffix("s")
    below = _below(root.get(group), context)
    name = "list" if group != behind and word in _SHOWS and "list" in below else word
    return f"{group} {name}" if name in below else None


def _in_group(
    word: str, root: Mapping[str, click.Command], context: click.Context, *, alone: bool
) -> str | None:
    """The words for ``show acme`` and ``rekey``, whose group is missing."""
    groups = [
        (_takes_word(below[word]) is alone, name)
        for name, one in root.items()
        if word in (below := _below(one, context))
    ]
    return f"{min(groups)[1]} {word}" if groups else None


def _behind_command(word: str, behind: str, root: Mapping[str, click.Command]) -> str | None:
    """The words for ``acme login``, whose provider stands before the command."""
    command = _COMMANDS.get(behind, behind)
    similar = get_close_matches(word.lower(), list(root), n=1)
    if command not in root or not _takes_provider(root[command]):
        return None
    return f"{command} {word}" if not similar or _is_provider(word) else None


def _below(command: click.Command | None, context: click.Context) -> dict[str, click.Command]:
    """The commands of a group by their names; none of a command that is no group."""
    if not isinstance(command, click.Group):
        return {}
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: one for name, one in found.items() if one is not None}


def _takes_word(command: click.Command) -> bool:
    return any(isinstance(one, click.Argument) for one in command.params)


def _takes_provider(command: click.Command) -> bool:
    return any(isinstance(one, click.Argument) and one.name == "provider" for one in command.params)


def _is_provider(word: str) -> bool:
    """Whether ``word`` is a provider, as far as its files can be read."""
    from .app import App  # noqa: PLC0415  for a mistake alone

    with suppress(StayfastError, OSError):
        return word in App().catalogue().names()
    return False


def _with_option(word: str, arguments: Sequence[str], context: click.Context | None) -> str | None:
    """The line with the option that was meant by ``word``."""
    if context is None:
        return None
    known = [name for param in context.command.params for name in param.opts]
    other = _OPTIONS.get(word)
    if other is not None and other.split()[0] in known:
        return _said_again(arguments, word, other)
    if other is not None and context.parent is None:  # the option of a login, without the word
        return f"stayfast login {other}"
    if context.parent is None and (line := _with_option_of_command(word, arguments, context)):
        return line
    similar = get_close_matches(word, [one for one in known if one.startswith("--")], n=1)
    return _said_again(arguments, word, similar[0]) if similar else None


def _with_option_of_command(
    word: str, arguments: Sequence[str], context: click.Context
) -> str | None:
    """The line in which the option that ``word`` means stands behind its command, not before it."""
    place = next((n for n, one in enumerate(arguments) if one.partition("=")[0] == word), None)
    if place is None:
        return None
    command, path = context.command, [place]
    for number in range(place + 1, len(arguments)):
        group = command if isinstance(command, click.Group) else None
        below = group.get_command(context, arguments[number]) if group else None
        if below is not None:
            command = below
            path.append(number)
    options = {name: one for one in command.params for name in one.opts if name.startswith("--")}
    similar = get_close_matches(word, [*options], n=1)
    if len(path) == 1 or not similar:
        return None
    alone = "=" in arguments[place] or getattr(options[similar[0]], "is_flag", False)
    end = place + (1 if alone else 2)
    if path[1] < end:  # its value is missing, and the command would be taken for it
        return None
    moved = [similar[0] + arguments[place][len(word) :], *arguments[place + 1 : end]]
    behind = path[-1] + 1
    line = [*arguments[:place], *arguments[end:behind], *moved, *arguments[behind:]]
    return _said_again(line, word, word)


def _said_again(arguments: Sequence[str], wrong: str, right: str) -> str | None:
    """``arguments`` as a line, ``right`` in place of ``wrong``; ``None`` where it must not be said."""
    words = _replaced(list(arguments), wrong.split(), right.split())
    plain = all(map(may_be_said, words))
    options = [one for one in (wrong, right) if one.startswith("-")]
    secret = any(get_close_matches(one, _SECRETS, n=1, cutoff=0.7) for one in options) or any(
        word.partition("=")[0] in _UNSAID for word in words
    )
    line = " ".join(["stayfast", *words])
    return line if plain and not secret and len(line) <= _LONGEST else None


def may_be_said(word: str) -> bool:
    """Whether ``word`` is no code or token by its looks, and needs no quotes."""
    return _PLAIN.fullmatch(word) is not None and _OPAQUE.search(word) is None


def _replaced(words: list[str], wrong: list[str], right: list[str]) -> list[str]:
    """``words`` with ``right`` where ``wrong`` stands first; a value after ``=`` stays."""
    for place in range(len(words) - len(wrong) + 1):
        if words[place : place + len(wrong)] == wrong:
            return [*words[:place], *right, *words[place + len(wrong) :]]
        name, equals, value = words[place].partition("=")
        if equals and [name] == wrong and len(right) == 1:
            return [*words[:place], f"{right[0]}={value}", *words[place + 1 :]]
    return [*words]
