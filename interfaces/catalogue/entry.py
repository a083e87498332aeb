"""The entries of the catalogue: one file a provider or a family of them, in the folder ``entries``.

A file holds tables, one a provider, by its name: its settings, and three tables of ours. ``about`` says how
a client is registered and where the facts come from. ``template`` makes the entry a *kind*: an address in
it has a blank, ``{domain}``, that the user fills in once. ``like = "NAME"`` takes over what another entry of
the same file says.

``index.json`` says which file has which name, so that one file is read for one provider, and none for a
list of them. ``make docs-tables`` writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pkgutil import get_data
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Required, TypedDict, cast

from ...engine.errors import ConfigInvalid, ConfigMissing
from ...engine.hints import Hint
from ..settings_files import parse_toml

if TYPE_CHECKING:
    from datetime import date

INDEX: Final = "index.json"
_FOLDER: Final = "entries"
_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"
"""What a blank takes where its entry says no pattern: a host, perhaps with a port."""
_LONGEST: Final = 253
_UNSAFE: Final = frozenset("\\?#@{}<>\"'`|^%")
"""What would end the part of an address that the value stands in."""
_TABLES: Final = frozenset({"about", "template", "like"})


class IndexLine(TypedDict, total=False):
    """What the index says of one entry.

    Attributes:
        file: The file it stands in, without its ending.
        title: What a person reads.
        group: What it is listed under.
        issuer: Its issuer, of an entry without a blank.
        asks: The blanks to fill in, of a kind.
        impossible: Why nobody can sign in to it from a command line.
    """

    file: Required[str]
    title: Required[str]
    group: Required[str]
    issuer: str
    asks: list[str]
    impossible: str


class About(NamedTuple):
    """What a person wants to know about an entry.

    Attributes:
        group: What it is listed under.
        ways: The transports that bring a login to its end.
        secret: Whether the client needs a secret: ``never``, ``always``, ``optional``, or ``loopback``
            where the device flow takes none.
        register_how: How a client is registered on the page ``setup_url``; one sentence.
        source: The documents or the code that the facts were read in.
        checked: When.
        reported: What was reported by others, and read in no document.
        notes: What else is good to know.
        impossible: Why nobody can sign in from a command line.
    """

    group: str = "other"
    ways: tuple[str, ...] = ()
    secret: str = "optional"
    register_how: str = ""
    source: str = ""
    checked: date | None = None
    reported: str = ""
    notes: str = ""
    impossible: str = ""


class Template(NamedTuple):
    """One blank of a kind.

    Attributes:
        name: What stands between the braces.
        question: What is asked for, as in "your Okta domain".
        example: A value as it might be.
        pattern: The regular expression that the whole value matches.
        default: What is taken if the user says nothing.
    """

    name: str
    question: str
    example: str = ""
    pattern: str = _HOST
    default: str = ""

    def checked(self, value: str) -> str:
        """``value`` as it stands in an address.

        A whole address that was pasted is taken for the host it begins with.

        Raises:
            ConfigInvalid: It is not such a value.
        """
        bare = value.strip() or self.default
        kept = bare if self._fits(bare) else bare.removeprefix("https://").rstrip("/")
        if not self._fits(kept):
            example = f", such as {self.example}" if self.example else ""
            raise ConfigInvalid(
                f"{self.name} cannot be {value.strip()[:60]!r}",
                hint=Hint.note(f"give {self.question}{example}"),
            )
        return kept

    def _fits(self, value: str) -> bool:
        plain = value.isascii() and value.isprintable() and " " not in value
        short = 0 < len(value) <= _LONGEST
        return plain and short and not _UNSAFE & set(value) and self._matches(value)

    def _matches(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None


class Entry(NamedTuple):
    """One provider of the catalogue, or one kind of them.

    Attributes:
        name: Its name.
        settings: The settings of the provider, with their blanks.
        about: What a person wants to know.
        templates: The blanks, by name, in the order in which they are asked for.
    """

    name: str
    settings: Mapping[str, Any]
    about: About
    templates: Mapping[str, Template]

    @property
    def title(self) -> str:
        """What a person reads."""
        return str(self.settings.get("display_name") or self.name)

    def filled(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The settings with ``values`` in their blanks.

        Raises:
            ConfigMissing: A value is missing.
            ConfigInvalid: A value does not fit, or there is no such blank.
        """
        self.require_blanks(values)
        absent = [
            one
            for one in self.templates.values()
            if not values.get(one.name, "").strip() and not one.default
        ]
        if absent:
            raise ConfigMissing(
                f"{self.title} needs {' and '.join(f'{one.name} ({one.question})' for one in absent)}",
                hint=self.how_to_add({**{one.name: one.example for one in absent}, **values}),
            )
        kept = self.checked(values)
        return {name: _filled(value, kept) for name, value in self.settings.items()}

    def checked(self, values: Mapping[str, str]) -> dict[str, str]:
        """The value of every blank as it stands in an address.

        Raises:
            ConfigInvalid: One does not fit.
        """
        return {
            name: template.checked(values.get(name, ""))
            for name, template in self.templates.items()
        }

    def require_blanks(self, values: Mapping[str, str]) -> None:
        """Make sure that there is a blank for each of the ``values``.

        Raises:
            ConfigInvalid: There is none.
        """
        for name in values:
            if name not in self.templates:
                example = next(iter(self.templates.values()), None)
                shown = f"--set {example.name}={example.example}" if example else "leave out --set"
                raise ConfigInvalid(f"{self.title} has no {name[:40]!r} to set", hint=shown)

    def how_to_add(self, values: Mapping[str, str], *further: str, name: str | None = None) -> Hint:
        """The command that adds this as ``name`` with ``values`` in its blanks; an empty one is left open."""
        named = [] if name in {None, self.name} else [str(name)]
        blanks = [word for key, one in values.items() for word in ("--set", f"{key}={one or '…'}")]
        return Hint("provider add", self.name, *named, *blanks, *further)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """``value`` with every blank in it filled in, however deep it stands."""
    if isinstance(value, str):
        for name, one in values.items():
            value = value.replace(f"{{{name}}}", one)
        return value
    if isinstance(value, list):
        return [_filled(one, values) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return {name: _filled(one, values) for name, one in pairs.items()}
    return value


def _read_file(name: str) -> bytes:
    # the package may lie in a zip file, or a frozen program; importlib.resources would load zipfile for it
    return get_data(__package__ or __name__, name) or b""


@cache
def index() -> Mapping[str, IndexLine]:
    """What is known of every entry without reading it, by name."""
    found: dict[str, IndexLine] = json.loads(_read_file(INDEX))
    return found


def entry_names() -> list[str]:
    """The names of all entries, in order."""
    return sorted(index())


@cache
def entry(name: str) -> Entry:
    """The entry of that name; one file is read.

    Raises:
        KeyError: There is none.
    """
    return entries_of(index()[name]["file"])[name]


def file_names() -> list[str]:
    """The files of entries, without their ending."""
    from importlib.resources import files  # noqa: PLC0415  to make the index

    found = (one.name for one in files(__package__ or __name__).joinpath(_FOLDER).iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def entries_of(file: str) -> dict[str, Entry]:
    """The entries in one file, by name.

    Raises:
        ConfigInvalid: The file is not as it must be.
    """
    return read_entries(file, parse_toml(_read_file(f"{_FOLDER}/{file}.toml")))


def read_entries(file: str, tables: Mapping[str, Any]) -> dict[str, Entry]:
    """The entries in the ``tables`` of a file.

    Raises:
        ConfigInvalid: A table is not as it must be.
    """
    found: dict[str, Entry] = {}
    for name, table in tables.items():
        try:
            base = found[table["like"]] if "like" in table else None
            found[name] = _read(name, table, base)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigInvalid(
                f"the entry {name} cannot be read ({type(error).__name__}: {error})",
                hint=f"edit {file}.toml",
            ) from error
    return found


def _read(name: str, table: Mapping[str, Any], base: Entry | None) -> Entry:
    settings = dict(base.settings) if base else {}
    settings |= {member: value for member, value in table.items() if member not in _TABLES}
    about = base.about._asdict() if base else {}
    about |= table.get("about", {})
    about["ways"] = tuple(about.get("ways", ()))
    templates = dict(base.templates) if base else {}
    templates |= {
        blank: Template(name=blank, **members)
        for blank, members in table.get("template", {}).items()
    }
    return Entry(name, settings, About(**about), templates)


def made_index() -> str:
    """The index of all entries as text, one line each."""
    lines: dict[str, IndexLine] = {}
    for file in file_names():
        for name, one in entries_of(file).items():
            if name in lines:
                raise ConfigInvalid(f"{file}.toml and {lines[name]['file']}.toml both have {name}")
            lines[name] = _line(file, one)
    rows = (f"  {json.dumps(name)}: {json.dumps(lines[name])}" for name in sorted(lines))
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _line(file: str, one: Entry) -> IndexLine:
    line: IndexLine = {"file": file, "title": one.title, "group": one.about.group}
    if one.templates:
        line["asks"] = [*one.templates]
    elif "issuer" in one.settings:
        line["issuer"] = one.settings["issuer"]
    if one.about.impossible:
        line["impossible"] = one.about.impossible
    return line
