"""``provider list``, ``show`` and ``check``: what is known of providers, from where, and whether it still holds."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import click

from ....engine.errors import ConfigInvalid, ConfigMissing, ProviderError
from ....engine.hints import Hint
from ....engine.oauth.metadata import discover
from ....engine.oauth.provider import OAuthProvider
from ....engine.oauth.setting_types import ENDPOINTS
from ....storage.paths import config_dir
from ....transports.loopback.redirect import broken_rule
from ...catalogue import Entry, entry, index
from ...metadata_settings import published_settings
from ...provider_file import ProviderFile
from ..app import App
from ..command_line import takes_app
from ..first_contact import about_kind, kind_of, whole_issuer
from ..terminal.formatting import span

if TYPE_CHECKING:
    from ....engine.oauth.metadata import ServerMetadata
    from ...assembly import Assembly
    from ...catalogue import About


@click.command("show")
@click.argument("provider", metavar="NAME")
@takes_app
def show_provider(app: App, *, provider: str) -> None:
    """Show the settings of NAME, where each of them comes from, and what it means.

    What the provider publishes is shown as it was last read; nobody is asked.
    """
    name = provider
    own = ProviderFile(config_dir(app.settings())).names()
    line = index().get(name)
    if name not in own and line is not None and (line.get("asks") or "impossible" in line):
        _show_entry(app, entry(name))
        return
    assembly = app.assembly()
    catalogue = assembly.catalogue
    one: OAuthProvider = catalogue.provider(name)
    secret, problem, of_device = False, None, None
    try:
        found = catalogue.lookup(name)
        client, secret = found.client_id, bool(found.client_secret)
        of_device = found.client_id_for_device
    except (ConfigInvalid, ConfigMissing) as error:  # of its client: the settings can be shown
        client = str(ProviderFile(config_dir(app.settings())).written(name).get("client_id") or "")
        problem = error if client else None
    kind = kind_of(app, name)
    about = about_kind(kind)
    members = one.to_config(client).to_dict()
    origins = catalogue.origins(name)
    if of_device:
        members["client_id_for_device"] = of_device
    _add_published(assembly, one, members, origins)
    if app.terminal.json:
        extra = {"about": _about_members(about)} if kind else {}
        app.terminal.answer_json("provider/1", {**members, "origins": origins, **extra})
        return
    shown = {field: _in_words(value) for field, value in members.items()}
    shown["client_id"] = client or "none"
    shown["client_secret"] = "kept, not shown" if secret else "none"
    _show_settings(app, shown, origins)
    _show_about(app, about)
    broken = broken_rule(one)
    if broken is not None:
        app.terminal.say(broken, mark="warn")
    if problem is not None:
        app.terminal.say(problem.message, mark="warn")


def _show_entry(app: App, kind: Entry) -> None:
    """Show an entry that nobody can sign in to as it is."""
    blanks = {name: one.question for name, one in kind.templates.items()}
    if app.terminal.json:
        members = {**kind.settings, "service_name": kind.name, "template": blanks}
        app.terminal.answer_json("provider/1", {**members, "about": _about_members(kind.about)})
        return
    if kind.about.impossible:
        app.terminal.answer_words(f"{kind.title}: {kind.about.impossible}.", 2)
        _show_about(app, kind.about)
        return
    for name, question in blanks.items():
        app.terminal.answer_words(f"{{{name}}} is {question}", 2)
    shown = {field: _in_words(value) for field, value in kind.settings.items()}
    _show_settings(app, {"service_name": kind.name, **shown}, {})
    _show_about(app, kind.about)
    app.terminal.suggest(f"stayfast provider add {kind.name}")


def _show_settings(app: App, shown: Mapping[str, str], origins: Mapping[str, str]) -> None:
    """Show settings: the value, where it comes from, and what it means."""
    width = max(map(len, shown))
    meanings = setting_meanings()
    for field, text in shown.items():
        source = f"  ({origins[field]})" if field in origins else ""
        app.terminal.answer_words(f"{field:<{width}} {text}{source}".rstrip(), width + 1)
        if field in meanings and app.terminal.columns is not None:
            app.terminal.answer_words(f"{'':<{width}} # {meanings[field]}", width + 3)


def _show_about(app: App, about: About) -> None:
    """Show what the catalogue says beside the settings."""
    facts = {
        "signs in by": ", ".join(about.ways),
        "secret": _SECRETS.get(about.secret, "") if about.ways else "",
        "to register": about.register_how,
        "notes": about.notes,
        "source": about.source,
        "checked on": about.checked.isoformat() if about.checked else "",
        "only reported": about.reported,
    }
    for name, text in facts.items():
        if text:
            app.terminal.answer_words(f"{name:<14} {text}", 15)


_SECRETS: Final = {
    "never": "none",
    "always": "needed",
    "optional": "possible",
    "loopback": "needed, but for the device flow",
}
"""What is said about the client's secret."""


def _about_members(about: About) -> dict[str, Any]:
    """What the catalogue says, as JSON."""
    checked = about.checked.isoformat() if about.checked else None
    return {
        "group": about.group,
        "ways": list(about.ways),
        "secret": about.secret,
        "register_how": about.register_how,
        "source": about.source,
        "checked": checked,
        "reported": about.reported,
        "notes": about.notes,
        "impossible": about.impossible,
    }


@cache
def setting_meanings() -> dict[str, str]:
    """The first sentence about each setting, from the documentation of the class that holds them.

    Nothing where Python has left documentation out (``-OO``).
    """
    text = (OAuthProvider.__doc__ or "").partition("Attributes:")[2]
    found = re.findall(r"^ {8}(\w+): (.+?)(?=^ {8}\w+: |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: _first_sentence(" ".join(about.split())) for name, about in found}


def _first_sentence(text: str) -> str:
    plain = re.sub(r":\w+:`~?([^`]+)`", r"\1", text).replace("``", "")
    return re.split(r"(?<=[a-z)0-9”\"])[.;:](?= |$)", plain, maxsplit=1)[0]


def _add_published(
    assembly: Assembly, one: OAuthProvider, members: dict[str, Any], origins: dict[str, str]
) -> None:
    """Add to ``members`` what the issuer published when it was last asked, with its origin."""
    issuer = one.issuer
    copy = assembly.metadata.copy(issuer) if issuer else None
    published = assembly.metadata.published(issuer, one.issuer_template) if issuer else None
    if copy is None or published is None:
        return
    now = assembly.clock.now()
    read = f"read {span(max(now - copy.read_at, 0))} ago"
    if not copy.read_at <= now < copy.ends_at:
        read += ", and asked for again at the next login"
    for member, value in published_settings(published).items():
        if not members.get(member):
            members[member] = value
            origins[member] = f"published by {issuer}, {read}"
        elif members[member] == value:
            origins[member] += f"; the same is published by {issuer}, {read}"
        else:
            origins[member] += f"; another value is published by {issuer}, {read}"


def _in_words(value: object) -> str:
    """A setting as its user would write it."""
    if value is None or value in ("", [], (), {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value)
        return " ".join(f"{name}={_in_words(one)}" for name, one in pairs.items())
    if isinstance(value, list | tuple):
        return " ".join(map(_in_words, cast("list[object]", value)))
    return str(value)


# --- check ---------------------------------------------------------------------------------------


class Compared(NamedTuple):
    """One setting beside what the provider publishes now.

    Attributes:
        setting: Its name.
        ours: What a login uses; nothing where it takes what is published.
        theirs: What is published.
        result: ``same``, ``differs``, ``added`` (published, and a login takes it), or ``unpublished``.
    """

    setting: str
    ours: str
    theirs: str
    result: str


@click.command("check")
@click.argument("provider", metavar="NAME")
@takes_app
def check_provider(app: App, *, provider: str) -> None:
    """Ask NAME for the metadata it publishes now, and say what differs from its settings.

    Exit status 1 if something differs.
    """
    name = provider
    one = app.assembly().catalogue.provider(name)
    if not one.issuer:
        raise ConfigMissing(
            f"{one.title} has no issuer, so there are no metadata to compare with",
            hint=Hint("provider show", name),
        )
    try:
        with app.terminal.working(f"asking {one.issuer}"):
            found = discover(app.assembly().http, one.issuer, template=one.issuer_template)
    except ProviderError as error:
        error.hint = whole_issuer(error.hint, name)
        raise
    rows = compared(one, found)
    differs = [row for row in rows if row.result == "differs"]
    about = about_kind(kind_of(app, name))
    if app.terminal.json:
        app.terminal.answer_json(
            "provider-check/1",
            {
                "provider": name,
                "issuer": one.issuer,
                "differs": bool(differs),
                "checked": about.checked.isoformat() if about.checked else None,
                "settings": [row._asdict() for row in rows],
            },
        )
    else:
        _show_compared(app, one, rows)
        if about.checked:
            app.terminal.say(f"The catalogue's entry was last checked on {about.checked}.")
    if differs:
        sys.exit(1)


def compared(one: OAuthProvider, found: ServerMetadata) -> list[Compared]:
    """The settings of ``one`` beside what it publishes."""
    published = published_settings(found)
    rows = [_compared_one("issuer", one.issuer, found.issuer)]
    rows += [
        _compared_one(member, getattr(one, member), published.get(member)) for member in ENDPOINTS
    ]
    scopes = [scope for scope in one.scopes if found.scopes and scope not in found.scopes]
    if scopes:
        rows.append(Compared("scopes", " ".join(one.scopes), " ".join(found.scopes), "unpublished"))
    return [row for row in rows if row.ours or row.theirs]


def _compared_one(setting: str, ours: object, theirs: object) -> Compared:
    mine, other = str(ours or ""), str(theirs or "")
    if mine == other:
        result = "same"
    elif not mine:
        result = "added"
    else:
        result = "differs" if other else "unpublished"
    return Compared(setting, mine, other, result)


_RESULTS: Final = {
    "same": ("good", "as published"),
    "added": ("good", "from the metadata"),
    "unpublished": ("warn", "the metadata do not have it"),
    "differs": ("bad", "another one is published"),
}
"""The mark of each result, and how people are told."""


def _show_compared(app: App, one: OAuthProvider, rows: list[Compared]) -> None:
    """Show what was compared, in the order of the settings."""
    terminal = app.terminal
    width = max(len(row.setting) for row in rows)
    for row in rows:
        mark, said = _RESULTS[row.result]
        symbol = terminal.symbol(mark)
        line = f"{symbol} {row.setting:<{width}}  {said}"
        terminal.answer_words(line, width + 4)
        values = [row.ours or row.theirs] if row.result != "differs" else [row.ours, row.theirs]
        for value in values:
            terminal.answer_words(f"  {'':<{width}}  {value}", width + 6)
    if one.discovers == "no":
        terminal.say("A login uses the settings alone: the metadata of this provider are not read.")
