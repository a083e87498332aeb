"""The group's line for a hint, while another command of the same program runs.

``acme deploy`` finds nobody signed in. The user needs ``acme auth login``, whichever group of the
program has that command. So the commands of the running program are searched for ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...engine.hints import Hint
    from .actions import Actions

_DEEPEST = 5  # groups within groups that are searched


def line_elsewhere(
    actions: Actions, hint: Hint, context: Any, is_ours: Callable[[Any], bool]
) -> str | None:
    """The line; ``None`` if no command of ours is part of the program, or does what ``hint`` says.

    Args:
        actions: The group's.
        hint: What to do.
        context: The running command's context of click, or of what typer has of it; or ``None``.
        is_ours: Whether a group of the program is the one with our commands.
    """
    root = context.find_root() if context is not None else None
    if root is None:
        return None
    path = _path(root.command, is_ours, _DEEPEST)
    return None if path is None else actions.line(" ".join([root.command_path, *path]), hint)


def _path(group: Any, is_ours: Callable[[Any], bool], deep: int) -> list[str] | None:
    """The names that lead from ``group`` to our group; empty if it is ours."""
    if is_ours(group):
        return []
    inner: dict[str, Any] = getattr(group, "commands", {}) if deep else {}
    for name, command in inner.items():
        path = _path(command, is_ours, deep - 1)
        if path is not None:
            return [name, *path]
    return None
