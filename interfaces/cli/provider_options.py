"""The options of ``provider add`` and ``provider edit``, and what they make of the user's file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from ...engine.errors import ConfigInvalid, ProviderError
from ...engine.oauth.metadata import discover
from ...engine.oauth.setting_types import ENDPOINTS, EXTRA_PARAMETERS
from ...storage.paths import config_dir
from ...storage.private_file import CONFIG_VARIABLE, ensure_directory
from ...transports.loopback.redirect import broken_rule, registered_address
from ..metadata_settings import endpoints_elsewhere
from ..provider_file import ProviderFile
from ..settings_files import open_regular
from .app import App
from .grant_options import grant_options
from .login_options import setting

if TYPE_CHECKING:
    from ...engine.hints import Hint
    from ...engine.oauth.metadata import ServerMetadata
    from ..catalogue import Template
    from .setting_words import Again

SETTINGS_OF_PROVIDERS: Final[tuple[Callable[[Any], Any], ...]] = (
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


def provider_settings(command: Any) -> Any:
    """The options of ``provider add`` and ``provider edit``, one a setting."""
    for option in reversed(SETTINGS_OF_PROVIDERS):
        command = option(command)
    return command


SET_OPTION: Final = click.option(
    "--set",
    "values",
    multiple=True,
    help="What its kind asks for, as k=v: domain=acme.okta.com; or a setting without an option; repeatable.",
)


def settings_set(
    values: Mapping[str, str],
    before: Mapping[str, Any],
    blanks: Mapping[str, Template],
    again: Again,
) -> dict[str, Any]:
    """The settings that ``--set`` gives; see :func:`.setting_words.settings_of`.

    Raises:
        ConfigInvalid: One is not as it must be.
    """
    if not values:
        return {}
    from .setting_words import settings_of  # noqa: PLC0415  few set what has no option

    options = click.get_current_context().command.params
    found = settings_of(values, options, before, again, blanks)
    for name, value in found.items():
        if name.endswith("_file") and value is not None:
            hint = again(name, "--set", f"{name}=FILE")
            _require_readable(f"--set {name}=", value, hint)
    return found


def words_again(setting: str, *words: str) -> list[str]:
    """What was typed, with ``words`` for ``setting``; see :func:`.setting_words.given_again`."""
    from .setting_words import given_again  # noqa: PLC0415  for what is refused alone

    return given_again(click.get_current_context(), setting, *words)


def values_set(
    typed: tuple[str, ...], blanks: Mapping[str, Template], again: Again
) -> dict[str, str]:
    """What ``--set`` gives, by name; see :func:`.setting_words.values_of`.

    Raises:
        ConfigInvalid: One is not NAME=VALUE, or two are about the same.
    """
    if not typed:
        return {}
    from .setting_words import values_of  # noqa: PLC0415  few set what has no option

    return values_of(typed, click.get_current_context().command.params, blanks, again)


def members_of(given: dict[str, Any], again: Again) -> dict[str, Any]:
    """The settings that were given, as the provider file spells them.

    Raises:
        ConfigInvalid: One of them is not as it must be.
    """
    members = {name: value for name, value in given.items() if value not in (None, ())}
    if "client_secret_file" in members:
        hint = again("client_secret_file", "--client-secret-file", "FILE")
        _require_readable("--client-secret-file ", members["client_secret_file"], hint)
    if "scopes" in members:
        members["scopes"] = [scope for one in members["scopes"] for scope in one.split()]
    for kind in EXTRA_PARAMETERS:
        pairs = [one.partition("=") for one in members.get(kind, ())]
        if any(not name.strip() or not equals for name, equals, _ in pairs):
            option = kind.removesuffix("s").replace("extra_auth_", "").replace("extra_", "")
            hint = again(kind, f"--{option.replace('_', '-')}", "NAME=VALUE")
            raise ConfigInvalid("a request parameter is NAME=VALUE", hint=hint)
        if pairs:
            members[kind] = {name: value for name, _, value in pairs}
    if "resources" in members:
        members["resources"] = list(dict.fromkeys(members["resources"]))
    for member in ENDPOINTS:
        if members.get(member) == "":
            option = f"--{member.replace('_', '-')}"
            raise ConfigInvalid(f"{option} is empty", hint=again(member, option, "https://…"))
    return members


def _require_readable(given: str, path: str, hint: Hint) -> None:
    """Make sure that the file of a secret can be read now: a login is a bad moment to notice.

    Raises:
        ConfigInvalid: It cannot, or there is nothing in it.
    """
    try:
        with open_regular(path) as file:
            if not file.read(1024).strip():
                raise ConfigInvalid(f"{given}{path} holds no secret", hint=hint)
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise ConfigInvalid(f"{given}{path}: {why}", hint=hint) from error


def discovered(app: App, issuer: str, again: Again) -> ServerMetadata:
    """What ``issuer`` publishes.

    Raises:
        NetworkError, ProviderError: It cannot be read, or is another issuer's.
    """
    try:
        with app.terminal.working(f"asking {issuer}"):
            found = discover(app.assembly().http, issuer)
    except ProviderError as error:
        words = (error.hint or "").split()
        if words[:1] == ["--issuer"]:
            error.hint = again("issuer", *words)
        raise
    app.terminal.say("Found the provider's metadata.", mark="good")
    return found


def file_of(app: App) -> ProviderFile:
    """The user's file, in a directory that is there."""
    directory = app.options.get("config_dir") or config_dir(app.environ)
    ensure_directory(directory, CONFIG_VARIABLE)
    return ProviderFile(directory)


def answer_saved(app: App, name: str) -> None:
    """Answer with the settings as they are saved, and the address to register."""
    saved = app.assembly().catalogue.provider(name)
    members = {**saved.to_config("").to_dict(), "register": registered_address(saved)}
    app.terminal.answer_json("provider/1", members)


def warn_of_other_hosts(app: App, issuer: str | None, settings: Mapping[str, Any]) -> None:
    """Name the endpoints in ``settings`` that another host than the issuer's serves."""
    for what, host in endpoints_elsewhere(issuer, settings) if issuer else ():
        app.terminal.say(
            f"its {what} is at {host}, not at the issuer's host; trust it only if you know why",
            mark="warn",
        )


def warn_of_broken_rule(app: App, name: str) -> None:
    """Say which rule of the provider ``name`` its redirect address breaks, if it breaks one."""
    broken = broken_rule(app.assembly().catalogue.provider(name))
    if broken is not None:
        app.terminal.say(f"{broken}: its page will say so, and no browser comes back", mark="warn")
