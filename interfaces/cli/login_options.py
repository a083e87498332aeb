"""The options of ``login`` that say what this login asks for, beside what is configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, get_args

import click
from click.shell_completion import CompletionItem

from ...engine.oauth.login_wishes import LoginWishes
from ...engine.oauth.setting_types import ClientAuthentication, Wanted
from ...transports.plugins import ALIASES, BUILT_IN, installed

VIA_NAMES: Final = ("auto", *BUILT_IN, *ALIASES)
F = TypeVar("F", bound=Callable[..., Any])

_KEY: Final = click.Path(dir_okay=False, resolve_path=True)
_WANTED: Final = click.Choice(get_args(Wanted))
SETTINGS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "--resource": (
        "A resource the tokens are for (RFC 8707); repeatable",
        {"name": "resources", "multiple": True},
    ),
    "--authorization-details": ("What exactly to ask for, as JSON (RFC 9396)", {}),
    "--client-auth": (
        "How the client authenticates",
        {"type": click.Choice(get_args(ClientAuthentication))},
    ),
    "--client-key": (
        "A file that holds the client's private key, PEM or JWK; or its certificate's",
        {"name": "client_key_file", "type": _KEY},
    ),
    "--client-cert": (
        "A file that holds the client's TLS certificate, PEM (RFC 8705)",
        {"name": "client_certificate_file", "type": _KEY},
    ),
    "--par": ("Whether to push the authorization request (RFC 9126)", {"type": _WANTED}),
    "--dpop": ("Whether to bind the tokens to a key of the login (RFC 9449)", {"type": _WANTED}),
    "--request-object": (
        "Whether to sign the authorization request with the client's key (RFC 9101)",
        {"type": _WANTED},
    ),
}
"""What can be set for a provider and for one login of it: the help, and what click is told."""


def setting(
    option: str, more: str = "", *also: str, name: str | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option of one of the :data:`SETTINGS`.

    Args:
        option: Its name.
        more: What its help says besides.
        also: Other names for it.
        name: The name of its parameter, if it is another one here.
    """
    about, told = SETTINGS[option]
    known = {member: value for member, value in told.items() if member != "name"}
    param = name or told.get("name") or option.strip("-").replace("-", "_")
    known.setdefault("default", () if known.get("multiple") else None)
    return click.option(*also, option, param, help=f"{about}{more}.", **known)


_INSTEAD: Final = "; replaces the configured value"
_OPTIONS: Final = (
    setting("--resource", _INSTEAD),
    setting("--authorization-details", _INSTEAD),
    click.option(
        "--prompt",
        default=None,
        metavar="WORDS",
        help="What the provider must ask: login, consent, select_account, none.",
    ),
    click.option("--login-hint", default=None, help="Who is to sign in, such as an email address."),
    click.option(
        "--max-age",
        type=click.IntRange(min=0),
        default=None,
        metavar="SECONDS",
        help="Refuse a sign-in at the provider that is older.",
    ),
    click.option(
        "--acr-values",
        default=None,
        metavar="WORDS",
        help="Ways of signing in that will do, the best first (RFC 9470).",
    ),
    setting("--client-auth", _INSTEAD),
    setting("--client-key", _INSTEAD),
    setting("--client-cert", _INSTEAD),
    setting("--par"),
    setting("--dpop"),
    setting("--request-object"),
    click.option(
        "--ui-locales",
        default=None,
        metavar="TAGS",
        help="Languages of the provider's pages, the best first.",
    ),
)


# subscripts of ParamType are for type checkers alone: click takes them from 8.5 on
if TYPE_CHECKING:
    _Text = click.ParamType[str]
else:
    _Text = click.ParamType


class Via(_Text):
    """The value of ``--via``: the name of a transport, built in or from another package."""

    name = "transport"

    @property
    def choices(self) -> list[str]:
        """Every name there is."""
        return [*VIA_NAMES, *(plugin.name for plugin in installed())]

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What the usage line shows; click passes ``ctx`` from 8.2 on."""
        del param, ctx
        return f"[{'|'.join(VIA_NAMES)}|...]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """``value``, if there is such a transport."""
        if value not in VIA_NAMES and value not in self.choices:
            self.fail(f"{value!r} is not one of {', '.join(self.choices)}", param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin with ``incomplete``."""
        del ctx, param
        known = {plugin.name: plugin.summary or None for plugin in installed()}
        helped = {**dict.fromkeys(VIA_NAMES), **known}
        return [
            CompletionItem(name, help=about)
            for name, about in helped.items()
            if name.startswith(incomplete)
        ]


VIA = Via()


def wish_options(command: F) -> F:
    """``command`` with an option for each wish."""
    wished: Any = command
    for option in reversed(_OPTIONS):
        wished = option(wished)
    return cast("F", wished)


def wishes_of(given: Mapping[str, Any]) -> LoginWishes:
    """The wishes among the options that were given."""
    return LoginWishes(
        resources=given["resources"] or None,
        authorization_details=given["authorization_details"],
        prompt=given["prompt"],
        login_hint=given["login_hint"],
        max_age=given["max_age"],
        acr_values=given["acr_values"],
        ui_locales=given["ui_locales"],
        client_auth=given["client_auth"],
        client_key_file=given["client_key_file"],
        client_certificate_file=given["client_certificate_file"],
        par=given["par"],
        dpop=given["dpop"],
        request_object=given["request_object"],
    )
