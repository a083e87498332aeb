"""``provider edit`` and ``provider remove``: the providers of the user's own file, changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ....engine.errors import ConfigInvalid, ConfigMissing, StayfastError
from ....engine.hints import Hint
from ....engine.oauth.metadata import ServerMetadata, discover
from ....engine.oauth.setting_types import ENDPOINTS
from ...catalogue import OAUTH_PROVIDERS, entry, index, made_provider
from ...metadata_settings import change_of_issuer
from ...provider_file import ProviderFile
from ..app import App
from ..command_line import takes_app
from ..provider_options import (
    SET_OPTION,
    answer_saved,
    discovered,
    file_of,
    members_of,
    provider_settings,
    settings_set,
    values_set,
    warn_of_broken_rule,
    warn_of_other_hosts,
    words_again,
)
from .provider_add import require_published

if TYPE_CHECKING:
    from ...catalogue import Template
    from ..setting_words import Again


@click.command("edit")
@click.argument("provider", metavar="NAME")
@SET_OPTION
@provider_settings
@takes_app
def edit_provider(app: App, /, *, provider: str, values: tuple[str, ...], **given: Any) -> None:
    """Change settings of NAME. Other settings stay.

    --set changes what its kind asked for, and any setting that has no option (`stayfast help
    providers`). --set NAME= takes a setting out again, also one that has an option.
    """
    name = provider

    def again(setting: str, /, *words: str) -> Hint:
        return Hint("provider edit", *words_again(setting, *words))

    changes = members_of(given, again)
    if values:
        changes |= _set(app, name, values, changes, again)
    if not changes:
        raise ConfigMissing(
            "nothing to change was named", hint=Hint("provider edit", None, "--help")
        )
    for one, other in (
        ("subject_login", "subject_token_file"),
        ("subject_token_file", "subject_login"),
        ("actor_login", "actor_token_file"),
        ("actor_token_file", "actor_login"),
    ):
        if one in changes:  # it takes the other's place
            changes.setdefault(other, None)
    app.assembly().catalogue.require(name)  # a misspelt name must not become a new provider
    file = file_of(app)
    if "issuer" in changes:
        changes = _with_issuer(app, file, name, changes, again)
    file.edit(name, changes)
    table = file.written(name)
    warn_of_other_hosts(app, _issuer_of(name, table), table if "issuer" in changes else changes)
    if app.terminal.json:
        answer_saved(app, name)
    warn_of_broken_rule(app, name)
    app.terminal.say(f"provider {name} saved", mark="good")


def _set(
    app: App, name: str, typed: tuple[str, ...], changes: Mapping[str, Any], again: Again
) -> dict[str, Any]:
    """What ``--set`` changes of the provider ``name``.

    Raises:
        ConfigInvalid: A value does not fit, or the settings do not go together.
        NetworkError, ProviderError: As for :func:`_refilled`.
    """
    catalogue = app.assembly().catalogue
    catalogue.require(name)
    kind = file_of(app).written(name).get("kind")
    asked: Mapping[str, Template] = entry(str(kind)).templates if kind in index() else {}
    values = values_set(typed, asked, again)
    blanks = {one: value for one, value in values.items() if one in asked}
    others = {one: value for one, value in values.items() if one not in asked}
    found: dict[str, Any] = {}
    if others:
        before = catalogue.provider(name).to_config("").to_dict()
        found = settings_set(others, before, asked, again)
        made_provider(name, {**before, **changes, **found})
    if blanks:
        found["template"] = _refilled(app, name, blanks, changes)
    return found


def _refilled(
    app: App, name: str, values: dict[str, str], changes: Mapping[str, Any]
) -> dict[str, str]:
    """What the provider ``name`` was asked when it was added, with ``values`` instead.

    Raises:
        ConfigInvalid: It is of no kind that asks, or a value does not fit.
        NetworkError, ProviderError: The server that is meant now cannot be asked for its metadata.
    """
    table = file_of(app).written(name)
    kind = table.get("kind")
    if "issuer" in changes:
        raise ConfigInvalid(
            "--set and --issuer both say which server is meant",
            hint=Hint("provider edit", name, "--issuer", "https://…"),
        )
    of_kind = entry(str(kind))
    filled = {**table.get("template", {}), **values}
    blanks = [word for key in values for word in ("--set", f"{key}=…")]
    again = Hint("provider edit", name, *blanks)
    require_published(app, of_kind, made_provider(name, of_kind.filled(filled)), filled, again)
    return of_kind.checked(filled)


def _with_issuer(
    app: App, file: ProviderFile, name: str, given: dict[str, Any], again: Again
) -> dict[str, Any]:
    """``given`` with everything else that changes because the issuer does."""
    terminal = app.terminal
    found = discovered(app, given["issuer"], again)
    table, shipped = file.written(name), OAUTH_PROVIDERS.get(name)
    old = _issuer_of(name, table)
    before = found if old == found.issuer else _metadata_if_any(app, old)
    change = change_of_issuer(given=given, table=table, shipped=shipped, before=before, found=found)
    if old and old != found.issuer:
        if before is None:
            terminal.say(
                f"{old} could not be asked which settings are its own; all its endpoints are replaced",
                mark="warn",
            )
        if "client_id" not in given:
            terminal.say(
                f"the client stays the one that is registered at {old};"
                " set --client-id to one that the new issuer knows",
                mark="warn",
            )
    for member in change.gone:
        what = ENDPOINTS[member].replace("_", " ")
        terminal.say(f"the new issuer publishes no {what}; the old one is taken out", mark="warn")
    return change.changes


def _issuer_of(name: str, table: Mapping[str, Any]) -> str | None:
    """The issuer of a provider: the one in the user's file, else the shipped one."""
    shipped = OAUTH_PROVIDERS.get(name)
    return table.get("issuer") or (shipped.issuer if shipped else None)


def _metadata_if_any(app: App, issuer: str | None) -> ServerMetadata | None:
    """The metadata of ``issuer``; ``None`` if it cannot be had."""
    try:
        return discover(app.assembly().http, issuer) if issuer else None
    except StayfastError:  # people leave an issuer because it is gone
        return None


@click.command("remove")
@click.argument("provider", metavar="NAME")
@takes_app
def remove_provider(app: App, *, provider: str) -> None:
    """Remove your settings of NAME. Its logins stay."""
    name = provider
    file_of(app).remove(name)
    if app.terminal.json:
        app.terminal.answer_json("provider-removed/1", {"name": name})
    app.terminal.say(f"provider {name} removed from your file", mark="good")
