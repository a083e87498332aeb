"""One name of a module, lent to an extension that asks for no more, where nobody has loaded that module.

The core of SQLite asks ``functools`` for one class, and the library of the cipher asks ``types`` for one.
To load those modules takes a fifth of the time of an idle Python, and ``stayfast token`` uses nothing
else of them. What is lent is what they would give. Whoever asks for another name gets it from the
module itself, which is then loaded, so a newer release may ask for more.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


class Lent:
    """Inside the block, ``name`` is a module of ``members``; a module that is loaded stays what it is."""

    __slots__ = ("_module", "_name")

    def __init__(self, name: str, **members: object) -> None:
        """Make the module; it is not to be found yet.

        Args:
            name: The module for which it stands.
            members: Its names, as the module would give them.
        """
        self._name = name
        self._module: ModuleType = type(sys)(name)
        vars(self._module).update(members, __getattr__=self._member)

    def _member(self, member: str) -> object:
        """What else is asked for (PEP 562): the module itself gives it."""
        self._take_back()
        return getattr(__import__(self._name), member)

    def __enter__(self) -> None:
        """Lend it."""
        sys.modules.setdefault(self._name, self._module)

    def __exit__(self, *problem: object) -> None:
        """Take it back: whoever asks for the module from now on gets the whole of it."""
        self._take_back()

    def _take_back(self) -> None:
        if sys.modules.get(self._name) is self._module:
            del sys.modules[self._name]
