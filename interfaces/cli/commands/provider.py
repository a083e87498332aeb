"""``provider``: the providers that a user can sign in to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import click

from ....engine.errors import ConfigInvalid, ConfigMissing, StayfastError
from ....engine.hints import Hint
from ....engine.oauth.metadata import ENDPOINTS, ServerMetadata, discover
from ....engine.oauth.provider import OAuthProvider
from ....engine.oauth.setting_types import DEFAULT_REDIRECT_URI, EXTRA_PARAMETERS
from ....storage.paths import config_dir
from ....storage.private_file import CONFIG_VARIABLE, ensure_directory
from ....transports.loopback.redirect import registered_address
from ...assembly import Assembly
from ...catalogue import OAUTH_PROVIDERS
from ...metadata_settings import (
    change_of_issuer,
    client_of,
    endpoints_elsewhere,
    published_settings,
)
from ...provider_file import ProviderFile, open_regular
from ..app import App, HelpfulGroup, takes_app
from ..grant_options import grant_options
from ..login_options import setting
from ..terminal.formatting import span
from ..terminal.tables import Column, Row, Table, wide_option

_SETTINGS: Final[tuple[Callable[[Any], Any], ...]] = (
    click.option(
        "--issuer", default=None, help="The provider's issuer; its endpoints are looked up."
    ),
    click.option("--client-id", default=None, help="The client you registered; not a secret."),
    click.option(
        "--client-secret-file",
        type=click.Path(dir_okay=False, resolve_path=True),
        default=None,
        help="A file that holds the client secret.",
    ),
    setting(
        "--client-auth",
        "; by default as the provider publishes",
        "--auth-method",
        name="token_endpoint_auth_method",
    ),
    setting("--client-key"),
    click.option(
        "--client-key-id", default=None, help="The kid of that key, if its file does not say it."
    ),
    setting("--client-cert"),
    click.option(
        "--client-id-in-body/--client-id-in-header",
        default=None,
        help="Whether the body repeats the client id beside HTTP Basic.",
    ),
    click.option("--scope", "scopes", multiple=True, help="A scope to request; repeatable."),
    click.option("--redirect-uri", default=None, help="The registered redirect address."),
    click.option(
        "--redirect-per-issuer/--redirect-shared",
        default=None,
        help="Whether the redirect address ends with a part for this issuer alone.",
    ),
    click.option(
        "--post-logout-redirect-uri",
        default=None,
        help="The registered address for a browser whose session has ended (logout --browser).",
    ),
    click.option(
        "--response-mode",
        type=click.Choice(["auto", "jwt", "query.jwt"]),
        default=None,
        help="Whether the answer in the browser is signed (JARM).",
    ),
    click.option("--audience", default=None, help="The API the tokens are for."),
    setting("--resource"),
    setting("--authorization-details"),
    click.option(
        "--param",
        "extra_auth_params",
        multiple=True,
        help="Another parameter of the authorization request, as k=v; repeatable.",
    ),
    *(
        click.option(
            f"--{kind}-param",
            f"extra_{kind}_params",
            multiple=True,
            help=f"Another parameter of {requests}, as k=v; repeatable.",
        )
        for kind, requests in (
            ("device", "the device request"),
            ("token", "the code exchange and of device polls"),
            ("refresh", "a refresh"),
            ("revoke", "a revocation"),
        )
    ),
    setting("--par", "; auto: where the provider asks"),
    setting("--dpop", "; auto: where the client is registered so"),
    setting("--request-object", "; auto: where the provider asks"),
    *grant_options(dash=False),
    click.option("--par-url", default=None, help="Pushed authorization request endpoint."),
    click.option("--auth-url", default=None, help="Authorization endpoint."),
    click.option("--token-url", default=None, help="Token endpoint."),
    click.option("--device-url", default=None, help="Device authorization endpoint."),
    click.option("--revocation-url", default=None, help="Revocation endpoint."),
    click.option("--userinfo-url", default=None, help="UserInfo endpoint."),
    click.option("--end-session-url", default=None, help="Where a browser session is ended."),
    click.option("--display-name", default=None, help="The name that messages show."),
)


def _settings(command: Any) -> Any:
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


@click.group(cls=HelpfulGroup)
def provider() -> None:
    """The providers: shipped ones, and your own."""


_NAMES: Final = Table((Column("provider"), Column("title", folds=True)))


@provider.command("list")
@wide_option
@takes_app
def list_providers(app: App, *, wide: bool) -> None:
    """List the names of all providers."""
    catalogue = app.assembly().catalogue
    known: list[tuple[str, str]] = []
    for name in catalogue.names():
        try:
            known.append((name, catalogue.title(name)))
        except ConfigInvalid as error:  # the others can be used all the same
            app.terminal.say(f"{name[:40]}: {error.message}", mark="warn")
    if app.terminal.json:
        members = [{"name": name, "title": title} for name, title in known]
        app.terminal.answer_json("providers/1", {"providers": members})
        return
    _NAMES.show(app.terminal, map(Row, known), wide=wide)


@provider.command("show")
@click.argument("name")
@takes_app
def show_provider(app: App, *, name: str) -> None:
    """Show the settings of NAME, and where each of them comes from.

    What the provider publishes is shown as it was last read; nobody is asked.
    """
    assembly = app.assembly()
    catalogue = assembly.catalogue
    one: OAuthProvider = catalogue.provider(name)
    secret, problem = False, None
    try:
        found = catalogue.lookup(name)
        client, secret = found.client_id, bool(found.client_secret)
    except (ConfigInvalid, ConfigMissing) as error:  # of its client: the settings can be shown
        directory = app.options.get("config_dir") or config_dir(app.environ)
        client = str(ProviderFile(directory).written(name).get("client_id") or "")
        problem = error if client else None
    members = one.to_config(client).to_dict()
    origins = catalogue.origins(name)
    _add_published(assembly, one.issuer, members, origins)
    if app.terminal.json:
        app.terminal.answer_json("provider/1", {**members, "origins": origins})
        return
    shown = {field: _in_words(value) for field, value in members.items()}
    shown["client_id"] = client or "none"
    shown["client_secret"] = "kept, not shown" if secret else "none"
    width = max(map(len, shown))
    for field, text in shown.items():
        source = f"  ({origins[field]})" if field in origins else ""
        app.terminal.answer_words(f"{field:<{width}} {text}{source}".rstrip(), width + 1)
    if problem is not None:
        app.terminal.say(problem.message, mark="warn")


def _add_published(
    assembly: Assembly, issuer: str | None, members: dict[str, Any], origins: dict[str, str]
) -> None:
    """Add to ``members`` what ``issuer`` published when it was last asked, with its origin."""
    copy = assembly.metadata.copy(issuer) if issuer else None
    published = assembly.metadata.published(issuer) if issuer else None
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


@provider.command("add")
@click.argument("name")
@_settings
@takes_app
def add_provider(app: App, /, *, name: str, **given: Any) -> None:
    """Add the provider NAME, by its issuer or by its endpoints."""
    terminal = app.terminal
    members = _members(given)
    if "issuer" in members:
        with terminal.working(f"asking {members['issuer']}"):
            found = discover(app.assembly().http, members["issuer"])
        terminal.say("Found the provider's metadata.", mark="good")
        chosen = members.get("token_endpoint_auth_method", "auto") != "auto"
        method = None if chosen else found.authentication(client_of(members))
        members = {
            **published_settings(found),
            **({"token_endpoint_auth_method": method} if method else {}),
            **members,
        }
        _warn_of_other_hosts(app, members["issuer"], members)
    elif "token_url" not in members:
        raise ConfigMissing(
            "an issuer, or a token endpoint, is needed",
            hint=Hint("provider add", name, "--issuer", "https://…"),
        )
    if "client_id" not in members and terminal.interactive:
        members["client_id"] = click.prompt("  client id (not a secret)", err=True)
    if "scopes" not in members and terminal.interactive:
        members["scopes"] = click.prompt("  scopes", default="openid", err=True).split()
    _file(app).add(name, members)
    if terminal.json:
        _answer_saved(app, name)
    provider = app.assembly().catalogue.provider(name)
    if provider.grant == "authorization-code":  # no other grant sends a browser back
        redirect = registered_address(provider)
        shown = redirect.replace(":0/", "/")
        terminal.say(f"Register this redirect address with the provider:  {shown}")
        if redirect == DEFAULT_REDIRECT_URI:
            terminal.say("  with any port if it allows that, else with ports 8080, 3000 and 57548")
        elif shown != redirect:
            terminal.say("  with any port")
    terminal.say(f"provider {name} saved", mark="good")
    if name in OAUTH_PROVIDERS:
        terminal.say(f"it takes the place of the provider {name} that is shipped", mark="warn")
        terminal.suggest(f"stayfast provider remove {name}", "use the shipped one again")
    terminal.suggest(f"stayfast login {name}")


@provider.command("edit")
@click.argument("name")
@_settings
@takes_app
def edit_provider(app: App, /, *, name: str, **given: Any) -> None:
    """Change settings of NAME. Other settings stay."""
    changes = _members(given)
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
    file = _file(app)
    if "issuer" in changes:
        changes = _with_issuer(app, file, name, changes)
    file.edit(name, changes)
    table = file.written(name)
    _warn_of_other_hosts(app, _issuer_of(name, table), table if "issuer" in changes else changes)
    if app.terminal.json:
        _answer_saved(app, name)
    app.terminal.say(f"provider {name} saved", mark="good")


def _answer_saved(app: App, name: str) -> None:
    """Answer with the settings as they are saved, and the address to register."""
    saved = app.assembly().catalogue.provider(name)
    members = {**saved.to_config("").to_dict(), "register": registered_address(saved)}
    app.terminal.answer_json("provider/1", members)


def _with_issuer(app: App, file: ProviderFile, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """``given`` with everything else that changes because the issuer does."""
    terminal, http = app.terminal, app.assembly().http
    with terminal.working(f"asking {given['issuer']}"):
        found = discover(http, given["issuer"])
    terminal.say("Found the provider's metadata.", mark="good")
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


def _warn_of_other_hosts(app: App, issuer: str | None, settings: Mapping[str, Any]) -> None:
    for what, host in endpoints_elsewhere(issuer, settings) if issuer else ():
        app.terminal.say(
            f"its {what} is at {host}, not at the issuer's host; trust it only if you know why",
            mark="warn",
        )


@provider.command("remove")
@click.argument("name")
@takes_app
def remove_provider(app: App, *, name: str) -> None:
    """Remove your settings of NAME. Its logins stay."""
    _file(app).remove(name)
    if app.terminal.json:
        app.terminal.answer_json("provider-removed/1", {"name": name})
    app.terminal.say(f"provider {name} removed from your file", mark="good")


def _file(app: App) -> ProviderFile:
    directory = app.options.get("config_dir") or config_dir(app.environ)
    ensure_directory(directory, CONFIG_VARIABLE)
    return ProviderFile(directory)


def _members(given: dict[str, Any]) -> dict[str, Any]:
    """The settings that were given, as the provider file spells them."""
    members = {name: value for name, value in given.items() if value not in (None, ())}
    if "client_secret_file" in members:
        _require_readable(members["client_secret_file"])
    if "scopes" in members:
        members["scopes"] = [scope for one in members["scopes"] for scope in one.split()]
    for kind in EXTRA_PARAMETERS:
        pairs = [one.partition("=") for one in members.get(kind, ())]
        if any(not name.strip() or not equals for name, equals, _ in pairs):
            raise ConfigInvalid("a request parameter is NAME=VALUE", hint="--param prompt=consent")
        if pairs:
            members[kind] = {name: value for name, _, value in pairs}
    if "resources" in members:
        members["resources"] = list(dict.fromkeys(members["resources"]))
    for member in ENDPOINTS:
        if members.get(member) == "":
            option = f"--{member.replace('_', '-')}"
            raise ConfigInvalid(f"{option} is empty", hint=f"{option} https://…")
    return members


def _require_readable(path: str) -> None:
    """Make sure that the file of a secret can be read now: a login is a bad moment to notice.

    Raises:
        ConfigInvalid: It cannot, or there is nothing in it.
    """
    hint = "--client-secret-file FILE"
    try:
        with open_regular(path) as file:
            if not file.read(1024).strip():
                raise ConfigInvalid(f"--client-secret-file {path} holds no secret", hint=hint)
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise ConfigInvalid(f"--client-secret-file {path}: {why}", hint=hint) from error
