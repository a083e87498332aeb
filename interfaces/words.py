"""What a program says to its user where the command would name a line of its own.

The command shows ``stayfast login acme --account work``. In a program that embeds this library such
a line may not work at all: the command knows neither the program's providers nor its storage. So the
program says what is to be done, and :class:`~stayfast.engine.hints.Hint` keeps the data for one that
shows a button instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from ..storage.paths import THE_COMMAND
from ..storage.program import COMMANDS_PREFIX, prefix_of

if TYPE_CHECKING:
    from ..engine.errors import StayfastError
    from ..engine.hints import Hint

Advice: TypeAlias = Callable[["Hint"], str | None]
"""A program's own words for a hint; ``None`` leaves those of :class:`Words`."""


def _sign_in(hint: Hint) -> str:
    way = {
        "device": ", with a code on another device",
        "loopback": ", with a browser on this computer",
    }
    if "--with-token" in hint.options:
        return f"sign out of{_where(hint, ' ')}, or import with replace=True"
    if "--challenge" in hint.options:
        return f"sign in{_where(hint, ' to ')} again, as the API asks"
    via = hint.options[hint.options.index("--via") + 1] if "--via" in hint.options else ""
    return f"sign in{_where(hint, ' to ')}{way.get(via, '')}"


def _settings(hint: Hint) -> str:
    named = [word[2:].replace("-", "_") for word in hint.options if word.startswith("--")]
    what = f"{' and '.join(named)} in " if named else ""
    return f"correct {what}the settings of{_where(hint, ' provider ') or ' the provider'}"


def _where(hint: Hint, before: str) -> str:
    account = f" as {hint.account}" if hint.account else ""
    return f"{before}{hint.provider}{account}" if hint.provider else ""


_OPERATOR: Final = "ask whoever operates this program to"
_HELP: Final = f"{_OPERATOR} look into this"
_REPAIR: Final = f"{_OPERATOR} repair the place where its logins are kept"
_CHECK: Final = f"{_OPERATOR} check its audit log"

_SENTENCES: Final[Mapping[str, Callable[[Hint], str] | str]] = {
    "login": _sign_in,
    "mcp auth": _sign_in,
    "refresh": lambda hint: f"refresh the tokens of{_where(hint, ' ')}",
    "logout": lambda hint: f"sign out of{_where(hint, ' ')}",
    "cancel": lambda hint: f"give login {hint.login} up" if hint.login else "give the login up",
    "resume": lambda hint: f"go on with login {hint.login}" if hint.login else "try again",
    "status": lambda hint: f"look at the logins{_where(hint, ' at ')}",
    "status --show-answer": lambda hint: f"look at the answer that is kept with login {hint.login}",
    "list": "look at the logins",
    "account list": lambda hint: f"look at the accounts{_where(hint, ' at ')}",
    "account use": "name the account in the call",
    "token": "use request_headers() or an auth object, which sign each request",
    "exec": "hand the token to the other program in its environment",
    "provider edit": _settings,
    "provider show": _settings,
    "provider add": "correct the settings of the provider",
    "provider list": "use one of the providers that the program knows",
    "client-metadata": "publish the document that describes the program as a client",
    "login --help": "correct the arguments of this call",
    "help providers": "correct the settings of the provider",
    "help transports": "use one of the transports auto, loopback, manual and device",
    "help environment": "correct the settings in the environment",
    "help storage": "look at the place where the logins are kept",
    "help credentials": "correct what the other program asks for",
    "help": "look into the documentation of this program",
    "--help": "look into the documentation of this program",
    "store info": "look at the place where the logins are kept",
    "store mend": _REPAIR,
    "store purge": f"{_OPERATOR} remove the logins that are over",
    "store rekey": f"{_OPERATOR} seal its logins with another key",
    "audit checkpoint": _CHECK,
    "audit forward-secure": _CHECK,
    "audit report": _CHECK,
    "audit set-aside": _CHECK,
    "audit show": _CHECK,
    "audit verify": _CHECK,
    "demo": _HELP,
    "diagram": "draw the machine with stayfast.diagrams",
    "setup": "set the other program up to ask this one",
}
"""By the action of a hint, or the beginning of one. The command's lines are in none of them."""
_ARGUMENT: Final = re.compile(r"--(via|account|issuer|scope|client-id|redirect-uri)[ =]([^\s,;)]+)")
"""An option of the command in a note. A program gives the same as an argument of a call."""
_EXTRA: Final = re.compile(r"in a clone of Stayfast: \S+ \S+ '\.\[([\w-]+)\]'")  # an install line
_NEWER: Final = "in a newer clone of Stayfast: pip install ."


class Words:
    """Hints and messages in the words of one program.

    Attributes:
        commands: What the program's group of commands says, if it has one; after its own words.
    """

    def __init__(
        self,
        program: str,
        *,
        advice: Advice | None = None,
        command_can: Callable[[Hint], bool] = lambda _: False,
    ) -> None:
        """The words of ``program``.

        Args:
            program: Its name.
            advice: Its own words, which come first.
            command_can: Whether the command can do what a hint says, in the same storage and with
                the same providers. Then its line is right.
        """
        self.commands: Advice | None = None
        self._program = program
        self._advice = advice
        self._command_can = command_can

    def hint(self, hint: Hint) -> Hint:
        """``hint`` as this program says it."""
        for advice in (self._advice, self.commands):
            own = advice(hint) if advice is not None else None
            if own is not None:
                return hint.worded(own)
        if not hint.action:
            return hint.worded(self._note(hint))
        if self._program == THE_COMMAND and self._command_can(hint):
            return hint
        sentence = _SENTENCES.get(hint.action) or _SENTENCES.get(hint.action.split()[0], _HELP)
        return hint.worded(sentence if isinstance(sentence, str) else sentence(hint))

    def put_into(self, error: StayfastError) -> None:
        """Let ``error`` speak in the words of this program."""
        if error.hint is not None:
            error.hint = self.hint(error.hint)
        message = self._variables(error.message)
        if message != error.message:
            error.message = message
            error.args = (message, *error.args[1:])
        if error.why is not None:
            error.why = self._variables(error.why)

    def _note(self, text: str) -> str:
        """A note, which may name an option of ours or an install line, for a program's user."""
        if self._program == THE_COMMAND:
            return text
        text = _ARGUMENT.sub(lambda found: f'{found[1].replace("-", "_")}="{found[2]}"', text)
        text = _EXTRA.sub(
            lambda found: f"install {self._program} with the extra {found[1]} of Stayfast", text
        )
        text = text.replace(_NEWER, f"install a newer version of {self._program}")
        return self._variables(text)

    def _variables(self, text: str) -> str:
        """``text``, which may name a variable of ours, with the name that the program's has."""
        if self._program == THE_COMMAND:
            return text
        return text.replace(COMMANDS_PREFIX, prefix_of(self._program))
