"""``mcp`` and ``client-metadata``: signing in to servers of the Model Context Protocol."""

from __future__ import annotations

import json
from copy import copy
from typing import Any

import click

from ....engine.errors import ProviderError
from ....engine.hints import Hint
from ....engine.oauth.client_document import client_document, differences
from ....engine.oauth.provider import OAuthProvider
from ....engine.oauth.provider_response import read_members
from ....engine.oauth.registration import CLIENT_NAME
from ....engine.oauth.setting_types import DEFAULT_REDIRECT_URI
from ....engine.ports import HttpRequest
from ....transports.loopback.redirect import addresses_to_register
from ...clients import DOCUMENT_VARIABLE
from ...resource_logins import is_address
from ..app import App
from ..command_line import takes_app
from .login import login


@click.group()
def mcp() -> None:
    """Servers of the Model Context Protocol."""


def _auth(context: click.Context, /, **given: Any) -> None:
    resource = is_address(given["provider"])
    context.invoke(login, **given, resource_only=resource)


mcp.add_command(
    click.Command(
        "auth",
        callback=click.pass_context(_auth),
        params=[copy(param) for param in login.params],
        help="Sign in to the MCP server at an address, or to a provider by its name."
        " The options are those of `stayfast login`.",
    )
)


@click.command("client-metadata")
@click.argument("address")
@click.option("--name", default=CLIENT_NAME, show_default=True, help="What consent pages show.")
@click.option("--scope", "scopes", multiple=True, help="A scope to declare; repeatable.")
@click.option(
    "--redirect-uri", default=DEFAULT_REDIRECT_URI, help="Another redirect address than the usual."
)
@click.option("--check", is_flag=True, help="Compare with the document that is hosted there.")
@takes_app
def client_metadata(
    app: App, *, address: str, name: str, scopes: tuple[str, ...], redirect_uri: str, check: bool
) -> None:
    """Print the client metadata document to be hosted at ADDRESS, which becomes the client id.

    Servers that take such client ids need no registration. Host the document, and set
    STAYFAST_CLIENT_METADATA to its address.
    """
    provider = OAuthProvider(service_name="mcp", redirect_uri=redirect_uri)
    wanted = [scope for given in scopes for scope in given.split()]
    document = client_document(address, addresses_to_register(provider), name=name, scopes=wanted)
    if not check:
        app.terminal.answer(json.dumps(document, indent=2))
        app.terminal.suggest(f"export {DOCUMENT_VARIABLE}={address}", "once it is hosted there")
        return
    headers = {"Accept": "application/json"}
    response = app.assembly().http.send(HttpRequest(method="GET", url=address, headers=headers))
    hosted = read_members(response) if response.status == 200 else None
    if hosted is None:
        raise ProviderError(
            f"there is no document at {address} (HTTP {response.status})",
            status=response.status,
            hint=Hint("client-metadata", address),
        )
    found = differences(hosted, document)
    if found:
        raise ProviderError(
            f"servers would refuse logins with the document at {address}: {'; '.join(found)}",
            hint=Hint("client-metadata", address),
        )
    app.terminal.say("the hosted document fits what is sent", mark="good")
    if app.terminal.json:
        app.terminal.answer_json("client-metadata/1", dict(hosted))
