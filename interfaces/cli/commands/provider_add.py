"""``provider add``: a provider of a kind that the catalogue knows, or one of the user's own."""

from __future__ import annotations

import os
from contextlib import suppress
from difflib import get_close_matches
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import click

from ....engine.errors import (
    ConfigInvalid,
    ConfigMissing,
    NetworkError,
    NotFound,
    ProviderError,
    StayfastError,
)
from ....engine.hints import Hint
from ....engine.oauth.authorization_request import client_variable
from ....engine.oauth.metadata import apply_metadata, discover
from ....storage.private_file import write_private
from ...catalogue import OAUTH_PROVIDERS, Entry, entry, index, made_provider
from ...metadata_settings import client_of, published_settings
from ..app import App
from ..command_line import takes_app
from ..first_contact import say_redirect, say_registration
from ..provider_choice import offered_kind
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ....engine.oauth.provider import OAuthProvider
    from ...catalogue import Template
    from ..setting_words import Again

_TRIES: Final = 5
"""How often a value is asked for that does not fit."""
_LENGTH: Final = 2048
_ROOM: Final = 24
"""Columns for an answer on the line of its question."""


@click.command("add")
@click.argument("provider_kind", metavar="[KIND]", required=False)
@click.argument("name", metavar="[NAME]", required=False)
@SET_OPTION
@provider_settings
@takes_app
def add_provider(
    app: App,
    /,
    *,
    provider_kind: str | None,
    name: str | None,
    values: tuple[str, ...],
    **given: Any,
) -> None:
    """Add a provider: one of a KIND of `provider list`, or one of your own.

    A kind is asked what it needs, such as a domain; --set answers for a script, and also gives any
    setting that has no option (`stayfast help providers`). NAME is what you
    call it, by default as its kind. With --issuer, or with --auth-url and --token-url, KIND is
    the name of a provider of your own. Without KIND, a terminal offers a choice.
    """

    def again(setting: str, /, *words: str) -> Hint:
        return Hint("provider add", *words_again(setting, *words))

    members = members_of(given, again)
    own = "issuer" in members or "token_url" in members
    kind = provider_kind or offered_kind(app)
    blanks: Mapping[str, Template] = entry(kind).templates if kind in index() and not own else {}
    wanted = values_set(values, blanks, again)
    if own and name is None:
        _add_own(app, kind, {**members, **_given(settings_set(wanted, members, {}, again))}, again)
        return
    if own:
        raise ConfigInvalid(
            f"{kind} and {name} are two names: a provider of your own has one",
            hint=Hint("provider add", name, "--issuer", str(members.get("issuer") or "…")),
        )
    if kind not in index():
        raise _no_kind(kind)
    others = {one: value for one, value in wanted.items() if one not in blanks}
    known = entry(kind)
    if not known.about.impossible:
        members |= _given(settings_set(others, known.settings, blanks, again))
    wanted = {one: value for one, value in wanted.items() if one in blanks}
    _add_kind(app, known, name or kind, wanted, members)


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` without those that ``--set NAME=`` leaves as they are."""
    return {name: value for name, value in settings.items() if value is not None}


def _no_kind(kind: str) -> StayfastError:
    """The error of a name that is no kind, where no issuer is given either."""
    similar = get_close_matches(kind.lower(), index(), n=1)
    if similar:
        return NotFound(
            f"there is no kind of provider {kind[:40]!r}", hint=Hint("provider add", similar[0])
        )
    return ConfigMissing(
        f"{kind[:40]} is no kind of `provider list`, so an issuer, or a token endpoint, is needed",
        hint=Hint("provider add", kind, "--issuer", "https://…"),
    )


# --- of a kind -----------------------------------------------------------------------------------


def _add_kind(
    app: App, kind: Entry, name: str, values: dict[str, str], members: dict[str, Any]
) -> None:
    """Add the provider ``name`` of a ``kind``. Nothing is saved before everything is known.

    Raises:
        ConfigInvalid, ConfigMissing: A value does not fit or is missing, or there is no client id.
        NetworkError, ProviderError: The metadata cannot be read.
    """
    terminal = app.terminal
    if kind.about.impossible:
        raise ConfigInvalid(
            f"nobody can sign in to {kind.title} from a command line: {kind.about.impossible}",
            hint=Hint("provider list"),
        )
    _require_free(app, name, members, kind)
    values = _asked(app, kind, values)
    settings = kind.filled(values)
    provider = made_provider(name, {**settings, **members})
    blanks = dict.fromkeys(kind.templates, "")
    require_published(app, kind, provider, values, kind.how_to_add(blanks, name=name))
    say_registration(terminal, provider, kind.about)
    client = members.get("client_id") or _client_id(app, kind, name, values)
    secret = _secret(app, kind, name, members)
    table: dict[str, Any] = {} if name == kind.name and not kind.templates else {"kind": kind.name}
    table |= {"template": kind.checked(values)} if kind.templates else {}
    table |= {"client_id": client} if client else {}
    _save(app, name, {**table, **members}, secret)
    if terminal.json:
        answer_saved(app, name)
    warn_of_broken_rule(app, name)
    terminal.say(f"provider {name} saved", mark="good")
    known = secret or "client_secret_file" in members
    if kind.about.secret == "always" and not known and not _variable(app, name, "CLIENT_SECRET"):
        terminal.say("it wants a client secret, too", mark="warn")
        terminal.suggest(f"stayfast provider edit {name} --client-secret-file FILE")
    _offer_login(app, name)


def _free_name(app: App, name: str) -> str:
    """A name like ``name`` that no provider has: ``okta-2``."""
    taken = set(app.catalogue().names())
    return next(free for n in count(2) if (free := f"{name}-{n}") not in taken)


def _require_free(
    app: App, name: str, members: Mapping[str, Any], kind: Entry | None = None
) -> None:
    """Make sure that the user's file has no provider ``name`` yet, before anything is asked.

    Raises:
        ConfigInvalid: It has.
    """
    if name in file_of(app).names():
        given = [
            word
            for option in ("issuer", "client_id")
            if option in members
            for word in (f"--{option.replace('_', '-')}", str(members[option]))
        ]
        raise ConfigInvalid(
            f"there is a provider {name!r} already",
            hint=Hint("provider add", kind.name, _free_name(app, name))
            if kind and kind.templates
            else Hint("provider edit", name, *given)
            if given
            else Hint("provider show", name),
        )


def _asked(app: App, kind: Entry, values: dict[str, str]) -> dict[str, str]:
    """``values`` and what the user answers at a terminal, each checked as it is given."""
    terminal, found = app.terminal, dict(values)
    for name, template in kind.templates.items():
        if name in found:
            template.checked(found[name])
        elif terminal.interactive and not terminal.json:
            found[name] = _answer(app, template)
    return found


def _answer(app: App, template: Template) -> str:
    """What the user answers for ``template``; an answer that does not fit is asked for again.

    Raises:
        ConfigInvalid: None of them fits.
    """
    example = f" (such as {template.example})" if template.example else ""
    what = template.question
    if len(what) + len(example) + _ROOM > app.terminal.width:
        app.terminal.say(f"  {what[:1].upper()}{what[1:]}", hang=2)
        what = template.name
    for left in range(_TRIES, 0, -1):
        typed = app.terminal.ask(f"  {what}{example}", default=template.default or None)
        try:
            return template.checked(typed)
        except ConfigInvalid as error:
            if left == 1:
                raise
            app.terminal.say(f"{error.message}", mark="warn", indent=2)
    raise AssertionError  # the last try has raised


def require_published(
    app: App, kind: Entry, provider: OAuthProvider, values: dict[str, str], again: Hint
) -> None:
    """Ask for the metadata of ``provider``, so that a wrong answer is noticed now.

    Args:
        app: The command.
        kind: What the catalogue knows of it.
        provider: The settings, with ``values`` in their blanks.
        values: What the user said.
        again: The command that says it anew.

    Raises:
        NetworkError, ProviderError: They cannot be read, or are another issuer's.
        ConfigMissing: They name no endpoints, and the catalogue does not either.
    """
    known = bool(provider.token_url and provider.auth_url)
    if not provider.issuer or provider.discovers == "no" or (known and not kind.templates):
        return
    try:
        with app.terminal.working(f"asking {provider.issuer}"):
            found = discover(
                app.assembly().http, provider.issuer, template=provider.issuer_template
            )
    except (NetworkError, ProviderError) as error:
        if known and isinstance(error, ProviderError):  # an older release, perhaps
            app.terminal.say(
                f"{error.message}; whether it is {kind.title} is not known", mark="warn"
            )
            return
        surroundings = (error.hint or "").startswith("export ")  # a proxy, a certificate
        if not kind.templates or surroundings:
            raise
        meant = kind.checked(values)
        asked = [f"{key}={one}" for key, one in meant.items() if one not in error.message]
        what = f"with {', '.join(asked)}: " if asked else ""
        raise type(error)(f"{what}{error.message}", hint=again) from error
    whole = apply_metadata(provider, found)
    if not whole.token_url or not (whole.auth_url or whole.device_url):
        raise ConfigMissing(
            f"the metadata of {provider.issuer} name no endpoints to sign in at", hint=again
        )
    app.terminal.say(f"Found the metadata of {found.issuer}", mark="good")
    if provider.discovers != "endpoints-elsewhere":
        new = {
            key: one for key, one in published_settings(found).items() if not getattr(provider, key)
        }
        warn_of_other_hosts(app, provider.issuer, new)


def _variable(app: App, name: str, suffix: str) -> str:
    return app.environ.get(client_variable(name, suffix), "").strip()


def _client_id(app: App, kind: Entry, name: str, values: dict[str, str]) -> str:
    """The client id that the user types; nothing if the environment has it.

    Raises:
        ConfigMissing: Nobody can be asked.
        ConfigInvalid: What was typed is none.
    """
    if _variable(app, name, "CLIENT_ID"):
        return ""
    if not app.terminal.interactive or app.terminal.json:
        raise ConfigMissing(
            f"no client id is given for {kind.title}",
            hint=kind.how_to_add(values, "--client-id", "ID", name=name),
        )
    typed = app.terminal.ask("  client id (not a secret)").strip()
    if not typed.isprintable() or " " in typed or not 0 < len(typed) <= _LENGTH:
        raise ConfigInvalid(
            "that is no client id",
            hint=kind.how_to_add(values, name=name),
        )
    return typed


def _secret(app: App, kind: Entry, name: str, members: dict[str, Any]) -> str:
    """The client secret that the user types, where the provider wants one; else nothing."""
    given = "client_secret_file" in members or _variable(app, name, "CLIENT_SECRET")
    wanted = kind.about.secret in {"always", "loopback"}
    if given or not wanted or not app.terminal.interactive or app.terminal.json:
        return ""
    why = "" if kind.about.secret == "always" else "; the device flow needs none"
    text = f"  client secret (not shown; Enter for none{why})"
    return app.terminal.ask(text, default="", show_default=False, hidden=True).strip()


def _save(app: App, name: str, table: dict[str, Any], secret: str) -> None:
    """Write the provider into the user's file, and its secret into a file of its own; both or none."""
    file = file_of(app)
    if not secret:
        file.add(name, table)
        return
    path = os.path.join(os.path.dirname(file.path), f"{name}.secret")
    if os.path.exists(path):
        raise ConfigInvalid(
            f"{path} is there already, and may be another client's secret",
            hint=Hint("provider add", name, "--client-secret-file", path),
        )
    write_private(path, f"{secret}\n".encode())
    try:
        file.add(name, {**table, "client_secret_file": os.path.basename(path)})
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def _offer_login(app: App, name: str) -> None:
    """Sign in now, if somebody at the terminal wants to; else say how."""
    terminal = app.terminal
    wants = (
        terminal.interactive
        and not terminal.json
        and not terminal.quiet
        and terminal.confirm(f"  Sign in to {name} now?", default=True)
    )
    if not wants:
        terminal.suggest(f"stayfast login {name}")
        return
    from .login import login  # noqa: PLC0415  only whoever says yes needs it

    app.begin_anew()
    click.get_current_context().invoke(login, provider=name)


# --- of one's own --------------------------------------------------------------------------------


def _add_own(app: App, name: str, members: dict[str, Any], again: Again) -> None:
    """Add the provider ``name`` by its issuer or by its endpoints.

    Raises:
        ConfigInvalid: There is one of that name.
        NetworkError, ProviderError: The metadata cannot be read.
    """
    terminal = app.terminal
    _require_free(app, name, members)
    if "issuer" in members:
        found = discovered(app, members["issuer"], again)
        chosen = members.get("token_endpoint_auth_method", "auto") != "auto"
        method = None if chosen else found.authentication(client_of(members))
        members = {
            **published_settings(found),
            **({"token_endpoint_auth_method": method} if method else {}),
            **members,
        }
        warn_of_other_hosts(app, members["issuer"], members)
    if "client_id" not in members and terminal.interactive:
        members["client_id"] = terminal.ask("  client id (not a secret)")
    if "scopes" not in members and terminal.interactive:
        members["scopes"] = terminal.ask("  scopes", default="openid").split()
    file_of(app).add(name, members)
    if terminal.json:
        answer_saved(app, name)
    provider = app.assembly().catalogue.provider(name)
    if provider.grant == "authorization-code":  # no other grant sends a browser back
        say_redirect(terminal, provider)
    terminal.say(f"provider {name} saved", mark="good")
    if name in OAUTH_PROVIDERS:
        terminal.say(f"it takes the place of the provider {name} that is shipped", mark="warn")
        terminal.suggest(f"stayfast provider remove {name}", "use the shipped one again")
    if provider.registration_url or app.assembly().catalogue.has_client(name):
        terminal.suggest(f"stayfast login {name}")
    else:
        terminal.say("a login needs a client id", mark="warn")
        terminal.suggest(f"stayfast provider edit {name} --client-id ID")
