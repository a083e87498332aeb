"""``docs/providers.md``: every provider of the catalogue in a table, made from its entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...catalogue import About, Entry, entry, entry_names
from ...settings_files import FILE_NAME
from ..provider_choice import group_order

_HEAD: Final = f"""# Providers

This page is made from the catalogue (`interfaces/catalogue/entries`) by `make docs-tables`; a test holds it up to date.

`stayfast provider add NAME` adds one: it asks for what is in braces, says where a client is registered and with which
redirect address, and writes your `{FILE_NAME}`. A provider that is not here needs no entry, if it publishes metadata:
`stayfast provider add NAME --issuer https://…`.

- **signs in by**: the transports that bring a login to its end. *device* shows a code for another device, *manual* takes
  the address that the browser ends on, or the code that its page shows.
- **secret**: whether the client needs one. *not by device*: it does, but for the device flow.
- **refresh**: what is known of refresh tokens: whether a refresh brings a new one, and how long one lives.
- **source** and **checked on**: where the facts were read, and when. No live server was asked for an entry. What others
  only reported has its own column.
"""
_SECRETS: Final = {
    "never": "none",
    "always": "yes",
    "optional": "possible",
    "loopback": "not by device",
}
_ROTATES: Final = {
    "yes": "a new one each time",
    "no": "stays the same",
    "optional": "a new one, if switched on",
}
_DAY: Final = 86400


def providers_page() -> str:
    """The page, with a table for each group, and the providers that nobody can sign in to."""
    entries = [entry(name) for name in entry_names()]
    possible = [one for one in entries if not one.about.impossible]
    groups = sorted({one.about.group for one in possible}, key=group_order)
    parts = [_HEAD]
    for group in groups:
        rows = (_row(one) for one in possible if one.about.group == group)
        parts.append(f"## {group.capitalize()}\n\n{_table(_COLUMNS, rows)}")
    others = [one for one in entries if one.about.impossible]
    if others:
        rows = (
            [f"`{one.name}`", one.title, one.about.impossible, _source(one.about)] for one in others
        )
        title = "## Not from a command line"
        parts.append(f"{title}\n\n{_table(('name', 'provider', 'why', 'source'), rows)}")
    return "\n".join(parts)


_COLUMNS: Final = (
    *("name", "provider", "asks for", "signs in by", "secret", "refresh"),
    *("source", "checked on", "only reported"),
)


def _row(one: Entry) -> list[str]:
    about = one.about
    return [
        f"`{one.name}`",
        one.title,
        ", ".join(f"`{{{name}}}`" for name in one.templates),
        ", ".join(about.ways),
        _SECRETS.get(about.secret, about.secret),
        _refresh(one),
        about.source,
        about.checked.isoformat() if about.checked else "",
        about.reported,
    ]


def _refresh(one: Entry) -> str:
    """What is known of the refresh tokens of an entry."""
    parts = [_ROTATES.get(str(one.settings.get("refresh_rotates", "")), "")]
    lifetime = one.settings.get("refresh_lifetime")
    if isinstance(lifetime, int | float):
        slides = " from the last use" if one.settings.get("refresh_lifetime_slides") else ""
        parts.append(f"{lifetime / _DAY:g} days{slides}")
    return "; ".join(part for part in parts if part)


def _source(about: About) -> str:
    date = f", {about.checked.isoformat()}" if about.checked else ""
    return f"{about.source}{date}"


def _table(columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    names = [*columns]
    lines = [names, ["---"] * len(names), *([_cell(one) for one in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
