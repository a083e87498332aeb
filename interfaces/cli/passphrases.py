"""Every question for a passphrase: the one of a vault that is there, and a new one.

Each is asked three times at most, as by ssh and GnuPG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from ...engine.errors import ConfigInvalid, StayfastError
from ...engine.hints import Hint
from ...storage.keys.slots import AskedPassphrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .terminal.tty import Terminal

_SHORT: Final = 16  # characters of a passphrase below which it is worth a word
_TRIES: Final = 3


def passphrase_of(
    terminal: Terminal, environ: Mapping[str, str], question: str
) -> AskedPassphrase | None:
    """The passphrase of a vault, which is asked for by ``question``.

    Returns:
        ``None`` if nobody is asked: STAYFAST_PASSPHRASE has it, or nobody is at a terminal.
    """
    if environ.get("STAYFAST_PASSPHRASE") or not terminal.interactive:
        return None

    def ask(again: bool) -> str | None:  # noqa: FBT001  called by the storage, by position
        if again:
            terminal.say("that is not the passphrase of this vault", mark="warn")
        try:
            return terminal.ask(question, hidden=True)
        except click.Abort:
            return None

    return AskedPassphrase(ask)


def new_passphrase(terminal: Terminal, environ: Mapping[str, str]) -> str:
    """The passphrase for a new key: the variable, or else what is typed twice.

    Raises:
        ConfigInvalid: There is none, and nobody can be asked.
        StayfastError: It was not typed, or not twice the same.
    """
    given = environ.get("STAYFAST_NEW_PASSPHRASE")
    if given:
        return given
    if not terminal.interactive:
        raise ConfigInvalid("there is no new passphrase", hint="export STAYFAST_NEW_PASSPHRASE=…")
    entered = _typed_twice(terminal)
    if len(entered) < _SHORT:
        terminal.say(
            "a short passphrase can be guessed by whoever has a copy of the vault; "
            "four or five random words cannot",
            mark="warn",
        )
    return entered


def _typed_twice(terminal: Terminal) -> str:
    hint = Hint("store rekey", None, "--to", "passphrase")
    try:
        for _ in range(_TRIES):
            entered = terminal.ask("New passphrase", hidden=True)
            if terminal.ask("The same again", hidden=True) == entered:
                return entered
            terminal.say("the two passphrases differ", mark="warn")
    except click.Abort as error:
        raise StayfastError("nothing was changed", hint=hint) from error
    raise StayfastError(
        "the new passphrase was not typed twice the same; nothing was changed", hint=hint
    )
