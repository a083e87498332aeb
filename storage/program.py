"""The environment as one program sees it: its own settings, and nobody else's.

The parts of this library read their settings from variables that begin with ``STAYFAST_``. Those are
the command's. A program with a name of its own has variables of its own: where it is called
``acme``, ``ACME_STORE`` stands for ``STAYFAST_STORE``, and a real ``STAYFAST_STORE`` is not seen. All
other variables are those of the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ..engine.errors import ConfigInvalid
from .paths import THE_COMMAND

COMMANDS_PREFIX: Final = "STAYFAST_"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?\Z")


def prefix_of(program: str) -> str:
    """What the variables of ``program`` begin with: ``MY_APP_`` for ``my-app``."""
    return re.sub(r"[^A-Z0-9]", "_", program.upper()) + "_"


def require_name(program: str) -> None:
    """Make sure that ``program`` can name directories, variables and a keyring's item.

    Raises:
        ConfigInvalid: It has other characters than letters, digits, dots and dashes of ASCII, or its
            variables would be those of the command.
    """
    if not _NAME.match(program):
        raise ConfigInvalid(
            f"{program[:40]!r} cannot be the name of a program",
            hint="use letters, digits, dots and dashes",
        )
    if program != THE_COMMAND and prefix_of(program) == COMMANDS_PREFIX:
        raise ConfigInvalid(f"{program!r} is the command's name", hint="choose another name")


class ProgramEnviron(Mapping[str, str]):
    """The environment of a program that is not the command; it follows ``base`` as that changes.

    Attributes:
        program: The program's name.
    """

    def __init__(self, program: str, base: Mapping[str, str]) -> None:
        """See ``base`` as ``program`` does."""
        self.program = program
        self._base = base
        self._prefix = prefix_of(program)

    def __getitem__(self, name: str) -> str:
        if name.startswith(COMMANDS_PREFIX):
            return self._base[self._prefix + name.removeprefix(COMMANDS_PREFIX)]
        return self._base[name]

    def __iter__(self) -> Iterator[str]:
        for name in self._base:
            if not name.startswith(COMMANDS_PREFIX):
                yield name
            if name.startswith(self._prefix):
                yield COMMANDS_PREFIX + name.removeprefix(self._prefix)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<the environment of {self.program}>"  # values may be secrets
