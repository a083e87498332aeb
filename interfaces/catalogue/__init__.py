"""The providers: those that are shipped, those that a program adds, and the user's own over both.

What makes a provider of an entry is loaded when it is asked for: a list of providers reads the index alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entry import About, Entry, Template, entry, entry_names, index

if TYPE_CHECKING:
    from .lookup import Catalogue, require_providers
    from .shipped import OAUTH_PROVIDERS, SHIPPED, Providers, made_provider

__all__ = [
    "OAUTH_PROVIDERS",
    "SHIPPED",
    "About",
    "Catalogue",
    "Entry",
    "Providers",
    "Template",
    "entry",
    "entry_names",
    "index",
    "made_provider",
    "require_providers",
]

_HOMES = {
    "OAUTH_PROVIDERS": "shipped",
    "SHIPPED": "shipped",
    "Catalogue": "lookup",
    "Providers": "shipped",
    "made_provider": "shipped",
    "require_providers": "lookup",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415  for those who look one up

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
