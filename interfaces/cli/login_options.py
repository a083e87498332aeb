"""The options of ``login`` that say what this login asks for, beside what is configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, get_args

import click

from ...engine.oauth.login_wishes import LoginWishes
from ...engine.oauth.provider import ClientAuthentication, Wanted

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: Final = (
    click.option(
        "--resource",
        "resources",
        multiple=True,
        help="A resource the tokens are for, instead of the configured ones (RFC 8707); repeatable.",
    ),
    click.option(
        "--authorization-details",
        default=None,
        help="What exactly to ask for, as JSON (RFC 9396).",
    ),
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
    click.option(
        "--client-auth",
        type=click.Choice(get_args(ClientAuthentication)),
        default=None,
        help="How the client proves itself, instead of the configured way.",
    ),
    click.option(
        "--client-key",
        "client_key_file",
        type=click.Path(dir_okay=False, resolve_path=True),
        default=None,
        help="A file that holds the client's private key, PEM or JWK.",
    ),
    click.option(
        "--client-cert",
        "client_certificate_file",
        type=click.Path(dir_okay=False, resolve_path=True),
        default=None,
        help="A file that holds the client's TLS certificate, PEM (RFC 8705).",
    ),
    click.option(
        "--par",
        type=click.Choice(get_args(Wanted)),
        default=None,
        help="Whether to push the authorization request (RFC 9126).",
    ),
    click.option(
        "--dpop",
        type=click.Choice(get_args(Wanted)),
        default=None,
        help="Whether to bind the tokens to a key of this login (RFC 9449).",
    ),
    click.option(
        "--request-object",
        type=click.Choice(get_args(Wanted)),
        default=None,
        help="Whether to sign the authorization request with the client's key (RFC 9101).",
    ),
    click.option(
        "--ui-locales",
        default=None,
        metavar="TAGS",
        help="Languages of the provider's pages, the best first.",
    ),
)


def wish_options(command: F) -> F:
    """``command`` with an option for each wish."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


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
