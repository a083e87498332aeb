"""``python -m stayfast.testing``: the embedded authorization server, to try a program with.

It prints its address and a client of :mod:`stayfast` that is ready to sign in there, and runs until
Ctrl-C. Everything is in memory: nothing is kept, and nothing outside this machine is asked.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec

READY = """\
An authorization server runs at {issuer} until Ctrl-C.
Its users sign in as they like.

  client id   {client}; public, with any redirect address on 127.0.0.1
  an API      GET {issuer}/me takes the tokens

The command signs in there, too:

  stayfast provider add demo --issuer {issuer} \\
      --client-id {client} --scope 'openid offline_access' \\
      --redirect-uri http://127.0.0.1:0/callback
  stayfast login demo

A service that signs in there:

  from stayfast import OAuthConfig, OAuthService

  acme = OAuthConfig(
      service_name="acme",
      issuer="{issuer}",
      client_id="{client}",
      redirect_uri="http://127.0.0.1:0/callback",
      scopes=("openid", "offline_access"),
  )
  service = OAuthService(app="acme-tool", providers={{"acme": acme}})
  print(service.authenticate("acme"))
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the server until Ctrl-C; the status is 0 then, and 1 where it cannot run.

    Args:
        arguments: Those of the command's line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m stayfast.testing",
        description="Run an OAuth 2.0 and OpenID Connect server on this machine, to try a program with."
        " It is strict, keeps nothing, and ends by Ctrl-C.",
    )
    parser.add_argument("--port", type=_port, default=0, help="listen there, not on a free port")
    parser.add_argument(
        "--lifetime", type=_seconds, default=3600, metavar="SECONDS", help="of an access token"
    )
    parser.add_argument(
        "--dpop", action="store_true", help="bind each token to a key (RFC 9449), with nonces"
    )
    parser.add_argument(
        "--registration", action="store_true", help="let clients register (RFC 7591)"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON for a program")
    given = parser.parse_args(arguments)
    if find_spec("authlib") is None:
        print("error: this server needs the extra [testing]", file=sys.stderr)
        print("hint:  in a clone of Stayfast: pip install '.[testing]'", file=sys.stderr)
        return 1
    try:
        with suppress(KeyboardInterrupt):
            _serve(given)
    except OSError as error:
        print(f"error: port {given.port} cannot be used: {error.strerror}", file=sys.stderr)
        print("hint:  leave --port out, and a free one is taken", file=sys.stderr)
        return 1
    return 0


def _serve(given: argparse.Namespace) -> None:
    """Run the server until Ctrl-C.

    Raises:
        OSError: The port cannot be used.
    """
    from .authorization_server import CLIENT_ID, AuthorizationServer, Settings  # noqa: PLC0415  an extra

    settings = Settings(
        token_lifetime=given.lifetime,
        dpop="required" if given.dpop else "off",
        dpop_nonce=given.dpop,
        registration=given.registration,
    )
    with AuthorizationServer(settings, port=given.port) as server:
        issuer = server.issuer
        said = {"issuer": issuer, "client_id": CLIENT_ID, "api": f"{issuer}/me"}
        ready = READY.format(issuer=issuer, client=CLIENT_ID)
        print(json.dumps(said) if given.json else ready, flush=True)
        threading.Event().wait()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no port: give 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no number of seconds, such as 60")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
