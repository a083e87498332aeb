"""The providers: those that are shipped, those that a program adds, and the user's own over both."""

from .entry import About, Entry, Template, entry, entry_names, index
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
