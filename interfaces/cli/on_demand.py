"""Commands that are loaded when they are first asked for.

Each command imports what it needs, and one call runs one of them: to load all of them took most of
the time of ``stayfast --version``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click

from .completion import complete_values


class CommandsOnDemand(MutableMapping[str, click.Command]):
    """The commands of a group by name, for the ``commands`` of :class:`click.Group`.

    Every command gets a variable for each of its options as it is loaded, and completes values.
    """

    def __init__(self, homes: Mapping[str, tuple[str, str]], *, prefix: str) -> None:
        """Load nothing yet.

        Args:
            homes: Where each command is: a module of this package, a colon, and a name in it. And
                the first sentence of its help; where that is empty, the command is asked.
            prefix: What the variables of all options begin with.
        """
        self._homes = dict(homes)
        self._prefix = prefix
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = self._homes[name][0].partition(":")
            home = import_module(f".{module}", __package__)
            self[name] = getattr(home, attribute)
        return self._loaded[name]

    def about(self, name: str) -> str | None:
        """The first sentence of the help of ``name``, if that is known without loading it."""
        return self._homes[name][1] or None if name in self._homes else None

    def __setitem__(self, name: str, command: click.Command) -> None:
        name_variables(command, variable(self._prefix, name))
        complete_values(command)
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        self._loaded.pop(name, None)
        del self._homes[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._homes, **self._loaded})

    def __len__(self) -> int:
        return len(self._homes.keys() | self._loaded.keys())

    def __contains__(self, name: object) -> bool:  # the inherited one would load the command
        return name in self._homes or name in self._loaded


def name_variables(command: click.Command, prefix: str) -> None:
    """Give every option of ``command``, and of the commands below it, a variable of its long name.

    click would take the names of our parameters, which nobody knows outside this program.
    """
    for option in command.params:
        if isinstance(option, click.Option) and option.expose_value:
            own = variable(prefix, next(name for name in option.opts if name.startswith("--")))
            shared = option.envvar or ()
            more = (shared,) if isinstance(shared, str) else tuple(shared)
            option.envvar = [own, *(name for name in more if name != own)]
    if isinstance(command, click.Group) and not isinstance(command.commands, CommandsOnDemand):
        for name, below in command.commands.items():
            name_variables(below, variable(prefix, name))


def variable(prefix: str, name: str) -> str:
    """The variable of the option or command ``name`` below ``prefix``."""
    return f"{prefix}_{name.strip('-').replace('-', '_').upper()}"
