"""Programs that PyInstaller freezes: it finds the hook beside this by the entry point ``hook-dirs``."""

from __future__ import annotations

import os


def hook_dirs() -> list[str]:
    """The folder of the hooks, which PyInstaller runs while it builds a program that imports us."""
    return [os.path.dirname(__file__)]
