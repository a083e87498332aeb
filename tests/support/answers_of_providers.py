"""The documented dialects of providers, in the folder ``tests/catalogue/answers``."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from stayfast.testing.dialects import Dialect

FOLDER = Path(__file__).parents[1] / "catalogue" / "answers"


@cache
def covered() -> dict[str, tuple[str, dict[str, str]]]:
    """By the name of an entry: the text of its dialect, and what its blanks are."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        text = path.read_text("utf-8")
        for name, values in tomllib.loads(text)["covers"].items():
            assert name not in found, f"{path.name} is not the only one for {name}"
            found[name] = text, values
    return found


@cache
def documented(name: str) -> Dialect:
    """What the provider of the entry ``name`` documents."""
    text, values = covered()[name]
    for blank, value in values.items():
        text = text.replace(f"<{blank}>", value)
    return Dialect.read(text)
