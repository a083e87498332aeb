"""acme: a command-line tool whose users sign in with a browser.

$ acme auth login
$ acme me
ada@acme.example
"""

from __future__ import annotations

import os

import click
import requests
from stayfast import OAuthConfig, OAuthService, StayfastError, commands

API = os.environ.get("ACME_API", "https://api.acme.example")
ACME = OAuthConfig(
    service_name="acme",
    issuer=os.environ.get("ACME_ISSUER", "https://login.acme.example"),
    client_id="acme-cli",
    scopes=("openid", "email", "offline_access"),
)
service = OAuthService(app="acme", providers={"acme": ACME})


@click.group()
def acme() -> None:
    """Work with Acme."""


acme.add_command(commands(service, provider="acme"))  # acme auth login, logout, status, …


@acme.command()
def me() -> None:
    """Print whose account this is."""
    try:
        answer = requests.get(f"{API}/me", auth=service.auth("acme", hosts=[API]), timeout=30)
    except StayfastError as error:
        raise click.ClickException(f"{error}\nHint: {error.hint}") from error
    answer.raise_for_status()
    click.echo(answer.json()["email"])


if __name__ == "__main__":
    acme()
