"""Hints: the one thing to do about an error, as data and as a sentence.

An error names what to do: sign in again, go on with this login, correct that setting. Who shows it
decides the words. The command says ``stayfast login acme --account work``. A program that embeds
this has no such command: it says its own words, or shows a button. So a :class:`Hint` is a text with
its data beside it, and :meth:`Hint.worded` gives it another text.

This module is on the path of ``stayfast token``, so it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn, Protocol, Self, TypeVar

    H = TypeVar("H", bound="Hint")

    class Whose(Protocol):
        """A login, or the summary of one."""

        @property
        def provider(self) -> str:
            """The name of its provider."""
            ...

        @property
        def account(self) -> str:
            """The name of its account."""
            ...


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-…")
_DEFAULT_ACCOUNT = "default"


class Hint(str):
    """What to do about an error. ``str()`` of it is the sentence to show.

    Of an error itself, the sentence is a line of the command (``stayfast login acme``) or a note
    (``df -h``). Of a :class:`~stayfast.engine.result.Failure` it is in the words of the program.

    Attributes:
        action: The command's words; empty for a note. A program meets ``login``, ``resume``,
            ``status``, ``list``, ``logout``, ``refresh``, ``provider edit``, ``provider add`` and
            ``provider list``; and of operators' work ``store …``, ``audit …`` and ``help …``. New
            ones may come, so show the text of those that you do not know.
        provider: Which provider.
        account: Which account of it; ``None`` for the usual one.
        login: The id of a login, or the beginning of one.
        options: What else stands in the command's line.
    """

    __slots__ = ("account", "action", "login", "options", "provider")
    action: str
    provider: str | None
    account: str | None
    login: str | None
    options: tuple[str, ...]

    def __new__(
        cls,
        action: str,
        provider: str | None = None,
        *options: str,
        account: str | None = None,
        login: str | None = None,
    ) -> Self:
        """A hint that the command can follow; its text is the command's line."""
        if account == _DEFAULT_ACCOUNT:
            account = None
        words = [*action.split(), *([] if provider is None else [provider])]
        words += [] if login is None else [login]
        words += [] if account is None else _option("--account", account)
        line = " ".join(["stayfast", *map(_quoted, [*words, *options])])
        return _made(cls, line, action, provider, account, login, options)

    @classmethod
    def note(cls, text: str) -> Self:
        """A hint that is not about a command of ours: a setting, another program, a sentence."""
        return _made(cls, text, "", None, None, None, ())

    @classmethod
    def meant(cls, provider: str) -> Self:
        """That ``provider`` was probably meant by a name that nobody has."""
        return _made(cls, f"did you mean {provider}?", "", provider, None, None, ())

    @classmethod
    def sign_in(cls, login: Whose, *options: str) -> Self:
        """To sign in anew where ``login`` stands: the same provider and account."""
        return cls("login", login.provider, *options, account=login.account)

    def worded(self, text: str) -> Self:
        """The same hint in other words."""
        return _made(
            type(self), text, self.action, self.provider, self.account, self.login, self.options
        )

    def members(self) -> dict[str, Any]:
        """The data, for JSON; without what is not there."""
        found = {
            "action": self.action,
            "provider": self.provider,
            "account": self.account,
            "login": self.login,
            "options": list(self.options),
        }
        return {name: value for name, value in found.items() if value}

    @classmethod
    def of_members(cls, text: str, members: Mapping[str, Any]) -> Self:
        """The hint whose data :meth:`members` gave, with the sentence ``text``."""
        given = members.get
        return _made(
            cls,
            text,
            given("action", ""),
            given("provider"),
            given("account"),
            given("login"),
            tuple(given("options", ())),
        )

    def about(self, login: Whose) -> Self:
        """The same for the account of ``login``, if it names the provider of ``login`` alone."""
        asked = self.action in {"login", "refresh", "logout"}
        if not asked or self.account is not None or self.provider != login.provider:
            return self
        return type(self)(
            self.action, self.provider, *self.options, account=login.account, login=self.login
        )

    def of_login(self, login: str | None) -> Self:
        """The same about ``login``, the beginning of an id, if it goes on with a login and names none."""
        if self.action != "resume" or self.login is not None or login is None:
            return self
        return type(self)(
            self.action, self.provider, *self.options, account=self.account, login=login
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = f"a hint does not change: {name}"
        raise AttributeError(msg)

    def __reduce__(self) -> tuple[object, ...]:
        kept = (self.action, self.provider, self.account, self.login, self.options)
        return _made, (type(self), str(self), *kept)


def _made(
    kind: type[H],
    text: str,
    action: str,
    provider: str | None,
    account: str | None,
    login: str | None,
    options: tuple[str, ...],
) -> H:
    hint = str.__new__(kind, text)
    for name, value in (
        ("action", action),
        ("provider", provider),
        ("account", account),
        ("login", login),
        ("options", options),
    ):
        object.__setattr__(hint, name, value)
    return hint


def _option(name: str, value: str) -> list[str]:
    """An option with its value. One that begins with a dash would be read as another option."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _quoted(word: str) -> str:
    """``word`` as one word of a POSIX shell."""
    if word and _PLAIN.issuperset(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
